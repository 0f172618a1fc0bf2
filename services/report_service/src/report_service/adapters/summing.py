"""The statements that read studies and patients as a whole: each looks only at the reports of the studies asked for."""

from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, distinct, func, select

from report_service.adapters.reading import (
    KINDS,
    OF_REPORTS,
    REPORTS,
    SERIES,
    STUDIES,
    WHOLE_REPORTS,
    Shape,
    is_series,
    studies_of,
    visible,
)
from report_service.domain.report import ReviewState
from report_service.domain.studies import KEY_IMAGES, MAX_HISTORY, HistoryEntry, SeriesSummary, Tally

_images: Final = distinct(REPORTS.instance_id)
_TALLY: Final = (
    func.count(_images).label("images"),
    func.count(_images).filter(KINDS.positive).label("positive_images"),
    func.count().label("reports"),
    func.count().filter(REPORTS.review_state == ReviewState.UNREVIEWED).label("unreviewed_reports"),
    func.min(REPORTS.urgency).label("urgency"),
    func.min(REPORTS.received_at).label("first_received_at"),
    func.max(REPORTS.received_at).label("last_received_at"),
)


@cache
def series(shape: Shape) -> Select[Any]:
    """The series that are asked for, with what their reports come to."""
    uid = SERIES.series_instance_uid
    return (
        select(uid, func.array_agg(distinct(KINDS.modality)).label("modalities"), *_TALLY)
        .select_from(WHOLE_REPORTS)
        .where(*_conditions(shape))
        .group_by(uid)
        .order_by(uid)
    )


@cache
def key_images(shape: Shape) -> Select[Any]:
    """The reports that stand for studies or a series."""
    order = (REPORTS.urgency, KINDS.positive.desc(), REPORTS.probability.desc(), REPORTS.report_id)
    return select(*OF_REPORTS).select_from(WHOLE_REPORTS).where(*_conditions(shape)).order_by(*order).limit(KEY_IMAGES)


@cache
def history(shape: Shape) -> Select[Any]:
    """What each batch brought of each study, the newest first, one more than a history has where there are more."""
    brought = (STUDIES.study_instance_uid, REPORTS.batch_id)
    return (
        select(*brought, *_TALLY)
        .select_from(WHOLE_REPORTS)
        .where(*_conditions(shape))
        .group_by(*brought)
        .order_by(func.max(REPORTS.received_at).desc(), REPORTS.batch_id, STUDIES.study_instance_uid)
        .limit(MAX_HISTORY + 1)
    )


def series_of(row: Row[Any]) -> SeriesSummary:
    """A series from its row."""
    return SeriesSummary(row.series_instance_uid, tuple(row.modalities), _tally_of(row))


def entry_of(row: Row[Any]) -> HistoryEntry:
    """An entry of a history from its row."""
    return HistoryEntry(row.study_instance_uid, row.batch_id, _tally_of(row))


def _tally_of(row: Row[Any]) -> Tally:
    return Tally(**{column.name: row._mapping[column.name] for column in _TALLY})


def _conditions(shape: Shape) -> list[ColumnElement[bool]]:
    conditions = [*visible(shape.of_owner, REPORTS), REPORTS.study_id.in_(studies_of(shape))]
    if "series_instance_uid" in shape.asked:
        conditions.append(is_series())
    return conditions
