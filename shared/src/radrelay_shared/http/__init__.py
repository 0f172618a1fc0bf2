"""HTTP plumbing: the application factory and problem details."""

from radrelay_shared.http.application import Lifespan, ReadinessCheck, create_app
from radrelay_shared.http.openapi import problems
from radrelay_shared.http.outages import answer_outages, storage_unavailable
from radrelay_shared.http.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    UnprocessableContent,
    UnsupportedMediaType,
)
from radrelay_shared.http.rate_limits import RateLimiter, RateLimitSettings

__all__ = [
    "BadRequest",
    "Conflict",
    "Forbidden",
    "Lifespan",
    "NotAcceptable",
    "NotFound",
    "PayloadTooLarge",
    "PreconditionFailed",
    "PreconditionRequired",
    "Problem",
    "RateLimitSettings",
    "RateLimiter",
    "ReadinessCheck",
    "ServiceUnavailable",
    "TooManyRequests",
    "Unauthorized",
    "UnprocessableContent",
    "UnsupportedMediaType",
    "answer_outages",
    "create_app",
    "problems",
    "storage_unavailable",
]
