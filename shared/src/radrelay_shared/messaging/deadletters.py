"""Dead letters: what a consumer could not handle, kept whole with the reason, in a stream of its own.

Workers bury them, the ingest service shows their cases as failed, and an operator reads them and sends them again.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError
from opentelemetry import propagate

from radrelay_shared.messaging.publisher import MESSAGE_ID, Publisher
from radrelay_shared.messaging.topology import DEAD_LETTERS, ROOT, Durable, dead_letter_subject, tenant_in
from radrelay_shared.observability.metrics import DEAD_LETTERS as DEAD_LETTERS_WAITING

REASON: Final = "Radrelay-Reason"
DETAIL: Final = "Radrelay-Detail"
DURABLE: Final = "Radrelay-Durable"
ORIGINAL_SUBJECT: Final = "Radrelay-Subject"
ATTEMPTS: Final = "Radrelay-Attempts"
_OURS: Final = ("Radrelay-", "Nats-")
"""Beginnings of the headers that the burial and the broker added."""
_NO_MESSAGE: Final = 10037
_NO_SUCH_SEQUENCE: Final = 10043


class DeadLetters:
    """Publishes dead letters: the payload untouched, so that it can be replayed to its original subject."""

    def __init__(self, js: JetStreamContext) -> None:
        self._publisher = Publisher(js)

    async def bury(self, durable: Durable, message: Msg, reason: str, detail: str) -> None:
        """Keep `message` with its reason. The same message buried twice is kept once.

        Raises:
            PublishError: no receipt.
        """
        kept = {k: v for k, v in (message.headers or {}).items() if k not in {MESSAGE_ID, "Nats-Expected-Stream"}}
        propagate.inject(kept)  # it follows from the attempt that gave the message up
        await self._publisher.publish_raw(
            dead_letter_subject(tenant_in(message.subject), durable),
            message.data,
            message_id=f"{durable.name}:{message.metadata.stream}:{message.metadata.sequence.stream}",
            headers={
                **kept,
                REASON: reason,
                DETAIL: _one_line(detail),
                DURABLE: durable.label,
                ORIGINAL_SUBJECT: message.subject,
                ATTEMPTS: str(message.metadata.num_delivered),
            },
        )


async def count_dead_letters(js: JetStreamContext) -> None:
    """Bring the metric of dead letters to what is so now.

    Raises:
        nats.js.errors.APIError, nats.errors.Error: the broker is away, or refuses.
    """
    DEAD_LETTERS_WAITING.set((await js.stream_info(DEAD_LETTERS.name)).state.messages)


class NoDeadLetter(LookupError):
    """There is no dead letter with this number: there never was, it was sent again, or it grew too old."""


class NotReplayable(ValueError):
    """A dead letter does not say where it came from in a way that can be believed."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, and why."""

    sequence: int
    """Its number in the stream of dead letters."""
    buried_at: datetime
    tenant: str
    durable: str
    """Who gave it up; the lane, where tenants have durables of their own."""
    reason: str
    detail: str
    attempts: int
    original_subject: str
    headers: dict[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; None is any."""

    tenant: str | None = None
    durable: str | None = None
    reason: str | None = None

    @property
    def subject(self) -> str:
        """The subjects of this tenant and durable."""
        return f"{ROOT}.{self.tenant or '*'}.deadletter.{self.durable or '*'}"


class DeadLetterStream:
    """Reads dead letters and sends them again."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self._publisher = Publisher(js)

    async def find(self, selection: Selection) -> AsyncIterator[DeadLetter]:
        """Every dead letter of the selection, oldest first.

        Raises:
            nats.js.errors.APIError: the server refuses, or there is no stream of dead letters.
        """
        sequence = 1
        while True:
            try:
                found = await self._js.get_msg(DEAD_LETTERS.name, seq=sequence, subject=selection.subject, next=True)
            except NotFoundError as error:
                if error.err_code == _NO_MESSAGE:
                    return
                raise
            letter = _read(found)
            if selection.reason in (None, letter.reason):
                yield letter
            sequence = letter.sequence + 1

    async def get(self, sequence: int) -> DeadLetter:
        """One dead letter.

        Raises:
            NoDeadLetter: there is none with this number.
            nats.js.errors.APIError: the server refuses, or there is no stream of dead letters.
        """
        try:
            return _read(await self._js.get_msg(DEAD_LETTERS.name, seq=sequence))
        except NotFoundError as error:
            if error.err_code == _NO_MESSAGE:
                raise NoDeadLetter(f"there is no dead letter {sequence}") from error
            raise

    async def replay(self, letter: DeadLetter) -> None:
        """Send it to its original subject again, payload unchanged, and remove it here once the broker has it.

        The message id follows from the number, so that a letter replayed twice within the duplicate window is sent
        once. Everybody who reads that subject gets the event again, under its old id: whoever applied it before drops
        it by its inbox.

        Raises:
            NotReplayable: its original subject is missing or is not its tenant's.
            PublishError: no receipt; the dead letter stays.
            nats.js.errors.APIError: it was sent, and the server refuses to remove it.
        """
        subject = letter.original_subject
        if not subject.startswith(f"{ROOT}.{letter.tenant}.") or subject.startswith(
            f"{ROOT}.{letter.tenant}.deadletter."
        ):
            raise NotReplayable(f"dead letter {letter.sequence} has no original subject of its tenant: {subject!r}")
        headers = {name: value for name, value in letter.headers.items() if not name.startswith(_OURS)}
        message_id = f"replay:{DEAD_LETTERS.name}:{letter.sequence}"
        await self._publisher.publish_raw(subject, letter.payload, message_id=message_id, headers=headers)
        try:
            await self._js.delete_msg(DEAD_LETTERS.name, letter.sequence)
        except APIError as error:
            if error.err_code not in (_NO_MESSAGE, _NO_SUCH_SEQUENCE):  # somebody else replayed it in the same moment
                raise


def _read(message: RawStreamMsg) -> DeadLetter:
    if message.seq is None or message.subject is None or message.time is None:
        raise TypeError("the server left out what every stored message has")
    headers = dict(message.headers or {})
    _, _, tenant, _, durable = message.subject.split(".", 4)
    return DeadLetter(
        sequence=message.seq,
        buried_at=message.time,
        tenant=tenant,
        durable=durable,
        reason=headers.get(REASON, ""),
        detail=headers.get(DETAIL, ""),
        attempts=int(headers.get(ATTEMPTS, "0")),
        original_subject=headers.get(ORIGINAL_SUBJECT, ""),
        headers=headers,
        payload=message.data or b"",
    )


def _one_line(text: str) -> str:
    """Header values hold no line breaks."""
    return " ".join(text.split())[:500]
