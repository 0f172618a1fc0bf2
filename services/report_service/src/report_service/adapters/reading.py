"""The statements that read the worklist.

Row security alone keeps other tenants and owners out. The same conditions are said again in each query, for the
planner: it finds the matching index by them.

A page is put together from short walks along one index. Each walk has one urgency, and where it is asked for kinds of
results also one kind and one review state, or one study; so an index has just what is asked for in worklist order, and
a walk ends after as many reports as a page has. How many reports there are does not matter, however rare those are
that are asked for. A series is walked as its study, whose other series are passed over.

Each statement is built once for each shape: building one again costs more than running it.
"""

from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    TableValuedAlias,
    any_,
    bindparam,
    column,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from radrelay_shared.database import Scope
from radrelay_shared.events import Urgency
from report_service.adapters.tables import Base
from report_service.domain.report import ReviewState
from report_service.domain.worklist import COUNTED_UP_TO, Filters, WorklistQuery

REPORTS: Final = Base.metadata.tables["report.reports"].c
KINDS: Final = Base.metadata.tables["report.kinds"].c
INSTANCES: Final = Base.metadata.tables["report.instances"].c
SERIES: Final = Base.metadata.tables["report.series"].c
STUDIES: Final = Base.metadata.tables["report.studies"].c
_TABLES: Final = Base.metadata.tables
_EARLIEST: Final = datetime(1, 1, 1, tzinfo=UTC)
_OF_KIND: Final = ("finding", "positive", "modality", "model_digest")
_FILTERS: Final = tuple(field.name for field in fields(Filters) if field.name != "urgency")
_START: Final = ("urgency", "received_at", "report_id", "review_state")
_PLACE: Final = (REPORTS.urgency, REPORTS.received_at, REPORTS.report_id)

WHOLE_REPORTS: Final = (
    _TABLES["report.reports"]
    .join(_TABLES["report.kinds"], (KINDS.tenant == REPORTS.tenant) & (KINDS.kind_id == REPORTS.kind_id))
    .join(
        _TABLES["report.instances"],
        (INSTANCES.tenant == REPORTS.tenant)
        & (INSTANCES.owner_id == REPORTS.owner_id)
        & (INSTANCES.instance_id == REPORTS.instance_id),
    )
    .join(_TABLES["report.series"], (SERIES.tenant == INSTANCES.tenant) & (SERIES.series_id == INSTANCES.series_id))
    .join(_TABLES["report.studies"], (STUDIES.tenant == SERIES.tenant) & (STUDIES.study_id == SERIES.study_id))
)
"""Reports with what they refer to."""
OF_REPORTS: Final = (
    *(each for each in REPORTS if each.name not in {"study_id", "kind_id"}),
    *(each for each in KINDS if each.name not in {"tenant", "kind_id"}),
    *(INSTANCES.sop_instance_uid, INSTANCES.sop_class_uid, INSTANCES.source_key),
    *(INSTANCES.body_part, INSTANCES.instance_number),
    *(SERIES.series_instance_uid, STUDIES.study_instance_uid, STUDIES.patient_sealed.label("sealed_patient")),
)


class Shape(NamedTuple):
    """What a statement depends on, beside its parameters."""

    of_owner: bool
    asked: frozenset[str]
    """The filters that let not everything through; of the urgencies only the walks know."""

    @classmethod
    def of(cls, filters: Filters, scope: Scope) -> Self:
        """The shape of the statements for these filters."""
        return cls(
            scope.role == "clinician", frozenset(name for name in _FILTERS if getattr(filters, name) is not None)
        )

    @property
    def by_study(self) -> bool:
        """Whether only one study, one series or one patient's studies are asked for."""
        return not self.asked.isdisjoint({"study_instance_uid", "series_instance_uid", "patient_hash"})

    @property
    def by_kind(self) -> bool:
        """Whether kinds are walked one by one: not in a study or a batch, which are few reports already."""
        return not self.by_study and "batch_id" not in self.asked

    @property
    def asks_kind(self) -> bool:
        """Whether it is asked what kind of result a report has, or what became of it."""
        return not self.asked.isdisjoint({*_OF_KIND, "review_state"})


def parameters_of(filters: Filters, scope: Scope, **further: Any) -> dict[str, Any]:
    """The parameters of the statements below, for any of their shapes."""
    asked = {name: getattr(filters, name) for name in _FILTERS}
    return asked | {"tenant": scope.tenant, "owner_id": scope.owner_id} | further


def starts_of(filters: Filters, *, by_state: bool) -> dict[str, Any]:
    """The parameters that say where walks begin: one for each urgency that is asked for, or each of its states."""
    states = tuple(ReviewState) if filters.review_state is None else (filters.review_state,)
    rows = [(*at, state) for at in _beginnings(filters) for state in (states if by_state else states[:1])]
    return {f"start_{name}": [row[number] for row in rows] for number, name in enumerate(_START)}


def walks_states(shape: Shape, *, counting: bool) -> bool:
    """Whether there is a walk for each review state."""
    return counting or (shape.by_kind and shape.asks_kind)


@cache
def find(of_owner: bool) -> Select[Any]:  # noqa: FBT001  # what it is cached by
    """The report `report_id`."""
    conditions = (*visible(of_owner, REPORTS), REPORTS.report_id == _given(REPORTS.report_id))
    return select(*OF_REPORTS).select_from(WHOLE_REPORTS).where(*conditions)


@cache
def find_all() -> Select[Any]:
    """The reports `report_ids` of the tenant, in the order of their identifiers."""
    wanted = bindparam("report_ids", type_=ARRAY(REPORTS.report_id.type))
    conditions = (*visible(False, REPORTS), REPORTS.report_id == any_(wanted))  # noqa: FBT003  # of whomever
    return select(*OF_REPORTS).select_from(WHOLE_REPORTS).where(*conditions).order_by(REPORTS.report_id)


@cache
def page(shape: Shape) -> Select[Any]:
    """At most `at_most` reports in worklist order."""
    starts = _starts()
    walk = (
        select(*_PLACE)
        .where(
            REPORTS.urgency == starts.c.urgency,
            *_of_reports(shape),
            tuple_(*_PLACE[1:]) > tuple_(starts.c.received_at, starts.c.report_id),
        )
        .order_by(*_PLACE[1:])
        .limit(bindparam("at_most"))
    )
    if walks_states(shape, counting=False):
        walk = walk.where(REPORTS.review_state == starts.c.review_state)
    walks, found = _walked(shape, starts, walk, of_kinds=shape.asks_kind)
    place = (found.c.urgency, found.c.received_at, found.c.report_id)
    places = select(*place).select_from(walks).order_by(*place).limit(bindparam("at_most")).subquery("page")
    # Each report by itself, or else the planner may read all of a tenant's to pick a page of them.
    whole = (
        select(*OF_REPORTS)
        .select_from(WHOLE_REPORTS)
        .where(*visible(shape.of_owner, REPORTS), REPORTS.report_id == places.c.report_id)
        .limit(1)
        .lateral("whole")
    )
    order = (places.c.urgency, places.c.received_at, places.c.report_id)
    return select(*whole.c).select_from(places.join(whole, true())).order_by(*order)


@cache
def counts(shape: Shape) -> Select[Any]:
    """How many reports there are of each urgency and review state; of no walk more than `COUNTED_UP_TO` + 1."""
    starts = _starts()
    walk = select(REPORTS.urgency, REPORTS.review_state).where(
        REPORTS.urgency == starts.c.urgency,
        REPORTS.review_state == starts.c.review_state,
        *_of_reports(shape),
    )
    if "received_from" in shape.asked:
        walk = walk.where(REPORTS.received_at >= bindparam("received_from", type_=REPORTS.received_at.type))
    walks, found = _walked(shape, starts, walk.limit(COUNTED_UP_TO + 1), of_kinds=True)
    cell = (found.c.urgency, found.c.review_state)
    return select(*cell, func.count().label("number")).select_from(walks).group_by(*cell)


def visible(of_owner: bool, columns: Any) -> list[ColumnElement[bool]]:  # noqa: FBT001  # a condition, said once
    """The conditions of row security on a table with owners, for the planner."""
    conditions: list[ColumnElement[bool]] = [columns.tenant == _given(columns.tenant)]
    if of_owner:
        conditions.append(columns.owner_id == _given(columns.owner_id))
    return conditions


def is_series() -> ColumnElement[bool]:
    """Whether a row of series is of the Series Instance UID that is asked for."""
    return SERIES.series_instance_uid == _given(SERIES.series_instance_uid)


def studies_of(shape: Shape) -> Select[Any]:
    """The identifiers of the studies that are asked for; where a series is, of those that have it."""
    names = ("study_instance_uid", "patient_hash")
    asked = (STUDIES[name] == _given(STUDIES[name]) for name in names if name in shape.asked)
    studies = select(STUDIES.study_id).where(*visible(shape.of_owner, STUDIES), *asked)
    if "series_instance_uid" in shape.asked:
        having = select(SERIES.study_id).where(*visible(shape.of_owner, SERIES), is_series())
        studies = studies.where(STUDIES.study_id.in_(having))
    return studies


def _given(known: ColumnElement[Any]) -> BindParameter[Any]:
    """The parameter that is named as a column."""
    return bindparam(known.key, type_=known.type)


def _beginnings(filters: Filters) -> list[tuple[Urgency, datetime, UUID]]:
    """For each urgency that is asked for, the place after which reports are."""
    after = filters.after if isinstance(filters, WorklistQuery) else None
    # No identifier of a report is nil, so this is just before the first one of that moment.
    first = (filters.received_from or _EARLIEST, UUID(int=0))
    wanted = [each for each in Urgency if filters.urgency in {None, each}]
    if after is None:
        return [(urgency, *first) for urgency in wanted]
    order = list(Urgency)
    reached = order.index(after.urgency)
    return [
        (urgency, *(max(first, (after.received_at, after.report_id)) if urgency is after.urgency else first))
        for urgency in wanted
        if order.index(urgency) >= reached
    ]


def _starts() -> TableValuedAlias:
    """The beginnings as a table; none where there is nothing that could be found."""
    given = (bindparam(f"start_{name}", type_=ARRAY(REPORTS[name].type)) for name in _START)
    columns = (column(name, REPORTS[name].type) for name in _START)
    return func.unnest(*given).table_valued(*columns, name="start").render_derived()


def _of_reports(shape: Shape) -> list[ColumnElement[bool]]:
    """What is asked of every report, beside its study or its kind where the walks are of those."""
    conditions = visible(shape.of_owner, REPORTS)
    if "received_before" in shape.asked:
        before = bindparam("received_before", type_=REPORTS.received_at.type)
        conditions.append(REPORTS.received_at < before)
    if "batch_id" in shape.asked:
        conditions.append(REPORTS.batch_id == _given(REPORTS.batch_id))
    if not shape.by_kind:
        if "review_state" in shape.asked:
            conditions.append(REPORTS.review_state == _given(REPORTS.review_state))
        if not shape.asked.isdisjoint(_OF_KIND):
            conditions.append(REPORTS.kind_id == any_(func.array(_kinds(shape).scalar_subquery())))
    return conditions


def _walked(
    shape: Shape, starts: TableValuedAlias, walk: Select[Any], *, of_kinds: bool
) -> tuple[FromClause, FromClause]:
    """The walks from every start, through every study or kind that is asked for, and what they find."""
    along: FromClause = starts
    if shape.by_study:
        studies = studies_of(shape).subquery("study")
        walk, along = walk.where(REPORTS.study_id == studies.c.study_id), along.join(studies, true())
        if "series_instance_uid" in shape.asked:
            walk = walk.where(_is_of_series())
    elif of_kinds and shape.by_kind:
        kinds = _kinds(shape).subquery("kind")
        walk, along = walk.where(REPORTS.kind_id == kinds.c.kind_id), along.join(kinds, true())
    found = walk.lateral("found")
    return along.join(found, true()), found


def _is_of_series() -> ColumnElement[bool]:
    """Whether the image of a report is of that series."""
    of_image = (INSTANCES[name] == REPORTS[name] for name in ("tenant", "owner_id", "instance_id"))
    joined = (SERIES.tenant == INSTANCES.tenant) & (SERIES.series_id == INSTANCES.series_id)
    return (
        select(INSTANCES.instance_id)
        .select_from(_TABLES["report.instances"].join(_TABLES["report.series"], joined))
        .where(*of_image, is_series())
        .correlate(_TABLES["report.reports"])
        .exists()
    )


def _kinds(shape: Shape) -> Select[Any]:
    asked = (KINDS[name] == _given(KINDS[name]) for name in _OF_KIND if name in shape.asked)
    return select(KINDS.kind_id).where(KINDS.tenant == _given(KINDS.tenant), *asked)
