"""Bodies come as they are: a coding such as gzip is refused before a byte of it is read (RFC 9110 section 8.4).

Undoing it would let a small request become a large one.
"""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from radrelay_shared.http.problems import problem_response

_PLAIN: Final = {"", "identity"}


class RefuseContentCodings:
    """ASGI middleware: answers 415 to a request whose body has a content coding."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] == "http" and _codings(scope) - _PLAIN:
            refusal = problem_response(
                415,
                "content_coding_not_taken",
                "A request's body is sent without a Content-Encoding.",
                headers={"Accept-Encoding": "identity"},
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _codings(scope: Scope) -> set[str]:
    fields = Headers(scope=scope).getlist("content-encoding")
    return {coding.strip().lower() for field in fields for coding in field.split(",")}
