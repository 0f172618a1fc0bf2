"""What `bundle.yaml` says."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inference_service.bundles.image_spec import ImageSpec, Strict

FORMAT_VERSION = 1
MANIFEST_FILE = "bundle.yaml"
WEIGHTS_FILE = "weights.safetensors"

MAX_LEVEL = 255.0
"""The brightest level of a channel that is sent to the model."""
_SUM_TOLERANCE = 1e-6

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


class Histogram(Strict):
    """Shares of values between edges: a bin holds its lower edge, and the last bin its upper edge too."""

    edges: Annotated[tuple[float, ...], Field(min_length=2)]
    shares: Annotated[tuple[Annotated[float, Field(ge=0.0)], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len(self.edges) != len(self.shares) + 1:
            raise ValueError(f"{len(self.edges)} edges do not bound {len(self.shares)} shares: one more is needed")
        if any(right <= left for left, right in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must rise strictly")
        total = math.fsum(self.shares)
        if abs(total - 1.0) > _SUM_TOLERANCE:
            raise ValueError(f"shares add up to {total:g}, not to 1")
        return self


class Reference(Strict):
    """What held-out images of the intended use look like to the model, for telling drift from it."""

    cases: Annotated[int, Field(ge=1)]
    """Images behind the histograms."""
    probability: Histogram
    """Of the calibrated probability, over 0 to 1."""
    levels: tuple[Histogram, ...] = ()
    """Of the mean level of each channel as sent to the model, over 0 to 255; empty where it was not measured."""

    @model_validator(mode="after")
    def _cover_every_value(self) -> Self:
        for name, histogram, end in (
            ("probability", self.probability, 1.0),
            *((f"levels.{channel}", histogram, MAX_LEVEL) for channel, histogram in enumerate(self.levels)),
        ):
            if (histogram.edges[0], histogram.edges[-1]) != (0.0, end):
                raise ValueError(f"{name}.edges must begin at 0 and end at {end:g}")
        return self


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
    reference: Reference | None = None
    weights: WeightsRef

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        channels = self.architecture.input_channels
        if self.image.channels.count not in {1, channels}:
            sent = self.image.channels.count
            raise ValueError(f"image.channels: {sent} channels cannot feed architecture.input_channels {channels}")
        if self.reference is not None and len(self.reference.levels) not in {0, self.image.channels.count}:
            raise ValueError(
                f"reference.levels: {len(self.reference.levels)} histograms for "
                f"{self.image.channels.count} channels of image.channels"
            )
        for name, values in (("mean", self.normalization.mean), ("std", self.normalization.std)):
            if len(values) != channels:
                raise ValueError(
                    f"normalization.{name}: {len(values)} values for architecture.input_channels {channels}"
                )
        return self
