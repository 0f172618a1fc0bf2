"""Spans of messages, named as OpenTelemetry's semantic conventions for messaging have it.

They are in development, which is why the package says `_incubating`; it is pinned with `tracing.SCHEMA_URL`.
"""

from functools import lru_cache
from typing import Final
from uuid import UUID

from opentelemetry.semconv._incubating.attributes import messaging_attributes as names
from opentelemetry.util.types import AttributeValue

SEND: Final = "send"
PROCESS: Final = "process"
"""Operations; the conventions' types are called the same."""
ATTEMPT: Final = "radrelay.delivery.attempt"
OUTCOME: Final = "radrelay.delivery.outcome"
_TENANT: Final = 2
"""Which token of a subject is the tenant."""


@lru_cache(maxsize=1024)
def destination_template(subject: str) -> str:
    """The subject with braces for the tenant, and for an image where it names one: few enough to name spans by."""
    tokens = subject.split(".")
    tokens[_TENANT] = "{tenant}"
    if _is_uuid(tokens[-1]):
        tokens[-1] = "{instance_id}"
    return ".".join(tokens)


def span_name(operation: str, subject: str) -> str:
    """Operation and destination."""
    return f"{operation} {destination_template(subject)}"


def attributes_of(operation: str, subject: str, message_id: str) -> dict[str, AttributeValue]:
    """What every span of a message has."""
    return {
        names.MESSAGING_SYSTEM: "nats",
        names.MESSAGING_OPERATION_NAME: operation,
        names.MESSAGING_OPERATION_TYPE: operation,
        names.MESSAGING_DESTINATION_NAME: subject,
        names.MESSAGING_DESTINATION_TEMPLATE: destination_template(subject),
        names.MESSAGING_MESSAGE_ID: message_id,
    }


def _is_uuid(token: str) -> bool:
    try:
        UUID(token)
    except ValueError:
        return False
    return True
