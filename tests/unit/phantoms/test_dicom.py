import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, CTImageStorage

from radrelay_phantoms import HaemorrhageKind, generate_series, generate_slice
from radrelay_phantoms.__main__ import main
from radrelay_phantoms.dicom import NOTICE, write_dicom, write_series


def test_hounsfield_units_survive_the_file(tmp_path: Path) -> None:
    phantom = generate_slice(1, haemorrhage=HaemorrhageKind.SUBDURAL, size=128)
    path = tmp_path / "slice.dcm"
    uid = write_dicom(phantom, path)
    dataset = pydicom.dcmread(path)
    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    assert np.array_equal(hu, phantom.image_hu_yx)
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == uid
    assert dataset.SOPClassUID == CTImageStorage
    assert (dataset.BitsStored, dataset.BitsAllocated, dataset.PixelRepresentation) == (12, 16, 0)
    assert (dataset.WindowCenter, dataset.WindowWidth) == (40, 80)


def test_the_file_says_that_it_shows_no_patient(tmp_path: Path) -> None:
    path = tmp_path / "slice.dcm"
    write_dicom(generate_slice(2, haemorrhage=None, size=64), path)
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    assert dataset.PatientName == "SYNTHETIC^PHANTOM"
    assert dataset.ImageComments == NOTICE
    assert dataset.SyntheticData == "YES"
    assert dataset.Manufacturer == "Radrelay phantom generator"
    assert list(dataset.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    assert dataset.BodyPartExamined == "HEAD"


def test_the_geometry_is_centred_and_in_millimetres(tmp_path: Path) -> None:
    phantom = generate_slice(2, haemorrhage=None, size=64)
    path = tmp_path / "slice.dcm"
    write_dicom(phantom, path)
    dataset = pydicom.dcmread(path)
    assert [float(value) for value in dataset.PixelSpacing] == pytest.approx([phantom.spacing_mm] * 2, abs=1e-5)
    x, y, z = (float(value) for value in dataset.ImagePositionPatient)
    assert (x, y) == pytest.approx((-31.5 * phantom.spacing_mm,) * 2, abs=1e-2)
    assert z == pytest.approx(phantom.level_mm, abs=1e-2)


def test_uids_are_valid_repeatable_and_different_for_different_phantoms(tmp_path: Path) -> None:
    path = tmp_path / "slice.dcm"
    uids = [write_dicom(generate_slice(seed, haemorrhage=None, size=64), path) for seed in (1, 1, 2)]
    assert uids[0] == uids[1] != uids[2]
    assert all(UID(uid).is_valid and uid.startswith("2.25.") for uid in uids)
    bleeding = write_dicom(generate_slice(1, haemorrhage=HaemorrhageKind.EPIDURAL, size=64), path)
    assert bleeding != uids[0]


def test_a_series_shares_its_study_and_stacks_upwards(tmp_path: Path) -> None:
    paths = write_series(generate_series(3, haemorrhage=None, slices=4, size=64), tmp_path)
    datasets = [pydicom.dcmread(path) for path in paths]
    assert [path.name for path in paths] == [f"slice-00{number}.dcm" for number in (1, 2, 3, 4)]
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1
    assert len({dataset.StudyInstanceUID for dataset in datasets}) == 1
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 4
    assert [dataset.InstanceNumber for dataset in datasets] == [1, 2, 3, 4]
    heights = [float(dataset.ImagePositionPatient[2]) for dataset in datasets]
    assert np.diff(heights) == pytest.approx([5.0] * 3, abs=2e-3)


def test_the_command_writes_files_and_their_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "out"), "--count", "6", "--seed", "40", "--prevalence", "0.5", "--size", "64"]) == 0
    assert "6 phantoms" in capsys.readouterr().out
    with (tmp_path / "out" / "truth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == [str(seed) for seed in range(40, 46)]
    for row in rows:
        assert pydicom.dcmread(tmp_path / "out" / row["file"]).SOPInstanceUID == row["sop_instance_uid"]
        assert (row["haemorrhage"] == "none") == (float(row["lesion_area_mm2"]) == 0)
    assert len({row["haemorrhage"] for row in rows}) > 1


def test_the_command_explains_a_bad_argument(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--prevalence", "2"])
    assert stopped.value.code == 2
    assert "prevalence is 2.0" in capsys.readouterr().err
