"""The statements about the objects that rows refer to, built once; row security adds the tenant."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import TextClause, bindparam, case, func, select, text, update

from ingest_service.adapters.tables import Base
from ingest_service.domain.lifecycle import OBJECT_LOST, UNFINISHED, FileStatus
from ingest_service.domain.reconciling import Shelf

_instance = Base.metadata.tables["ingest.instance"]
_rejected = Base.metadata.tables["ingest.rejected_file"]

# One transaction at a time for each object: see docs/adr/0017.
HOLD_OBJECT: Final[TextClause] = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 3141002))")
_object_columns = {
    Shelf.INSTANCES: (
        _instance.c.instance_id.label("row_id"),
        _instance.c.object_key.label("key"),
        _instance.c.size_bytes,
        _instance.c.sha256,
        _instance.c.lost_at.is_not(None).label("is_given_up"),
    ),
    Shelf.REJECTED: (
        _rejected.c.rejected_id.label("row_id"),
        _rejected.c.object_key.label("key"),
        _rejected.c.size_bytes,
        _rejected.c.fingerprint.label("sha256"),
        (_rejected.c.kept_until <= func.now()).label("is_given_up"),
    ),
}
_row_ids = {Shelf.INSTANCES: _instance.c.instance_id, Shelf.REJECTED: _rejected.c.rejected_id}
# Keys of one tenant and shelf differ in the identifier alone, so its order is that of the keys.
LIST_OBJECTS: Final[Mapping[Shelf, Any]] = {
    shelf: select(*columns).order_by(_row_ids[shelf]).limit(bindparam("limit"))
    for shelf, columns in _object_columns.items()
}
LIST_OBJECTS_AFTER: Final[Mapping[Shelf, Any]] = {
    shelf: query.where(_row_ids[shelf] > bindparam("after", type_=_row_ids[shelf].type))
    for shelf, query in LIST_OBJECTS.items()
}
FIND_OBJECT: Final[Mapping[Shelf, Any]] = {
    shelf: select(*columns).where(_row_ids[shelf] == bindparam("row_id")).with_for_update(key_share=True)
    for shelf, columns in _object_columns.items()
}
_waits = _instance.c.status.in_(UNFINISHED)
MARK_LOST: Final = (
    update(_instance)
    .where(_instance.c.instance_id == bindparam("lost_instance_id"))
    .values(
        lost_at=bindparam("at"),
        status=case((_waits, FileStatus.FAILED.value), else_=_instance.c.status),
        status_at=case((_waits, bindparam("at")), else_=_instance.c.status_at),
        reason=case((_waits, OBJECT_LOST), else_=_instance.c.reason),
        detail=case((_waits, bindparam("detail")), else_=_instance.c.detail),
    )
)
MARK_FOUND: Final = (
    update(_instance)
    .where(_instance.c.instance_id == bindparam("found_instance_id"))
    .values(lost_at=None, size_bytes=bindparam("found_size_bytes"), sha256=bindparam("found_sha256"))
)
