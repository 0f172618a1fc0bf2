"""Remembered answers on PostgreSQL.

Row security keeps tenants apart; each query names the caller too, since an administrator's scope is wider than their
own keys.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from ingest_service.adapters.tables import RememberedAnswerRow
from ingest_service.domain.idempotency import ABANDONED_AFTER_S, KEPT_FOR_S, Claim, KeyedRequest
from radrelay_shared.database import Database, Scope

_ROW: Final = RememberedAnswerRow


class PostgresAnswers:
    """The port for answers; each call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, caller: Scope, request: KeyedRequest, now: datetime) -> Claim | None:
        """Begin with a request, or see how it stands; None where its key was let go in this moment."""
        of_key = _of_key(caller, request.key)
        expired = delete(_ROW).where(*of_key, _ROW.created_at < now - timedelta(seconds=KEPT_FOR_S))
        first = (
            insert(_ROW)
            .values(
                tenant=caller.tenant,
                owner_id=caller.owner_id,
                key=request.key,
                fingerprint=request.fingerprint,
                work_id=uuid4(),
                created_at=now,
                claimed_at=now,
            )
            .on_conflict_do_nothing()
            .returning(_ROW.work_id)
        )
        abandoned = (
            update(_ROW)
            .where(
                *of_key,
                _ROW.fingerprint == request.fingerprint,
                _ROW.answer.is_(None),
                _ROW.claimed_at < now - timedelta(seconds=ABANDONED_AFTER_S),
            )
            .values(claimed_at=now)
            .returning(_ROW.work_id)
        )
        async with self._database.transaction(caller) as session:
            await session.execute(expired)
            for claiming in (first, abandoned):
                work_id = (await session.execute(claiming)).scalar()
                if work_id is not None:
                    return Claim(work_id, request.fingerprint, is_ours=True, answer=None)
            found = (await session.execute(select(_ROW.work_id, _ROW.fingerprint, _ROW.answer).where(*of_key))).first()
        return None if found is None else Claim(found.work_id, found.fingerprint, is_ours=False, answer=found.answer)

    async def keep(self, caller: Scope, key: str, work_id: UUID, answer: str) -> None:
        """Remember the answer."""
        statement = update(_ROW).where(*_of_key(caller, key), _ROW.work_id == work_id).values(answer=answer)
        async with self._database.transaction(caller) as session:
            await session.execute(statement)

    async def let_go(self, caller: Scope, key: str, work_id: UUID) -> None:
        """Forget a request that got no answer."""
        statement = delete(_ROW).where(*_of_key(caller, key), _ROW.work_id == work_id, _ROW.answer.is_(None))
        async with self._database.transaction(caller) as session:
            await session.execute(statement)


def _of_key(caller: Scope, key: str) -> tuple[Any, ...]:
    return _ROW.tenant == caller.tenant, _ROW.owner_id == caller.owner_id, _ROW.key == key
