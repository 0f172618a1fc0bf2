"""The report of one screened image, made from the result of one model."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from radrelay_shared.events import InferenceCompleted, ModelRef, Provenance, ReportCreated, Urgency

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


class Rendering(StrEnum):
    """What the object store has of a report: pictures, the raw map, and the DICOM file that they were made of."""

    IMAGE = "image"
    OVERLAY = "overlay"
    HEATMAP = "heatmap"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Report:
    """What one model said of one image of one owner; never changed once made."""

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
    preview_key: str
    overlay_key: str
    cam_key: str
    received_at: datetime
    completed_at: datetime
    created_at: datetime

    @property
    def notice(self) -> str:
        """What the report may be used for. It always says that this is not for clinical use."""
        intended_use = self.model.intended_use.strip()
        if _RESTRICTION in intended_use.lower():
            return intended_use
        return f"For demonstration, {_RESTRICTION}. {intended_use}".rstrip()

    def object_key(self, rendering: Rendering) -> str:
        """Where the object store has that rendering."""
        match rendering:
            case Rendering.IMAGE:
                return self.preview_key
            case Rendering.OVERLAY:
                return self.overlay_key
            case Rendering.HEATMAP:
                return self.cam_key
            case Rendering.SOURCE:
                return self.source_key


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
    _check_keys(tenant, result)
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
        model=result.model,
        provenance=result.provenance,
        finding=result.finding,
        positive=result.positive,
        probability_raw=result.probability_raw,
        probability=result.probability,
        confidence=result.confidence,
        urgency=result.urgency,
        source_key=result.source_key,
        preview_key=result.preview_key,
        overlay_key=result.overlay_key,
        cam_key=result.cam_key,
        received_at=_in_utc("received_at", result.received_at),
        completed_at=_in_utc("completed_at", result.completed_at),
        created_at=created_at,
    )


def report_created(report: Report) -> ReportCreated:
    """What others are told of a report: everything but where its objects lie."""
    return ReportCreated.model_validate(report, from_attributes=True)


def _check_keys(tenant: str, result: InferenceCompleted) -> None:
    """A key of another tenant would be served to this one: the object store alone does not know better."""
    for name in ("source_key", "preview_key", "overlay_key", "cam_key"):
        if not getattr(result, name).startswith(f"{tenant}/"):
            raise ImpossibleResult("foreign_object_key", f"{name} lies outside the tenant of the event")


def _check_text(result: InferenceCompleted) -> None:
    """JSON can carry U+0000; PostgreSQL text cannot."""
    nested = {
        f"{part}.{name}": value
        for part, fields in result.model_dump(include={"model", "provenance"}).items()
        for name, value in (fields or {}).items()
    }
    for name, value in (result.model_dump(exclude={"model", "provenance"}) | nested).items():
        if isinstance(value, str) and "\0" in value:
            raise ImpossibleResult("unstorable_text", f"{name} holds U+0000")


def _in_utc(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ImpossibleResult("impossible_time", f"{name} lies outside the calendar") from error
