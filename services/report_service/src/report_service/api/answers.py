"""Answers of bytes that the caller may hold already."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Response

from radrelay_shared.http import problems
from report_service.handlers import FetchedRendering

PNG: Final = "image/png"
NPY: Final = "application/octet-stream"  # NumPy's format has no registered media type
NO_RENDERING: Final = "`report_not_found`, `rendering_not_found`"


def described(
    *media_types: str, missing: str = NO_RENDERING, headers: dict[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route that answers bytes, with these headers beside the usual ones."""
    content = {each: {"schema": {"type": "string", "format": "binary"}} for each in media_types}
    return {
        200: {"content": content, **({"headers": headers} if headers else {})},
        304: {"description": "You hold these bytes already."},
        **problems({404: missing}),
    }


def answer(fetched: FetchedRendering, media_type: str, headers: dict[str, str] | None = None) -> Response:
    """The bytes, or 304 where the caller holds them; only the caller may keep them, and has to ask each time."""
    usual = {
        "ETag": f'"{fetched.etag}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization",
        "X-Content-Type-Options": "nosniff",
    }
    if fetched.body is None:
        return Response(status_code=304, headers=usual | (headers or {}))
    return Response(fetched.body, media_type=media_type, headers=usual | (headers or {}))


def matches(etag: str, if_none_match: str | None) -> bool:
    """Weak comparison of a tag with an If-None-Match field (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


def known_tags(if_none_match: Annotated[str | None, Header()] = None) -> Callable[[str], bool]:
    """Says of a tag whether the caller holds what it is of."""
    return partial(matches, if_none_match=if_none_match)


Known = Annotated[Callable[[str], bool], Depends(known_tags)]
