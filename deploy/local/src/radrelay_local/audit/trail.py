"""A tenant's audit trail, read as its administrator over HTTP, and the heads of it that were published."""

from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Final, Self, TypeVar
from uuid import UUID

import httpx
from nats.js import JetStreamContext
from pydantic import AwareDatetime, BaseModel, ValidationError

from radrelay_local.errors import StackError
from radrelay_shared.audit import AuditFact, AuditRecord, Head
from radrelay_shared.messaging.audit_heads import published_heads

_PER_PAGE: Final = 1000
_TIMEOUT_S: Final = 30.0

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class _Record(BaseModel):
    sequence: int
    tenant: str
    actor: str
    action: str
    at: AwareDatetime
    batch_id: UUID | None
    instance_id: UUID | None
    report_id: UUID | None = None
    """Older services do not say it, nor the next."""
    destination_id: UUID | None = None
    fingerprint: str | None
    reason: str | None
    prev_hash: str
    hash: str

    def record(self) -> AuditRecord:
        fact = AuditFact(
            tenant=self.tenant,
            actor=self.actor,
            action=self.action,
            at=self.at,
            batch_id=self.batch_id,
            instance_id=self.instance_id,
            report_id=self.report_id,
            destination_id=self.destination_id,
            fingerprint=self.fingerprint,
            reason=self.reason,
        )
        return AuditRecord(fact, self.sequence, self.prev_hash, self.hash)


class _Page(BaseModel):
    records: list[_Record]


class _Head(BaseModel):
    tenant: str
    sequence: int


class AuditTrail:
    """The audit trail of one tenant in one service. Use as a context manager.

    Args:
        service: whose trail it is.
        api_url: address of the service's API.
        token: bearer token of an administrator of the tenant.
        tenant: whose trail is wanted.
    """

    def __init__(self, service: str, api_url: str, token: str, tenant: str) -> None:
        self._service = service
        self._tenant = tenant
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=api_url, headers=headers, timeout=_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def records(self, *, after: int = 0) -> Iterator[AuditRecord]:
        """Every record after number `after` that is there now, in order.

        It ends where the trail ended at the first request: reading adds to it.

        Raises:
            StackError: the API is away, or refuses, or the token is another tenant's.
        """
        head = self._get(_Head, "/v1/audit/head", {})
        if head.tenant != self._tenant:
            raise StackError(f"the token is of tenant {head.tenant}, not of {self._tenant}")
        end = head.sequence
        while after < end:
            parameters = {"after": after, "limit": min(_PER_PAGE, end - after)}
            page = self._get(_Page, "/v1/audit", parameters).records
            for each in page:
                if each.sequence <= end:
                    yield each.record()
            if not page:
                return
            after = page[-1].sequence

    def _get(self, kind: type[AnswerT], path: str, parameters: dict[str, int]) -> AnswerT:
        try:
            answer = self._http.get(path, params=parameters)
        except httpx.HTTPError as error:
            raise StackError(f"the {self._service} API cannot be reached: {error}; is the stack up?") from error
        if answer.status_code != httpx.codes.OK:
            raise StackError(f"the {self._service} API refused with {answer.status_code}: {answer.text}")
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise StackError(f"GET {path}: this is no answer of the {self._service} API") from error


async def read_heads(js: JetStreamContext, tenant: str, service: str) -> list[tuple[Head, datetime]]:
    """The published heads, oldest first, and when each was published.

    Raises:
        nats.errors.Error, InvalidEvent: see `published_heads`.
    """
    return [
        (Head(event.data.sequence, event.data.hash), event.time) async for event in published_heads(js, tenant, service)
    ]
