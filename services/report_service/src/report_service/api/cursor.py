"""The opaque cursor of a page: base64url of a worklist position as JSON.

It says where to go on, never what may be seen: a forged one gains nothing.
"""

import base64
import binascii
import json
from datetime import UTC, datetime
from uuid import UUID

from radrelay_shared.events import Urgency
from radrelay_shared.http import BadRequest
from report_service.domain.worklist import Position


def encode(position: Position) -> str:
    """The cursor of a position."""
    fields = [position.urgency, position.received_at.isoformat(), str(position.report_id)]
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def decode(cursor: str) -> Position:
    """The position of a cursor.

    Raises:
        BadRequest: the text is no cursor of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        urgency, received_at, report_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        position = Position(Urgency(urgency), datetime.fromisoformat(received_at), UUID(report_id))
        position.received_at.astimezone(UTC)
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadRequest(code="invalid_cursor", detail="`cursor` must be a `next_cursor` of this list.") from error
    if position.received_at.tzinfo is None:
        raise BadRequest(code="invalid_cursor", detail="`cursor` must be a `next_cursor` of this list.")
    return position
