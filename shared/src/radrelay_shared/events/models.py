"""The data of every event, one frozen model per type and version.

A published field is never removed, renamed or narrowed within a version; a breaking change is a new version.
A reader passes over fields it does not know, so that producers may be upgraded first.
No model holds pixels or a patient's name.
"""

import binascii
import math
import struct
from base64 import b64decode, b64encode
from enum import StrEnum
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

TYPE_PREFIX = "org.radrelay"
MAX_HEATMAP_SIDE = 128

DicomUid = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
ReasonCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
OwnerId = Annotated[str, StringConstraints(min_length=1, max_length=255)]
ObjectKey = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Submission = Annotated[
    int,
    Field(ge=1, description="Which time the image was sent to be screened: 1, and one more each time it is retried."),
]


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be finite")
    return value


Seconds = Annotated[float, Field(ge=0.0), AfterValidator(_finite)]


class Urgency(StrEnum):
    """How soon a case wants attention, most urgent first; codes of FHIR R4 RequestPriority.

    Used both for the priority asked for at upload and for the urgency found by the model.
    """

    STAT = "stat"
    URGENT = "urgent"
    ROUTINE = "routine"


AskedPriority = Annotated[
    Urgency | None, Field(description="What was asked for at upload; null in events from before it was said.")
]


class EventData(BaseModel):
    """Base of all event data: names the event and gives the identifier it is about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    entity: ClassVar[str]
    event: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def event_type(cls) -> str:
        """The CloudEvents `type`, such as `org.radrelay.instance.stored.v1`."""
        return f"{TYPE_PREFIX}.{cls.entity}.{cls.event}.v{cls.version}"

    @classmethod
    def schema_uri(cls) -> str:
        """The CloudEvents `dataschema`: a URN that names the committed JSON Schema."""
        return f"urn:radrelay:schema:{cls.entity}.{cls.event}.v{cls.version}"

    def subject_id(self) -> UUID | str:
        """The identifier of the thing that the event is about."""
        raise NotImplementedError


class _InstanceEvent(EventData):
    """Identifies one stored image of one owner."""

    instance_id: UUID
    batch_id: UUID = Field(description="The batch that first brought the image.")
    owner_id: OwnerId = Field(description="The `sub` of the person who uploaded it.")

    def subject_id(self) -> UUID:
        """The image."""
        return self.instance_id


class _DicomIdentity(_InstanceEvent):
    sop_instance_uid: DicomUid
    sop_class_uid: DicomUid
    study_instance_uid: DicomUid
    series_instance_uid: DicomUid
    modality: Annotated[str, StringConstraints(min_length=1, max_length=16)]
    body_part: Annotated[str, StringConstraints(max_length=64)] | None = None
    instance_number: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = Field(
        default=None, description="DICOM's (0020,0013), by which a series is ordered; null where the image has none."
    )


class InstanceStored(_DicomIdentity):
    """A DICOM image was validated and is safe in the object store."""

    entity = "instance"
    event = "stored"

    transfer_syntax_uid: DicomUid
    rows: Annotated[int, Field(gt=0)]
    columns: Annotated[int, Field(gt=0)]
    frames: Annotated[int, Field(gt=0)]
    object_key: ObjectKey
    size_bytes: Annotated[int, Field(gt=0)]
    sha256: Sha256
    priority: Urgency
    received_at: AwareDatetime
    submission: Submission = 1


class InstanceCancelled(_InstanceEvent):
    """Nobody waits for the image any more; whoever has not begun to screen it leaves it.

    It holds for this submission and those before it.
    """

    entity = "instance"
    event = "cancelled"

    submission: Submission
    cancelled_at: AwareDatetime


class InferenceStarted(_InstanceEvent):
    """A worker took the image in hand; may be repeated after a redelivery."""

    entity = "inference"
    event = "started"

    attempt: Annotated[int, Field(ge=1)]
    started_at: AwareDatetime
    submission: Submission = 1


class ModelRef(BaseModel):
    """The model bundle behind a result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: str
    digest: Digest
    label: str = Field(description="What the weights are, in words, such as 'untrained'.")
    intended_use: str


class Provenance(BaseModel):
    """How a result was computed: with the model and the image, what it takes to compute it again."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    runtime: str = Field(description="Machine-readable name, such as `openvino-bfloat16`.")
    runtime_detail: str = Field(description="Library with its version, device and precision, for people.")
    code_version: str = Field(description="Version of the inference service.")
    frame_number: Annotated[int, Field(ge=1)] = Field(
        description="Frame that the result and its heatmap are of, from 1 as in DICOM."
    )


class ValueWindow(BaseModel):
    """A window on modality values, such as Hounsfield units: `center` is mid-grey, `width` spans black to white."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    center: float
    width: Annotated[float, Field(gt=0.0)]


class Picture(BaseModel):
    """How the frame that decided looked to the model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rows: Annotated[int, Field(gt=0)]
    columns: Annotated[int, Field(gt=0)]
    window: ValueWindow | None = Field(description="Null where the model saw the image's own VOI LUT or window.")


class Heatmap(BaseModel):
    """Grad-CAM map over exactly the picture, at the network's own resolution; neither scaled nor a probability."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rows: Annotated[int, Field(gt=0, le=MAX_HEATMAP_SIDE)]
    columns: Annotated[int, Field(gt=0, le=MAX_HEATMAP_SIDE)]
    values_base64: str = Field(description="float32, little-endian, row by row; finite and not negative.")

    @classmethod
    def of_bytes(cls, data: bytes, *, rows: int, columns: int) -> Self:
        """A map from its values as `data` has them."""
        return cls(rows=rows, columns=columns, values_base64=b64encode(data).decode("ascii"))

    @property
    def data(self) -> bytes:
        """The values: float32, little-endian, row by row."""
        return b64decode(self.values_base64)

    @model_validator(mode="after")
    def _values_fill_the_shape(self) -> Self:
        try:
            values = struct.unpack(f"<{self.rows * self.columns}f", b64decode(self.values_base64, validate=True))
        except (binascii.Error, struct.error) as error:
            raise ValueError("values_base64 does not hold rows times columns float32 numbers") from error
        # No sum of so few float32 numbers leaves the range of a float, unless one of them has.
        if min(values) < 0.0 or not math.isfinite(sum(values)):
            raise ValueError("values_base64 holds a number that is negative or not finite")
        return self


class _Result(_DicomIdentity):
    model: ModelRef
    provenance: Provenance | None = Field(default=None, description="Null in events from before it was kept.")
    finding: str = Field(description="What the probability is about.")
    positive: bool
    probability_raw: Probability = Field(description="Sigmoid of the logit, before calibration.")
    probability: Probability = Field(description="Calibrated.")
    confidence: Probability = Field(description="Calibrated probability that the statement made is right.")
    urgency: Urgency

    @model_validator(mode="after")
    def _confidence_belongs_to_the_statement(self) -> Self:
        stated = self.probability if self.positive else 1.0 - self.probability
        if abs(stated - self.confidence) > 1e-6:
            raise ValueError("confidence is not the probability of the stated finding")
        return self


class InferenceCompleted(_Result):
    """The model gave a result."""

    entity = "inference"
    event = "completed"

    source_key: ObjectKey = Field(description="The DICOM file.")
    picture: Picture
    heatmap: Heatmap
    received_at: AwareDatetime
    completed_at: AwareDatetime
    queue_wait_s: Seconds
    model_s: Seconds
    submission: Submission = 1
    priority: AskedPriority = None


class InferenceShadowScored(_DicomIdentity):
    """A shadow model, which is on trial beside the one whose result is shown, scored the image.

    Not a result: nobody may show it to a clinician or act on it.
    """

    entity = "inference"
    event = "shadow_scored"

    model: ModelRef
    provenance: Provenance
    finding: str = Field(description="What the probability is about.")
    probability_raw: Probability = Field(description="Sigmoid of the logit, before calibration.")
    probability: Probability = Field(description="Calibrated.")
    shown_model_digest: Digest = Field(description="The model whose result was reported.")
    shown_probability: Probability = Field(description="Its calibrated probability.")
    received_at: AwareDatetime
    scored_at: AwareDatetime
    model_s: Seconds


class InferenceFailed(_InstanceEvent):
    """The image will get no result, and why."""

    entity = "inference"
    event = "failed"

    reason: ReasonCode
    detail: Annotated[str, StringConstraints(max_length=500)]
    received_at: AwareDatetime
    failed_at: AwareDatetime
    submission: Submission = 1


class ReportCreated(_Result):
    """A report is there to be read."""

    entity = "report"
    event = "created"

    report_id: UUID
    received_at: AwareDatetime
    completed_at: AwareDatetime
    created_at: AwareDatetime
    priority: AskedPriority = None

    def subject_id(self) -> UUID:
        """The report, not the image it is about."""
        return self.report_id


class AuditHeadPublished(EventData):
    """The newest record of the tenant's audit chain: a chain that does not hold this record was tampered with.

    Whoever keeps these hashes can check the chain without trusting its keeper.
    """

    entity = "audit"
    event = "head_published"

    service: Annotated[str, StringConstraints(pattern=r"^[a-z]+$", max_length=32)] = Field(
        default="ingest", description="Whose chain it is: each service that shows images or reports has its own."
    )
    sequence: Annotated[int, Field(ge=1)] = Field(description="Number of the record; the first is 1, without gaps.")
    hash: Sha256 = Field(description="Of the record, and through it of all before it.")
    recorded_at: AwareDatetime

    def subject_id(self) -> str:
        """The number of the record."""
        return str(self.sequence)
