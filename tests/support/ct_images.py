"""CT and other images with chosen values, and what preparing them gives."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset

from inference_service.bundles.image_spec import ImageSpec
from inference_service.imaging import PreparedFrame, prepare_frames
from radrelay_imaging import Refusal
from support.dicom_files import encode, image, set_pixels

SIZE_PX = 64
CT = ImageSpec.model_validate(
    {
        "size_px": SIZE_PX,
        "accepts": {"modalities": ["CT"]},
        "channels": {
            "kind": "ct_windows",
            "windows": [
                {"name": "brain", "center_hu": 40.0, "width_hu": 80.0},
                {"name": "wide", "center_hu": 500.0, "width_hu": 3000.0},
            ],
        },
    }
)
ANY = ImageSpec.model_validate(
    {"size_px": SIZE_PX, "accepts": {"modalities": ["CT", "MR", "CR", "US", "OT"]}, "channels": {"kind": "voi"}}
)


def ct(stored_yx: npt.NDArray[Any], **attributes: Any) -> Dataset:
    """A CT image with these stored values, intercept -1024 and slope 1 unless said otherwise."""
    made = image(rows=stored_yx.shape[0], columns=stored_yx.shape[1], bits=stored_yx.dtype.itemsize * 8)
    made.PixelRepresentation = int(np.issubdtype(stored_yx.dtype, np.signedinteger))
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
    set_pixels(made, stored_yx.tobytes())
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def plain(stored_yx: npt.NDArray[Any], **attributes: Any) -> Dataset:
    """An image of another modality, without rescale."""
    made = ct(stored_yx, Modality="MR")
    del made.RescaleSlope, made.RescaleIntercept, made.RescaleType
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def ramp(dtype: str = "<u2") -> npt.NDArray[Any]:
    return np.arange(SIZE_PX * SIZE_PX).reshape(SIZE_PX, SIZE_PX).astype(dtype)


def prepared(made: Dataset, spec: ImageSpec = ANY) -> PreparedFrame:
    (ready,) = prepare_frames(encode(made), spec)
    return ready


def refusal(content: bytes, spec: ImageSpec = ANY) -> Refusal:
    with pytest.raises(Refusal) as caught:
        prepare_frames(content, spec)
    return caught.value
