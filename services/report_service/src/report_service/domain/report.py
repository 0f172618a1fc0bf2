"""The report of one screened image, made from the result of one model."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np

from radrelay_imaging import encode_npy
from radrelay_shared.events import (
    Heatmap,
    InferenceCompleted,
    ModelRef,
    Picture,
    Provenance,
    ReportCreated,
    ReportEvent,
    Urgency,
)
from report_service.domain.identifiers import kind_id_for, series_id_for, study_id_for

_NAMESPACE = uuid5(NAMESPACE_URL, "https://radrelay.org/report")
_RESTRICTION = "not for clinical use"


class ImpossibleResult(ValueError):
    """A result fits its contract and yet cannot be true; no repeat will make it so.

    `reason` is a stable code, `detail` names the place and never a value.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Download(StrEnum):
    """What there is of a report beside its numbers and pictures: the raw map, and the DICOM file that it is of."""

    HEATMAP = "heatmap"
    SOURCE = "source"


class ReviewState(StrEnum):
    """Whether a clinician reviewed a report, and what they said of it last."""

    UNREVIEWED = "unreviewed"
    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Report:
    """What one model said of one image of one owner; of it only the last two fields ever change."""

    report_id: UUID
    tenant: str
    owner_id: str
    instance_id: UUID
    batch_id: UUID
    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    body_part: str | None
    instance_number: int | None
    model: ModelRef
    provenance: Provenance | None
    """None for a result from before it was kept."""
    finding: str
    positive: bool
    probability_raw: float
    """Before calibration, 0 to 1."""
    probability: float
    """Calibrated, 0 to 1."""
    confidence: float
    """Calibrated probability that the statement made (`finding` present or absent) is right."""
    urgency: Urgency
    source_key: str
    picture: Picture | None
    """How the frame that decided looked to the model; None for a result from before it was kept."""
    heatmap_npy: bytes | None
    """Grad-CAM map over exactly that frame as a NumPy `.npy` file of float32; None likewise."""
    received_at: datetime
    completed_at: datetime
    created_at: datetime
    review_state: ReviewState = ReviewState.UNREVIEWED
    sealed_patient: bytes | None = None
    """The study's patient (see `domain.patients`); None where it is not, or not yet, kept."""

    @property
    def study_id(self) -> UUID:
        """The owner's study that the image is of."""
        return study_id_for(self.tenant, self.owner_id, self.study_instance_uid)

    @property
    def series_id(self) -> UUID:
        """The series within that study."""
        return series_id_for(self.study_id, self.series_instance_uid)

    @property
    def kind_id(self) -> UUID:
        """What kind of result it is."""
        return kind_id_for(self.model.digest, self.modality, self.finding, positive=self.positive)

    @property
    def notice(self) -> str:
        """What the report may be used for. It always says that this is not for clinical use."""
        intended_use = self.model.intended_use.strip()
        if _RESTRICTION in intended_use.lower():
            return intended_use
        return f"For demonstration, {_RESTRICTION}. {intended_use}".rstrip()

    @property
    def frame_number(self) -> int:
        """Frame that the result is of, from 1 as in DICOM."""
        return 1 if self.provenance is None else self.provenance.frame_number


def report_id_for(*, tenant: str, owner_id: str, instance_id: UUID, model_digest: str) -> UUID:
    """The one identifier that a report of this image by this model can have (RFC 9562, version 5)."""
    return uuid5(_NAMESPACE, json.dumps([tenant, owner_id, str(instance_id), model_digest]))


def announcement_id(report: Report) -> str:
    """The identifier of the report's `report.created` event: announced again, it is the same event."""
    return str(uuid5(_NAMESPACE, f"created:{report.report_id}"))


def report_from_result(tenant: str, result: InferenceCompleted, *, created_at: datetime) -> Report:
    """The report that follows from a result.

    Raises:
        ImpossibleResult: the result points outside its tenant or holds what no database can keep.
    """
    _check_key(tenant, result)
    _check_text(result)
    return Report(
        report_id=report_id_for(
            tenant=tenant,
            owner_id=result.owner_id,
            instance_id=result.instance_id,
            model_digest=result.model.digest,
        ),
        tenant=tenant,
        owner_id=result.owner_id,
        instance_id=result.instance_id,
        batch_id=result.batch_id,
        sop_instance_uid=result.sop_instance_uid,
        sop_class_uid=result.sop_class_uid,
        study_instance_uid=result.study_instance_uid,
        series_instance_uid=result.series_instance_uid,
        modality=result.modality,
        body_part=result.body_part,
        instance_number=result.instance_number,
        model=result.model,
        provenance=result.provenance,
        finding=result.finding,
        positive=result.positive,
        probability_raw=result.probability_raw,
        probability=result.probability,
        confidence=result.confidence,
        urgency=result.urgency,
        source_key=result.source_key,
        picture=result.picture,
        heatmap_npy=_npy(result.heatmap),
        received_at=_in_utc("received_at", result.received_at),
        completed_at=_in_utc("completed_at", result.completed_at),
        created_at=created_at,
    )


def report_created(report: Report, *, priority: Urgency | None) -> ReportCreated:
    """What others are told of a report: everything but where its objects lie, and what priority was asked for."""
    created = ReportCreated.model_validate(report, from_attributes=True)
    return created.model_copy(update={"priority": priority})


def counted_by(report: Report) -> dict[str, Any]:
    """What every later event says of a report once more: the fields of `ReportEvent`."""
    return {name: getattr(report, name) for name in ReportEvent.model_fields}


def _npy(heatmap: Heatmap) -> bytes:
    return _npy_header(heatmap.rows, heatmap.columns) + heatmap.data


@lru_cache(maxsize=64)
def _npy_header(rows: int, columns: int) -> bytes:
    """What comes before the values: NumPy takes longer to write it than we to make the rest of a report."""
    empty = np.zeros((rows, columns), "<f4")
    return encode_npy(empty)[: -empty.nbytes]


def _check_key(tenant: str, result: InferenceCompleted) -> None:
    """A key of another tenant would be served to this one: the object store alone does not know better."""
    if not result.source_key.startswith(f"{tenant}/"):
        raise ImpossibleResult("foreign_object_key", "source_key lies outside the tenant of the event")


def _check_text(result: InferenceCompleted) -> None:
    """JSON can carry U+0000; PostgreSQL text cannot."""
    for part, fields in (("", result), ("model.", result.model), ("provenance.", result.provenance)):
        for name, value in vars(fields).items() if fields else ():
            if isinstance(value, str) and "\0" in value:
                raise ImpossibleResult("unstorable_text", f"{part}{name} holds U+0000")


def _in_utc(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ImpossibleResult("impossible_time", f"{name} lies outside the calendar") from error
