"""The opaque cursor of a page: base64url of a position in a list, as JSON.

It says where to go on, never what may be seen: a forged one gains nothing.
"""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from radrelay_shared.events import Urgency
from radrelay_shared.http import BadRequest
from report_service.domain.worklist import Position

T = TypeVar("T")


def encode(position: Position) -> str:
    """The cursor of a position in the worklist."""
    return written(position.urgency, position.received_at.isoformat(), str(position.report_id))


def decode(cursor: str) -> Position:
    """The position of a cursor.

    Raises:
        BadRequest: the text is no cursor of ours.
    """
    return read(cursor, _position)


def written(*fields: str) -> str:
    """The cursor of what these fields say."""
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def read(cursor: str, position: Callable[..., T]) -> T:
    """What `position` makes of the fields of a cursor; it raises a ValueError or TypeError where they are not its.

    Raises:
        BadRequest: the text is no such cursor.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return position(*json.loads(base64.b64decode(padded, altchars=b"-_", validate=True)))
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadRequest(code="invalid_cursor", detail="`cursor` must be a `next_cursor` of this list.") from error


def moment(text: str) -> datetime:
    """A moment that a field says.

    Raises:
        ValueError, TypeError, OverflowError: it is none, has no time zone, or lies outside the calendar.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("no time zone")
    found.astimezone(UTC)
    return found


def _position(urgency: str, received_at: str, report_id: str) -> Position:
    return Position(Urgency(urgency), moment(received_at), UUID(report_id))
