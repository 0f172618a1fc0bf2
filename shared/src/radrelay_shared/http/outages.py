"""A dependency that is away is answered 503 on every route: the request was fine, and may be sent again."""

import logging
from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from radrelay_shared.http.problems import ServiceUnavailable, problem_response

RETRY_AFTER_S: Final = 5

IsOutage = Callable[[BaseException], bool]

_log = logging.getLogger(__name__)


def storage_unavailable(outage: BaseException) -> ServiceUnavailable:
    """What a client is told; the log is told which outage it was."""
    _log.warning("a dependency is away", extra={"error": type(outage).__name__})
    return ServiceUnavailable(
        code="storage_unavailable",
        detail="A store is away. Send the same again later: what was accepted is not stored twice.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def answer_outages(app: FastAPI, is_outage: IsOutage, kinds: tuple[type[Exception], ...]) -> None:
    """Turn outages that reach the top of a request into problem documents.

    Args:
        app: the application.
        is_outage: tells an outage from a fault of this program.
        kinds: the exceptions that it is asked about.
    """

    async def render(_: Request, error: Exception) -> JSONResponse:
        if not is_outage(error):
            raise error
        problem = storage_unavailable(error)
        return problem_response(problem.status, problem.code, problem.detail, headers=problem.headers)

    for kind in kinds:
        app.add_exception_handler(kind, render)
