"""Which of the loaded models an image is for."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference_service.wire import ModelInfo, ModelRole


class OutsideIntendedUse(Exception):
    """No model whose scores are results takes the image; `detail` says why not, without any value from the image."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Selection:
    """Who scores an image."""

    shown: ModelInfo
    """Its score is the result."""
    shadows: tuple[ModelInfo, ...]
    """Theirs are recorded beside it."""


def select_models(
    models: Sequence[ModelInfo], *, modality: str, sop_class_uid: str, body_part: str | None
) -> Selection:
    """The first active model that takes the image, and every shadow that does.

    Raises:
        OutsideIntendedUse: no active model takes it.
    """
    refusals = {
        model.digest: model.image.accepts.refusal(modality=modality, sop_class_uid=sop_class_uid, body_part=body_part)
        for model in models
    }
    active = [model for model in models if model.role is ModelRole.ACTIVE]
    shown = next((model for model in active if refusals[model.digest] is None), None)
    if shown is None:
        reasons = [f"{refusals[model.digest]} ({model.name} {model.version})" for model in active]
        raise OutsideIntendedUse(f"No model takes this image: {'; '.join(reasons)}.")
    shadows = (model for model in models if model.role is ModelRole.SHADOW)
    return Selection(shown, tuple(model for model in shadows if refusals[model.digest] is None))
