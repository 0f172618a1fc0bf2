"""HTTP plumbing: the application factory and problem details."""

from radrelay_shared.http.application import Lifespan, ReadinessCheck, create_app
from radrelay_shared.http.outages import answer_outages, storage_unavailable
from radrelay_shared.http.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    Problem,
    ServiceUnavailable,
    Unauthorized,
    UnsupportedMediaType,
)

__all__ = [
    "BadRequest",
    "Conflict",
    "Forbidden",
    "Lifespan",
    "NotFound",
    "PayloadTooLarge",
    "Problem",
    "ReadinessCheck",
    "ServiceUnavailable",
    "Unauthorized",
    "UnsupportedMediaType",
    "answer_outages",
    "create_app",
    "storage_unavailable",
]
