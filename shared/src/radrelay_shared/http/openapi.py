"""The OpenAPI document: what a route declares of its problems, and what every route answers besides."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from radrelay_shared.http.problems import MEDIA_TYPE

_SCHEMA: Final = "Problem"
_CONTENT: Final = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{_SCHEMA}"}}}
_FASTAPI_ERRORS: Final = ("HTTPValidationError", "ValidationError")
_OF_CALLERS: Final = {
    "401": "`unauthorized`: no token, or one that proves nobody.",
    "429": "`rate_limited`",
    "503": "`storage_unavailable`, `signing_keys_unavailable`: send the same again later.",
}
"""What every route that needs a caller answers."""
_UNREADABLE: Final = "`bad_request`: the body is no JSON that can be read."
_INVALID: Final = "`invalid_request`: the request does not fit its schema."

_HEADERS: Final = {
    "RateLimit": ("What is left of each limit, and for how many seconds it counts.", "string"),
    "RateLimit-Policy": ("The limits: how many requests in how many seconds.", "string"),
    "Retry-After": ("Seconds until the same may be sent again.", "integer"),
    "WWW-Authenticate": ("How to prove who is calling (RFC 9110 section 11.6.1).", "string"),
}
_LIMITS: Final = ("RateLimit", "RateLimit-Policy")
_HEADERS_OF: Final = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}
"""Besides those of limits. None is promised: what is refused before its caller is known says nothing of limits."""


class ProblemDetails(BaseModel):
    """Problem details (RFC 9457); some have further members."""

    model_config = ConfigDict(extra="allow", title=_SCHEMA)

    type: str
    title: str
    status: int
    code: str = Field(description="Stable and machine-readable.")
    detail: str


def problems(codes: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: each status that is a problem document, and the codes that it comes with.

    What every route answers is not named: 401, 429 and 503, and 400 and 422 where the request has something to get
    wrong.
    """
    return {status: {"description": text, "content": _CONTENT} for status, text in sorted(codes.items())}


class Application(FastAPI):
    """A FastAPI application whose OpenAPI document tells of problem documents."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            _describe(super().openapi())
        described: dict[str, Any] = super().openapi()
        return described


def _describe(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    components["headers"] = {
        name: {"description": text, "schema": {"type": kind}} for name, (text, kind) in _HEADERS.items()
    }
    schemas = components.setdefault("schemas", {})
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    schemas[_SCHEMA] = ProblemDetails.model_json_schema()
    for operation in _operations(document):
        responses = operation["responses"]
        if "422" in responses and MEDIA_TYPE not in responses["422"].get("content", {}):
            responses["422"] = {"description": _INVALID, "content": _CONTENT}
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            _add(responses, "400", _UNREADABLE)
        if "security" in operation:
            _add_common(responses)
        operation["responses"] = dict(sorted(responses.items()))


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _add(responses: dict[str, Any], status: str, text: str) -> None:
    own = responses.get(status, {})
    description = ", ".join(filter(None, [own.get("description"), text]))
    responses[status] = {**own, "description": description, "content": _CONTENT}


def _add_common(responses: dict[str, Any]) -> None:
    for status, text in _OF_CALLERS.items():
        _add(responses, status, text)
    for status, response in responses.items():
        common = (*_LIMITS, *_HEADERS_OF.get(status, ()))
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in common}
        response["headers"] = response.get("headers", {}) | references
