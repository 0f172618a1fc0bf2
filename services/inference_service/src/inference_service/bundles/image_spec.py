"""Which images a model takes and how they become its input; shared by the model server and the worker."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from radrelay_imaging import Window

DicomUid = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
CodeString = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_ ]{1,16}$")]
"""A value of DICOM VR CS (PS3.5 section 6.2)."""


class Strict(BaseModel):
    """Frozen, and closed to fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Accepts(Strict):
    """The images inside the model's intended use; an empty list of SOP classes or body parts means any."""

    modalities: Annotated[tuple[CodeString, ...], Field(min_length=1)]
    sop_class_uids: tuple[DicomUid, ...] = ()
    body_parts: tuple[CodeString, ...] = ()

    def refusal(self, *, modality: str, sop_class_uid: str, body_part: str | None) -> str | None:
        """Why an image is outside the intended use, without any value that could identify a patient; None if inside."""
        if modality not in self.modalities:
            return f"modality is not one of {', '.join(self.modalities)}"
        if self.sop_class_uids and sop_class_uid not in self.sop_class_uids:
            return f"SOP class is not one of {', '.join(self.sop_class_uids)}"
        if self.body_parts and (body_part or "").upper() not in self.body_parts:
            return f"body part is not one of {', '.join(self.body_parts)}"
        return None


class CtWindow(Strict):
    """One window on Hounsfield units: `center_hu` maps to mid-grey, `width_hu` spans black to white."""

    name: str
    center_hu: float
    width_hu: Annotated[float, Field(gt=0)]

    @property
    def on_values(self) -> Window:
        """The window without its units."""
        return Window(self.center_hu, self.width_hu)


class CtWindows(Strict):
    """One channel for each window, in order; the first one is also the picture that people see."""

    kind: Literal["ct_windows"]
    windows: Annotated[tuple[CtWindow, ...], Field(min_length=1, max_length=8)]

    @property
    def count(self) -> int:
        """Channels that are sent to the model server."""
        return len(self.windows)


class VoiGreyscale(Strict):
    """One channel: the image as its own VOI LUT or window shows it, dark to bright (PS3.3 section C.11.2)."""

    kind: Literal["voi"]

    @property
    def count(self) -> int:
        """Channels that are sent to the model server."""
        return 1


class MiddleFrame(Strict):
    """A multi-frame image is represented by its middle frame, the later of two."""

    rule: Literal["middle"] = "middle"


class EveryFrame(Strict):
    """Every frame is scored, or `at_most` of them evenly spread; the image's result is its most suspicious frame's."""

    rule: Literal["every"]
    at_most: Annotated[int, Field(ge=1, le=256)] = 64


class ImageSpec(Strict):
    """Everything that turns a DICOM file into the model's array."""

    size_px: Annotated[int, Field(ge=32, le=2048)]
    """Side of the square input."""
    accepts: Accepts
    channels: Annotated[CtWindows | VoiGreyscale, Field(discriminator="kind")]
    frames: Annotated[MiddleFrame | EveryFrame, Field(discriminator="rule")] = MiddleFrame()
    """Which frames of a multi-frame image are scored."""

    @property
    def shape_cyx(self) -> tuple[int, int, int]:
        """Shape of the uint8 array that one image becomes."""
        return (self.channels.count, self.size_px, self.size_px)

    @model_validator(mode="after")
    def _hounsfield_needs_ct(self) -> Self:
        if isinstance(self.channels, CtWindows) and set(self.accepts.modalities) != {"CT"}:
            raise ValueError("ct_windows need accepts.modalities to be [CT]: no other modality has Hounsfield units")
        return self
