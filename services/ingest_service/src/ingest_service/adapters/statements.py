"""The statements of intake, built once: building one again for every file costs more than running it.

Row security adds the tenant and the owner to every one of them.
"""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from ingest_service.adapters.tables import Base
from ingest_service.domain.lifecycle import ALLOWED_FROM, MAY_PASS, FileStatus

BATCH_CHANNEL: Final = "ingest_batch"
"""NOTIFY channel; the payload is the identifier of a batch that changed."""

_batch = Base.metadata.tables["ingest.batch"]
_instance = Base.metadata.tables["ingest.instance"]
_file = Base.metadata.tables["ingest.batch_file"]
_rejected = Base.metadata.tables["ingest.rejected_file"]
_pseudonym = Base.metadata.tables["ingest.pseudonym"]
_tenant_usage = Base.metadata.tables["ingest.tenant_usage"]
_upload = Base.metadata.tables["ingest.resumable_upload"]
_user_usage = Base.metadata.tables["ingest.user_usage"]

_of_file = and_(_instance.c.tenant == _file.c.tenant, _instance.c.instance_id == _file.c.instance_id)
# A report wins over the cancellation of the file, as it does over that of the image.
_status = case(
    (
        and_(_file.c.cancelled_at.is_not(None), _instance.c.status != FileStatus.REPORTED.value),
        FileStatus.CANCELLED.value,
    ),
    else_=func.coalesce(_instance.c.status, FileStatus.REJECTED.value),
)


def _unless_cancelled(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((_file.c.cancelled_at.is_(None), value))


ADD_BATCH: Final = insert(_batch).on_conflict_do_nothing().returning(_batch.c.batch_id)
FIND_BATCH: Final = select(_batch).where(_batch.c.batch_id == bindparam("batch_id"))
FIND_BATCHES: Final = select(_batch).where(
    _batch.c.batch_id == any_(bindparam("batch_ids", type_=ARRAY(_batch.c.batch_id.type)))
)
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

AWAITED_UPLOADS: Final = (
    select(_upload.c.upload_id)
    .where(
        _upload.c.batch_id == bindparam("batch_id"),
        _upload.c.ended_at.is_(None),
        _upload.c.offset_bytes == _upload.c.length_bytes,
    )
    .limit(1)
)
ADD_INSTANCE: Final = insert(_instance).on_conflict_do_nothing().returning(_instance.c.instance_id)
# The lock makes whoever cancels the image wait for the file that is being recorded to hold it.
FIND_INSTANCE: Final = (
    select(_instance).where(_instance.c.instance_id == bindparam("instance_id")).with_for_update(key_share=True)
)
FIND_INSTANCES: Final = select(_instance).where(
    _instance.c.instance_id == any_(bindparam("instance_ids", type_=ARRAY(_instance.c.instance_id.type)))
)
FIND_NAMED: Final = select(_instance.c.instance_id).where(
    _instance.c.owner_id == bindparam("owner_id"), _instance.c.sop_instance_uid == bindparam("sop_instance_uid")
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
MARK_SUBMISSION: Final = MARK_INSTANCE.where(_instance.c.submission == bindparam("marked_submission"))

_held = (
    select(_file.c.name)
    .where(
        _file.c.tenant == _instance.c.tenant,
        _file.c.instance_id == _instance.c.instance_id,
        _file.c.batch_id == bindparam("batch_id"),
    )
    .exists()
)
# Locked in one order, so that two who change the same images wait for each other and not both for ever.
LOCK_RETRYABLE: Final = (
    select(_instance.c.instance_id)
    .where(
        or_(
            _instance.c.status == FileStatus.CANCELLED.value,
            and_(_instance.c.status == FileStatus.FAILED.value, _instance.c.reason.in_(MAY_PASS)),
        ),
        _instance.c.lost_at.is_(None),
        _held,
    )
    .order_by(_instance.c.instance_id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True)
)
RESUBMIT: Final = (
    update(_instance)
    .where(
        _instance.c.instance_id.in_(bindparam("instance_ids", expanding=True)),
        _instance.c.status.in_(ALLOWED_FROM[FileStatus.QUEUED]),
    )
    .values(
        status=FileStatus.QUEUED.value,
        status_at=bindparam("at"),
        reason=None,
        detail=None,
        submission=_instance.c.submission + 1,
    )
    .returning(_instance)
)

_waiting = (
    select(_file.c.name)
    .where(
        _file.c.tenant == _instance.c.tenant,
        _file.c.instance_id == _instance.c.instance_id,
        _file.c.cancelled_at.is_(None),
    )
    .exists()
)
LOCK_CANCELLABLE: Final = (
    select(_instance.c.instance_id)
    .where(
        _instance.c.status.in_(ALLOWED_FROM[FileStatus.CANCELLED]),
        _waiting.where(_file.c.batch_id == bindparam("batch_id")),
    )
    .order_by(_instance.c.instance_id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True)
)
CANCEL_INSTANCES: Final = (
    update(_instance)
    .where(
        _instance.c.instance_id.in_(bindparam("instance_ids", expanding=True)),
        _instance.c.status.in_(ALLOWED_FROM[FileStatus.CANCELLED]),
        ~_waiting,
    )
    .values(status=FileStatus.CANCELLED.value, status_at=bindparam("at"))
    .returning(_instance)
)

RESTORE_FILES: Final = (
    update(_file)
    .where(_file.c.batch_id == bindparam("restored_batch_id"), _file.c.cancelled_at.is_not(None))
    .values(cancelled_at=None)
    .returning(_file.c.name)
)
CANCEL_FILES: Final = (
    update(_file)
    .where(
        _file.c.batch_id == bindparam("cancelled_batch_id"),
        _file.c.instance_id.in_(bindparam("instance_ids", expanding=True)),
    )
    .values(cancelled_at=bindparam("at"))
)
_new_file = insert(_file)
# The same file sent again gets the same row, so that a client may repeat an upload that broke off. Whoever watches the
# batch is told where something changed.
ADD_FILE: Final = _new_file.on_conflict_do_update(
    index_elements=[_file.c.tenant, _file.c.batch_id, _file.c.name, _file.c.fingerprint],
    set_={name: _new_file.excluded[name] for name in ("instance_id", "reason", "detail")},
    where=_file.c.instance_id.is_(None),
).returning(func.pg_notify(BATCH_CHANNEL, cast(_file.c.batch_id, Text)))
LIST_FILES: Final = (
    select(
        _file.c.name,
        _file.c.fingerprint,
        _file.c.instance_id,
        _file.c.received_at,
        _status.label("status"),
        _unless_cancelled(func.coalesce(_instance.c.reason, _file.c.reason)).label("reason"),
        _unless_cancelled(func.coalesce(_instance.c.detail, _file.c.detail)).label("detail"),
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

KEEP_PATIENT: Final = insert(_pseudonym).on_conflict_do_nothing()
USE_PSEUDONYM: Final = insert(Base.metadata.tables["ingest.pseudonym_image"]).on_conflict_do_nothing()
FIND_PATIENT: Final = select(_pseudonym.c.sealed_patient_id).where(_pseudonym.c.pseudonym == bindparam("pseudonym"))

NOTIFY: Final = select(func.pg_notify(literal(BATCH_CHANNEL), bindparam("batch_id")))
_holders = (
    select(_file.c.batch_id)
    .where(_file.c.instance_id.in_(bindparam("instance_ids", expanding=True)))
    .distinct()
    .subquery()
)
NOTIFY_HOLDERS: Final = select(func.pg_notify(literal(BATCH_CHANNEL), cast(_holders.c.batch_id, Text)))

KEEP_REJECTED: Final = insert(_rejected).on_conflict_do_nothing()
FIND_REJECTED: Final = select(_rejected).where(_rejected.c.rejected_id == bindparam("rejected_id"))
EXPIRE_REJECTED: Final = (
    update(_rejected).where(_rejected.c.rejected_id == bindparam("expired_id")).values(kept_until=bindparam("at"))
)
LIST_REJECTED: Final = (
    select(_rejected)
    .where(_rejected.c.kept_until > bindparam("now"))
    .order_by(_rejected.c.rejected_at.desc(), _rejected.c.rejected_id.desc())
    .limit(bindparam("limit"))
)
REJECTED_OF_REASON: Final = _rejected.c.reason == bindparam("reason")
REJECTED_OF_BATCH: Final = _rejected.c.batch_id == bindparam("batch_id")
REJECTED_AFTER: Final = tuple_(_rejected.c.rejected_at, _rejected.c.rejected_id) < tuple_(
    bindparam("rejected_at", type_=_rejected.c.rejected_at.type),
    bindparam("rejected_id", type_=_rejected.c.rejected_id.type),
)

_tenant_file = insert(_tenant_usage)
_user_file = insert(_user_usage)
_tenant_sum = (
    _tenant_file.values({name: bindparam(name) for name in ("tenant", "day", "size_bytes", "files")})
    .on_conflict_do_update(
        index_elements=[_tenant_usage.c.tenant, _tenant_usage.c.day],
        set_={
            "size_bytes": _tenant_usage.c.size_bytes + _tenant_file.excluded.size_bytes,
            "files": _tenant_usage.c.files + _tenant_file.excluded.files,
        },
    )
    .returning(_tenant_usage.c.size_bytes, _tenant_usage.c.files)
    .cte("tenant_sum")
)
_user_sum = (
    _user_file.values({name: bindparam(name) for name in ("tenant", "day", "owner_id", "size_bytes")})
    .on_conflict_do_update(
        index_elements=[_user_usage.c.tenant, _user_usage.c.day, _user_usage.c.owner_id],
        set_={"size_bytes": _user_usage.c.size_bytes + _user_file.excluded.size_bytes},
    )
    .returning(_user_usage.c.size_bytes)
    .cte("user_sum")
)
# Each row stays locked until the transaction ends, so sums that were read when adding hold until then.
ADD_USAGE: Final = select(
    select(_tenant_sum.c.size_bytes).scalar_subquery().label("tenant_bytes"),
    select(_tenant_sum.c.files).scalar_subquery().label("tenant_files"),
    select(_user_sum.c.size_bytes).scalar_subquery().label("user_bytes"),
)
_of_day = _tenant_usage.c.day == bindparam("day", type_=_tenant_usage.c.day.type)
_of_user = and_(
    _user_usage.c.day == bindparam("day", type_=_user_usage.c.day.type),
    _user_usage.c.owner_id == bindparam("owner_id"),
)
USED_ON: Final = select(
    func.coalesce(select(_tenant_usage.c.size_bytes).where(_of_day).scalar_subquery(), 0).label("tenant_bytes"),
    func.coalesce(select(_tenant_usage.c.files).where(_of_day).scalar_subquery(), 0).label("tenant_files"),
    func.coalesce(select(_user_usage.c.size_bytes).where(_of_user).scalar_subquery(), 0).label("user_bytes"),
)
