"""Adding many reports, with their studies, series, instances and kinds, in one statement that is built once.

Building a statement again for every report costs more than running it, and so does a statement for each row: the rows
come as arrays, one for each column.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Table, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert

from report_service.adapters.tables import Base
from report_service.domain.report import Report

_REPORTS: Final = Base.metadata.tables["report.reports"]
_STUDIES: Final = ("study_id", "owner_id", "study_instance_uid")
_SERIES: Final = ("series_id", "owner_id", "study_id", "series_instance_uid")
_INSTANCES: Final = (
    *("owner_id", "instance_id", "series_id", "sop_instance_uid", "sop_class_uid", "source_key"),
    *("body_part", "instance_number"),
)
_MODEL: Final = ("digest", "name", "version", "label", "intended_use")
_KINDS: Final = ("kind_id", "modality", "finding", "positive", *(f"model_{name}" for name in _MODEL))
_OWN: Final = (
    *("report_id", "owner_id", "study_id", "instance_id", "batch_id", "kind_id", "provenance", "probability_raw"),
    *("probability", "confidence", "urgency", "picture", "heatmap_npy", "received_at", "completed_at", "created_at"),
)
_COLUMNS: Final = {"studies": _STUDIES, "series": _SERIES, "instances": _INSTANCES, "kinds": _KINDS, "reports": _OWN}


_VALUES_OF: Final = {
    name: attrgetter(*(column.replace("model_", "model.") for column in columns)) for name, columns in _COLUMNS.items()
}
"""The values of a report's row in each table, in the order of the columns."""
_IDENTIFIED_BY: Final = {
    "studies": attrgetter("study_id.int"),
    "series": attrgetter("series_id.int"),
    "instances": attrgetter("instance_id.int", "owner_id"),
    "kinds": attrgetter("kind_id.int"),
    "reports": attrgetter("report_id.int"),
}


def _adding(name: str) -> Insert:
    """Insert what is not there; `<table>_<column>` is the parameter of a column, `tenant` that of them all."""
    table: Table = Base.metadata.tables[f"report.{name}"]
    given = select(
        bindparam("tenant", type_=table.c.tenant.type),
        *(func.unnest(bindparam(f"{name}_{column}", type_=ARRAY(table.c[column].type))) for column in _COLUMNS[name]),
    )
    return insert(table).from_select(["tenant", *_COLUMNS[name]], given).on_conflict_do_nothing()


# Foreign keys are looked at when the whole statement is done, so it may add a report and what it refers to.
ADD_REPORTS: Final = (
    _adding("reports")
    .returning(_REPORTS.c.report_id)
    .add_cte(*(_adding(name).cte(f"added_{name}") for name in _COLUMNS if name != "reports"))
)


def rows_of(tenant: str, reports: Iterable[Report]) -> dict[str, Any]:
    """The parameters of `ADD_REPORTS`, one row for each thing, and of two reports that differ over one the first's.

    The rows are in the order of their identifiers, so that two who add the same ones wait for each other, and not both
    for ever.
    """
    made = list(reports)
    parameters: dict[str, Any] = {"tenant": tenant}
    for name, columns in _COLUMNS.items():
        identified_by, values_of = _IDENTIFIED_BY[name], _VALUES_OF[name]
        # Backwards, so that the first one of an identifier is the one that stays.
        by_identifier = {identified_by(report): report for report in reversed(made)}
        ordered = [values_of(by_identifier[identifier]) for identifier in sorted(by_identifier)]
        values = zip(*ordered, strict=True) if ordered else ((),) * len(columns)
        parameters |= {f"{name}_{column}": list(each) for column, each in zip(columns, values, strict=True)}
    return parameters
