"""Errors as problem details (RFC 9457): each carries its status and a stable code; one set of handlers renders them."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

MEDIA_TYPE = "application/problem+json"
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_log = logging.getLogger(__name__)


class Problem(Exception):
    """An error that a client is told of.

    `code` is stable and machine-readable; `detail` says what and where, and never holds patient data.
    """

    status: ClassVar[int] = 500

    def __init__(
        self,
        *,
        code: str,
        detail: str,
        extensions: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.extensions = dict(extensions or {})
        self.headers = dict(headers or {})


class BadRequest(Problem):
    """The request cannot be understood."""

    status = 400


class Unauthorized(Problem):
    """No valid bearer token."""

    status = 401

    def __init__(self, *, code: str = "unauthorized", detail: str) -> None:
        super().__init__(code=code, detail=detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(Problem):
    """The caller's role does not allow this."""

    status = 403


class NotFound(Problem):
    """There is no such thing, or it is someone else's: the two look alike."""

    status = 404


class NotAcceptable(Problem):
    """There is the thing, but in no form that the caller takes."""

    status = 406


class Conflict(Problem):
    """The thing's present state does not allow this."""

    status = 409


class PreconditionFailed(Problem):
    """It is not any more as the caller last saw it (RFC 9110 section 15.5.13)."""

    status = 412


class PayloadTooLarge(Problem):
    """More bytes than the limit."""

    status = 413


class UnsupportedMediaType(Problem):
    """The body is of a type that is not taken here."""

    status = 415


class UnprocessableContent(Problem):
    """The body is well-formed, and what it says cannot be (RFC 9110 section 15.5.21)."""

    status = 422


class PreconditionRequired(Problem):
    """The request has to say what state it changes (RFC 6585 section 3)."""

    status = 428


class TooManyRequests(Problem):
    """The caller is over a limit (RFC 6585 section 4); `Retry-After` says when to try again."""

    status = 429


class ServiceUnavailable(Problem):
    """A dependency is away; try again."""

    status = 503


def problem_response(
    status: int,
    code: str,
    detail: str,
    extensions: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """One problem document. `type` is a URN made of the code; `title` is the status' own phrase."""
    body = {
        **(extensions or {}),
        "type": f"urn:radrelay:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


async def render_problem(_: Request, error: Exception) -> JSONResponse:
    """The answer to a request that ended in a Problem."""
    if not isinstance(error, Problem):
        raise TypeError("registered for Problem only") from error
    return problem_response(error.status, error.code, error.detail, error.extensions, error.headers)


async def _render_validation(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise TypeError("registered for RequestValidationError only") from error
    return problem_response(
        422, "invalid_request", "The request does not fit its schema.", {"errors": _places(error.errors())}
    )


def _places(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Where and what, without the values: they may be patient data."""
    return [{"location": ".".join(str(part) for part in e["loc"]), "message": str(e["msg"])} for e in errors]


async def _render_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise TypeError("registered for HTTPException only") from error
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    headers = {"Allow": _allowed_methods(request)} if error.status_code == 405 else error.headers
    return problem_response(error.status_code, code, str(error.detail), headers=headers)


def _allowed_methods(request: Request) -> str:
    """The methods of a path, for `Allow` (RFC 9110 section 10.2.1): routers know only those of one of its routes."""

    def is_served(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return ", ".join(filter(is_served, _METHODS))


async def _render_unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("unhandled error", exc_info=error, extra={"http_route": request.scope.get("path_template", "")})
    return problem_response(500, "internal_error", "Something went wrong here; it has been logged.")


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(Problem, render_problem)
    app.add_exception_handler(RequestValidationError, _render_validation)
    app.add_exception_handler(HTTPException, _render_http)
    app.add_exception_handler(Exception, _render_unexpected)
