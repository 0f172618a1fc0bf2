"""What `bundle.yaml` says."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inference_service.bundles.image_spec import ImageSpec, Strict

FORMAT_VERSION = 1
MANIFEST_FILE = "bundle.yaml"
WEIGHTS_FILE = "weights.safetensors"

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Architecture(Strict):
    """A timm model with one logit."""

    timm_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
    input_channels: Annotated[int, Field(ge=1, le=8)]


class Normalization(Strict):
    """Per input channel, on pixel values divided by 255: (value - mean) / std."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]


class IsotonicKnots(Strict):
    """A monotone map of probabilities, linear between its knots and constant outside them."""

    x: Annotated[tuple[Probability, ...], Field(min_length=2)]
    y: Annotated[tuple[Probability, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} knots and y has {len(self.y)}")
        if any(right <= left for left, right in zip(self.x, self.x[1:], strict=False)):
            raise ValueError("x must rise strictly")
        if any(right < left for left, right in zip(self.y, self.y[1:], strict=False)):
            raise ValueError("y must not fall")
        return self


class CalibrationSpec(Strict):
    """Temperature scaling of the logit, then isotonic regression of the probability where it was fitted."""

    temperature: Annotated[float, Field(gt=0)] = 1.0
    isotonic: IsotonicKnots | None = None


class Thresholds(Strict):
    """Calibrated probabilities from which (inclusive) a case is positive, urgent and stat."""

    positive: Annotated[float, Field(gt=0.0, lt=1.0)]
    urgent: Probability
    stat: Probability

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.urgent > self.stat:
            raise ValueError("urgent must not be above stat")
        return self


class Provenance(Strict):
    """Where the weights come from."""

    data: Text
    method: Text
    code_version: Text
    seed: int | None = None


class WeightsRef(Strict):
    """The weights file and its content."""

    file: Literal["weights.safetensors"]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class BundleManifest(Strict):
    """A model, what it is for, and how its numbers are to be read."""

    format_version: Literal[1]
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.-]+)?$")]
    label: Text
    """What the weights are, in words that every report shows, such as `untrained`."""
    finding: Text
    """What the probability is about."""
    intended_use: Text
    architecture: Architecture
    image: ImageSpec
    normalization: Normalization
    calibration: CalibrationSpec
    thresholds: Thresholds
    provenance: Provenance
    weights: WeightsRef

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        channels = self.architecture.input_channels
        if self.image.channels.count not in {1, channels}:
            sent = self.image.channels.count
            raise ValueError(f"image.channels: {sent} channels cannot feed architecture.input_channels {channels}")
        for name, values in (("mean", self.normalization.mean), ("std", self.normalization.std)):
            if len(values) != channels:
                raise ValueError(
                    f"normalization.{name}: {len(values)} values for architecture.input_channels {channels}"
                )
        return self
