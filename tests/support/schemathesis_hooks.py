"""What schemathesis cannot know by itself: how a body is written, and what a schema cannot say."""

from http import HTTPStatus
from typing import Any, Final

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import MissingHeaderNotRejected, RejectedPositiveData

_RELATED: Final = "multipart/related"
_BOUNDARY: Final = "a-boundary-that-no-generated-bytes-hold"
_BEYOND_SCHEMAS: Final = {
    "invalid_cursor",  # any text fits the schema, but cursors are only those that a list gave out
    "impossible_period",  # a period may end before it begins, or be too long
    "tenant_scope_needed",  # clinicians are told apart in the figures of a tenant only
    "idempotency_key_reused",  # which keys were used before is not in the schema
    "unsupported_tus_version",  # 412 comes before all else that may be wrong, as the protocol has it
    "invalid_upload_metadata",  # pairs of a key and Base64 are no pattern that could be generated from
    "upload_expired",  # an upload that was terminated before
    "upload_too_large",  # how long a file may be is a setting
    # What a report says, which state it is in, and what the size of its image is, is not either.
    *("if_match_required", "review_changed", "contradictory_review", "region_outside_image"),
    *("invalid_destination_url", "destination_host_not_allowed"),  # where destinations may be is a setting
    "unstorable_note",  # nor that PostgreSQL keeps no U+0000
}
"""Codes of refusals of what fits its schema."""


@schemathesis.serializer(_RELATED)
def write_related(_: schemathesis.SerializationContext, body: Any) -> bytes:
    """RFC 2387: a part of type application/dicom for each instance; whatever else was generated is sent as it is."""
    instances = body.get("instances") if isinstance(body, dict) else None
    if not isinstance(instances, list):
        return _bytes(body)
    head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"".join([*(head + _bytes(each) + b"\r\n" for each in instances), f"--{_BOUNDARY}--\r\n".encode()])


@schemathesis.serializer("application/offset+octet-stream")
def write_bytes(_: schemathesis.SerializationContext, body: Any) -> bytes:
    """A piece of a resumable upload is what it is."""
    return _bytes(body)


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    """Name the boundary."""
    if case.media_type == _RELATED and case.headers.get("Content-Type") in {None, _RELATED}:
        case.headers["Content-Type"] = f'{_RELATED}; type="application/dicom"; boundary={_BOUNDARY}'


@schemathesis.hook
def filter_failure(
    _: schemathesis.HookContext, failure: Failure, case: schemathesis.Case[Any], response: schemathesis.Response
) -> bool:
    """Whether a failure counts."""
    judged = isinstance(failure, RejectedPositiveData | AcceptedNegativeData | MissingHeaderNotRejected)
    if judged and (response.status_code == HTTPStatus.PRECONDITION_FAILED or _code(response) in _BEYOND_SCHEMAS):
        return False
    if isinstance(failure, AcceptedNegativeData):
        return not _is_wrong_in_parts_only(case)
    return True


def _code(response: schemathesis.Response) -> str | None:
    """Of the problem; None where there is none, as in an answer to HEAD."""
    return response.json().get("code") if response.content else None


def _is_wrong_in_parts_only(case: schemathesis.Case[Any]) -> bool:
    """Whether only parts of a multipart body are wrong, and parameters of the query that nobody asked for.

    A part is a file, whatever it was meant as, and each is refused by itself in an answer 200.
    """
    if case.meta is None or not (case.media_type or "").startswith("multipart/"):
        return False
    wrong = {location for location in case.meta.components if case.meta.is_negative_at(location)}
    return ParameterLocation.BODY in wrong and wrong <= {ParameterLocation.BODY, ParameterLocation.QUERY}


def _bytes(instance: Any) -> bytes:
    return instance if isinstance(instance, bytes) else str(instance).encode(errors="replace")
