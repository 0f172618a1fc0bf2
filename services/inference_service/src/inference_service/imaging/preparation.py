"""The one function that turns a DICOM file into the model's array, in serving as in training."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset, FileDataset

from inference_service.bundles.image_spec import Accepts, CtWindows, ImageSpec
from inference_service.imaging.dataset import chosen_frames, frame_view, read_dataset
from inference_service.imaging.geometry import Placement, pixel_aspect, place
from inference_service.imaging.intensity import AIR_HU, apply_ct_window, apply_own_voi, check_hounsfield, to_uint8
from inference_service.imaging.pixels import Float32Array, decode_frame, is_monochrome
from inference_service.imaging.png import encode_png
from inference_service.imaging.refusal import Refusal, RefusalReason, refusing


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """One frame of an image, ready for the model and for people."""

    frame_number: int
    """From 1, as DICOM counts frames; 1 for an image that has only one."""
    image_cyx: npt.NDArray[np.uint8]
    """(channels, size, size) as `ImageSpec.shape_cyx` says; padding is 0, the level of air."""
    preview_png: bytes
    """8-bit greyscale in the source's pixel frame, long side at most 1024."""
    placement: Placement


def prepare_frames(content: bytes, spec: ImageSpec) -> tuple[PreparedFrame, ...]:
    """Decode a DICOM file and make the model's array and the preview of each frame that the model wants.

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
        frames = chosen_frames(dataset, spec.frames)
    return tuple(_prepare(dataset, frame, spec) for frame in frames)


def _prepare(dataset: FileDataset, frame: int, spec: ImageSpec) -> PreparedFrame:
    with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "An attribute that the image needs is damaged"):
        view = frame_view(dataset, frame)
        aspect = pixel_aspect(view)
    values_yx = decode_frame(dataset, view, frame)
    rows, columns = values_yx.shape
    placement = place(rows, columns, pixel_aspect=aspect, input_px=spec.size_px)
    if isinstance(spec.channels, CtWindows):
        check_hounsfield(view)
        square_yx = _into_square(values_yx, placement, fill=AIR_HU)
        image_cyx = np.stack([apply_ct_window(square_yx, window) for window in spec.channels.windows])
        preview_yx = apply_ct_window(_resize(values_yx, placement.preview_size), spec.channels.windows[0])
    else:
        with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "The VOI LUT or window is damaged"):
            levels_yx = np.clip(apply_own_voi(values_yx, view), 0.0, 1.0) if is_monochrome(view) else values_yx
        image_cyx = to_uint8(_into_square(levels_yx, placement, fill=0.0))[np.newaxis]
        preview_yx = to_uint8(_resize(levels_yx, placement.preview_size))
    return PreparedFrame(frame + 1, image_cyx, encode_png(preview_yx), placement)


def _check_intended_use(dataset: Dataset, accepts: Accepts) -> None:
    outside = accepts.refusal(
        modality=str(dataset.get("Modality") or ""),
        sop_class_uid=str(dataset.get("SOPClassUID") or ""),
        body_part=str(dataset.get("BodyPartExamined") or "") or None,
    )
    if outside is not None:
        raise Refusal(RefusalReason.OUTSIDE_INTENDED_USE, f"The {outside}.")


def _resize(image_yx: Float32Array, size: tuple[int, int]) -> Float32Array:
    if image_yx.shape == size:
        return image_yx
    resized = Image.fromarray(image_yx).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32)


def _into_square(image_yx: Float32Array, placement: Placement, *, fill: float) -> Float32Array:
    box = _resize(image_yx, (placement.height, placement.width))
    if box.shape == (placement.input_px, placement.input_px):
        return box
    square = np.full((placement.input_px, placement.input_px), fill, np.float32)
    square[placement.top : placement.top + placement.height, placement.left : placement.left + placement.width] = box
    return square
