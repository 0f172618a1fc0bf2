import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
from pydicom import config
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut


def test_files_from_the_command_pass_strict_reading_and_show_a_head_in_their_window(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "radrelay_phantoms", str(tmp_path), "--count", "3", "--size", "128"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    paths = sorted(tmp_path.glob("*.dcm"))
    assert len(paths) == 3
    for path in paths:
        with config.strict_reading():
            dataset = pydicom.dcmread(path)
            str(dataset)  # touches, and so validates, every element
            shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
        share = np.asarray(shown, dtype=float)
        share = (share - share.min()) / (share.max() - share.min())
        assert 0.2 < np.mean((share > 0.15) & (share < 0.85)) < 0.7  # brain
        assert np.mean(share >= 0.99) > 0.03  # skull
        assert np.mean(share <= 0.01) > 0.2  # air
