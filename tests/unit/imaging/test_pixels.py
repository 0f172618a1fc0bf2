"""Stored values become modality units as pydicom has them, whichever way is taken."""

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut

from radrelay_imaging.dataset import frame_view, read_dataset
from radrelay_imaging.pixels import decode_frame
from support.ct_images import ct, plain, ramp
from support.dicom_files import encode


def lut() -> Dataset:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 16], (np.arange(4096) * 3).astype("<u2").tolist()
    table.ModalityLUTType = "US"
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    return table


@pytest.mark.parametrize(
    "attributes",
    [
        {"RescaleSlope": 1, "RescaleIntercept": -1024},
        {"RescaleSlope": 1, "RescaleIntercept": "-1023.7"},
        {"RescaleSlope": "0.7", "RescaleIntercept": -1024},
        {"RescaleSlope": 1, "RescaleIntercept": 10_000_000},
        {"RescaleSlope": 1, "RescaleIntercept": "-1e3"},
        {"ModalityLUTSequence": [lut()]},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["<u2", "<i2"])
def test_modality_units_are_pydicoms(attributes: dict[str, Any], dtype: str) -> None:
    made = plain(ramp(dtype), **attributes)
    dataset = read_dataset(encode(made))
    expected = apply_modality_lut(dataset.pixel_array, dataset).astype(np.float32)
    assert np.array_equal(decode_frame(dataset, frame_view(dataset, 0), 0), expected)


def test_hounsfield_units_are_exact() -> None:
    dataset = read_dataset(encode(ct(np.array([[0, 1, 65535]], "<u2"))))
    assert decode_frame(dataset, frame_view(dataset, 0), 0).tolist() == [[-1024.0, -1023.0, 64511.0]]
