"""Erasing images on PostgreSQL: the part of a transaction that is about it, and what is left to do of all tenants.

Row security adds the tenant to every statement, and lets only services delete: see migration 0008.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ingest_service.adapters import statements
from ingest_service.adapters.tables import Base, OutboxRow
from ingest_service.domain.erasure import ErasableImage, ErasureTarget, Leftover
from radrelay_shared.database import Database, forget_published

_TABLES: Final = Base.metadata.tables
_batch, _file = _TABLES["ingest.batch"], _TABLES["ingest.batch_file"]
_instance, _upload = _TABLES["ingest.instance"], _TABLES["ingest.resumable_upload"]
_pseudonym, _of_pseudonym = _TABLES["ingest.pseudonym"], _TABLES["ingest.pseudonym_image"]
_answer, _leftover = _TABLES["ingest.remembered_answer"], _TABLES["ingest.erasure_leftover"]
_new_leftover = insert(_leftover)
_LEAVE: Final = _new_leftover.on_conflict_do_update(
    index_elements=[_leftover.c.tenant, _leftover.c.instance_id],
    set_={"erased_at": _new_leftover.excluded.erased_at},
)


class ErasureTransaction:
    """Erasing images of one tenant."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._erasure_connection = connection

    async def lock_erasable(self, target: ErasureTarget, before: datetime, limit: int) -> Sequence[ErasableImage]:
        """Images of the target that were received before; nobody else changes them until the transaction ends."""
        of_target = (
            _instance.c.instance_id == target.instance_id
            if target.study_instance_uid is None
            else _instance.c.study_instance_uid == target.study_instance_uid
        )
        query = (
            select(_instance.c.instance_id, _instance.c.batch_id, _instance.c.object_key)
            .where(of_target, _instance.c.received_at <= before)
            .order_by(_instance.c.instance_id)
            .limit(limit)
            .with_for_update()
        )
        return [ErasableImage(*row) for row in await self._erasure_connection.execute(query)]

    async def erase_images(self, tenant: str, images: Sequence[ErasableImage], at: datetime) -> None:
        """Remove images with what is recorded of them, and note what is left to remove.

        With the last file of a batch its label and the names of its uploads go, with the last image of a patient the
        mapping of their pseudonym.
        """
        ids = [image.instance_id for image in images]
        run = self._erasure_connection.execute
        values = [
            {"tenant": tenant, "instance_id": each.instance_id, "object_key": each.object_key, "erased_at": at}
            for each in images
        ]
        await run(_LEAVE, values)
        pseudonyms = await run(
            delete(_of_pseudonym).where(_of_pseudonym.c.instance_id.in_(ids)).returning(_of_pseudonym.c.pseudonym)
        )
        files = await run(delete(_file).where(_file.c.instance_id.in_(ids)).returning(_file.c.batch_id))
        batch_ids = {row.batch_id for row in files}
        await run(delete(_instance).where(_instance.c.instance_id.in_(ids)))
        unused = ~exists().where(
            _of_pseudonym.c.tenant == _pseudonym.c.tenant, _of_pseudonym.c.pseudonym == _pseudonym.c.pseudonym
        )
        named = _pseudonym.c.pseudonym.in_({row.pseudonym for row in pseudonyms})
        await run(delete(_pseudonym).where(named, unused))
        await run(update(_batch).where(*_emptied(_batch.c.batch_id, batch_ids)).values(label=None))
        ended = (*_emptied(_upload.c.batch_id, batch_ids), _upload.c.ended_at.is_not(None))
        await run(update(_upload).where(*ended).values({_upload.c["metadata"]: None}))
        await run(delete(_answer).where(or_(*(func.strpos(_answer.c.answer, str(each)) > 0 for each in ids))))
        for batch_id in batch_ids:
            await run(statements.NOTIFY, {"batch_id": str(batch_id)})

    async def forget_leftover(self, instance_id: UUID) -> None:
        """Note that nothing is left of an image."""
        await self._erasure_connection.execute(delete(_leftover).where(_leftover.c.instance_id == instance_id))


def _emptied(batch_id: ColumnElement[UUID], batch_ids: Collection[UUID]) -> tuple[ColumnElement[bool], ...]:
    return batch_id.in_(batch_ids), ~exists().where(_file.c.batch_id == batch_id)


class PostgresLeftovers:
    """What is left to remove of erased images, seen by the system role."""

    def __init__(self, system_database: Database) -> None:
        self._database = system_database

    async def oldest(self, limit: int) -> Sequence[Leftover]:
        """What is left, oldest first."""
        query = select(_leftover.c.tenant, _leftover.c.instance_id, _leftover.c.object_key)
        async with self._database.system_transaction() as session:
            rows = await session.execute(query.order_by(_leftover.c.erased_at).limit(limit))
            return [Leftover(*row) for row in rows]

    async def forget_events(self, instance_ids: Collection[UUID]) -> Collection[UUID]:
        """Remove what was published of images; return those of which something waits to be published."""
        async with self._database.system_transaction() as session:
            return await forget_published(session, OutboxRow, instance_ids)
