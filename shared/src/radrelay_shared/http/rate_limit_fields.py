"""The fields RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10) on every limited response."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STATE_KEY: Final = "rate_limit_fields"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client stands with one limit."""

    name: str
    quota: int
    """Requests in a window."""
    window_s: int
    remaining: int
    reset_s: int
    """Until `remaining` is `quota` again."""


def announce(request: Request, standings: Sequence[Standing]) -> None:
    """Have the response say where the client stands. Names and numbers need no escaping (RFC 9651)."""
    policies = ", ".join(f'"{each.name}";q={each.quota};w={each.window_s}' for each in standings)
    limits = ", ".join(f'"{each.name}";r={each.remaining};t={each.reset_s}' for each in standings)
    request.scope.setdefault("state", {})[_STATE_KEY] = {"RateLimit-Policy": policies, "RateLimit": limits}


def retry_after_s(spent: Sequence[Standing]) -> int:
    """Whole seconds until none of the limits that are used up is so any more; at least 1."""
    return max([1, *(each.reset_s for each in spent)])


class RateLimitFields:
    """ASGI middleware that adds what was announced, to streams and to errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(scope.get("state", {}).get(_STATE_KEY, {}))
            await send(message)

        await self._app(scope, receive, send_with_fields)
