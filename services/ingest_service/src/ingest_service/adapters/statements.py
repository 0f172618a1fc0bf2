"""The statements of intake, built once: building one again for every file costs more than running it.

Row security adds the tenant and the owner to every one of them.
"""

from typing import Final

from sqlalchemy import Text, TextClause, and_, bindparam, cast, func, literal, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from ingest_service.adapters.tables import Base
from ingest_service.domain.lifecycle import FileStatus

BATCH_CHANNEL: Final = "ingest_batch"
"""NOTIFY channel; the payload is the identifier of a batch that changed."""

_batch = Base.metadata.tables["ingest.batch"]
_instance = Base.metadata.tables["ingest.instance"]
_file = Base.metadata.tables["ingest.batch_file"]
_audit = Base.metadata.tables["ingest.audit"]

_of_file = and_(_instance.c.tenant == _file.c.tenant, _instance.c.instance_id == _file.c.instance_id)
_status = func.coalesce(_instance.c.status, FileStatus.REJECTED.value)

ADD_BATCH: Final = insert(_batch)
FIND_BATCH: Final = select(_batch).where(_batch.c.batch_id == bindparam("batch_id"))
LIST_BATCHES: Final = (
    select(_batch).order_by(_batch.c.created_at.desc(), _batch.c.batch_id.desc()).limit(bindparam("limit"))
)
LIST_BATCHES_AFTER: Final = LIST_BATCHES.where(
    tuple_(_batch.c.created_at, _batch.c.batch_id)
    < tuple_(
        bindparam("created_at", type_=_batch.c.created_at.type), bindparam("batch_id", type_=_batch.c.batch_id.type)
    )
)
# The lock is the one that foreign keys take: files are recorded side by side, and closing waits for them.
LOCK_OPENNESS: Final = (
    select(_batch.c.closed_at)
    .where(_batch.c.batch_id == bindparam("batch_id"))
    .with_for_update(read=True, key_share=True)
)
LOCK_OPEN_BATCH: Final = (
    select(_batch.c.batch_id)
    .where(_batch.c.batch_id == bindparam("batch_id"), _batch.c.closed_at.is_(None))
    .with_for_update()
)
CLOSE_BATCH: Final = (
    update(_batch).where(_batch.c.batch_id == bindparam("closed_batch_id")).values(closed_at=bindparam("at"))
)
# Counted from the rows each time: there is no counter that could drift.
COUNT_FILES: Final = (
    select(_file.c.batch_id, _status.label("status"), func.count().label("number"))
    .select_from(_file.outerjoin(_instance, _of_file))
    .where(_file.c.batch_id.in_(bindparam("batch_ids", expanding=True)))
    .group_by(_file.c.batch_id, _status)
)

ADD_INSTANCE: Final = insert(_instance).on_conflict_do_nothing().returning(_instance.c.instance_id)
FIND_INSTANCE_UID: Final = select(_instance.c.sop_instance_uid).where(
    _instance.c.instance_id == bindparam("instance_id")
)
MARK_INSTANCE: Final = (
    update(_instance)
    .where(
        _instance.c.instance_id == bindparam("marked_instance_id"),
        _instance.c.status.in_(bindparam("allowed_from", expanding=True)),
    )
    .values(
        status=bindparam("status"),
        status_at=bindparam("at"),
        reason=bindparam("reason"),
        detail=bindparam("detail"),
        report_id=bindparam("report_id"),
    )
    .returning(_instance.c.instance_id)
)

_new_file = insert(_file)
# The same file sent again gets the same row, so that a client may repeat an upload that broke off.
ADD_FILE: Final = _new_file.on_conflict_do_update(
    index_elements=[_file.c.tenant, _file.c.batch_id, _file.c.name, _file.c.fingerprint],
    set_={name: _new_file.excluded[name] for name in ("instance_id", "reason", "detail")},
    where=_file.c.instance_id.is_(None),
)
LIST_FILES: Final = (
    select(
        _file.c.name,
        _file.c.fingerprint,
        _file.c.instance_id,
        _file.c.received_at,
        _status.label("status"),
        func.coalesce(_instance.c.reason, _file.c.reason).label("reason"),
        func.coalesce(_instance.c.detail, _file.c.detail).label("detail"),
        _instance.c.report_id,
    )
    .select_from(_file.outerjoin(_instance, _of_file))
    .where(_file.c.batch_id == bindparam("batch_id"))
    .order_by(_file.c.name, _file.c.fingerprint)
    .limit(bindparam("limit"))
)
LIST_FILES_AFTER: Final = LIST_FILES.where(
    tuple_(_file.c.name, _file.c.fingerprint) > tuple_(bindparam("name"), bindparam("fingerprint"))
)

NOTIFY: Final = select(func.pg_notify(literal(BATCH_CHANNEL), bindparam("batch_id")))
_holders = select(_file.c.batch_id).where(_file.c.instance_id == bindparam("instance_id")).distinct().subquery()
NOTIFY_HOLDERS: Final = select(func.pg_notify(literal(BATCH_CHANNEL), cast(_holders.c.batch_id, Text)))

LOCK_AUDIT: Final[TextClause] = text("SELECT pg_advisory_xact_lock(3141001, hashtext(:tenant))")
NEWEST_AUDIT: Final = select(_audit).order_by(_audit.c.sequence.desc()).limit(1)
ADD_AUDIT: Final = insert(_audit)
