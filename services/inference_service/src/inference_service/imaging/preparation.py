"""The one function that turns a DICOM file into the model's array, in serving as in training."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset, FileDataset

from inference_service.bundles.image_spec import Accepts, CtWindows, EveryFrame, ImageSpec, MiddleFrame
from inference_service.imaging.placement import Placement, place
from radrelay_imaging import Refusal, RefusalReason
from radrelay_imaging.dataset import frame_count, frame_view, read_dataset
from radrelay_imaging.geometry import pixel_aspect
from radrelay_imaging.intensity import apply_own_voi, apply_window, check_hounsfield, to_uint8
from radrelay_imaging.pixels import Float32Array, decode_frame, is_monochrome
from radrelay_imaging.refusal import refusing

_AIR_HU: Final = -1024.0


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """One frame of an image, ready for the model."""

    frame_number: int
    """From 1, as DICOM counts frames; 1 for an image that has only one."""
    image_cyx: npt.NDArray[np.uint8]
    """(channels, size, size) as `ImageSpec.shape_cyx` says; padding is 0, the level of air."""
    placement: Placement


def prepare_frames(content: bytes, spec: ImageSpec) -> tuple[PreparedFrame, ...]:
    """Decode a DICOM file and make the model's array of each frame that the model wants.

    An image without frames has one. A frame is scaled to fit the square input with the shape that its pixel spacing
    gives it, and centred. Shrinking averages over all source pixels (triangle filter), on Hounsfield units before any
    window for CT, as a scanner with larger pixels would.

    Raises:
        Refusal: the image cannot or must not be screened; see `RefusalReason`. One frame that cannot be read refuses
            the image: what is in it is not known.
    """
    dataset = read_dataset(content)
    with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "An attribute that the image needs is damaged"):
        _check_intended_use(dataset, spec.accepts)
        frames = chosen_frames(frame_count(dataset), spec.frames)
    return tuple(_prepare(dataset, frame, spec) for frame in frames)


def chosen_frames(count: int, rule: MiddleFrame | EveryFrame) -> list[int]:
    """Indices from 0, rising, of the frames that a bundle wants of an image with `count` frames."""
    if isinstance(rule, MiddleFrame):
        return [count // 2]
    wanted = min(count, rule.at_most)
    # The middle of each of `wanted` equal parts, so that neither end is favoured.
    return [(2 * part + 1) * count // (2 * wanted) for part in range(wanted)]


def _prepare(dataset: FileDataset, frame: int, spec: ImageSpec) -> PreparedFrame:
    with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "An attribute that the image needs is damaged"):
        view = frame_view(dataset, frame)
        aspect = pixel_aspect(view)
    values_yx = decode_frame(dataset, view, frame)
    placement = place(*values_yx.shape, pixel_aspect=aspect, input_px=spec.size_px)
    if isinstance(spec.channels, CtWindows):
        with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "A rescale attribute is damaged"):
            check_hounsfield(view)
        square_yx = _into_square(values_yx, placement, fill=_AIR_HU)
        image_cyx = np.stack([apply_window(square_yx, window.on_values) for window in spec.channels.windows])
    else:
        with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "The VOI LUT or window is damaged"):
            levels_yx = np.clip(apply_own_voi(values_yx, view), 0.0, 1.0) if is_monochrome(view) else values_yx
        image_cyx = to_uint8(_into_square(levels_yx, placement, fill=0.0))[np.newaxis]
    return PreparedFrame(frame + 1, image_cyx, placement)


def _check_intended_use(dataset: Dataset, accepts: Accepts) -> None:
    outside = accepts.refusal(
        modality=str(dataset.get("Modality") or ""),
        sop_class_uid=str(dataset.get("SOPClassUID") or ""),
        body_part=str(dataset.get("BodyPartExamined") or "") or None,
    )
    if outside is not None:
        raise Refusal(RefusalReason.OUTSIDE_INTENDED_USE, f"The {outside}.")


def _into_square(image_yx: Float32Array, placement: Placement, *, fill: float) -> Float32Array:
    size = (placement.height, placement.width)
    box = image_yx
    if image_yx.shape != size:
        box = np.asarray(Image.fromarray(image_yx).resize(size[::-1], Image.Resampling.BILINEAR), np.float32)
    if size == (placement.input_px, placement.input_px):
        return box
    square = np.full((placement.input_px, placement.input_px), fill, np.float32)
    square[placement.top : placement.top + placement.height, placement.left : placement.left + placement.width] = box
    return square
