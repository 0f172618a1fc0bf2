import zipfile
from pathlib import Path

import pydicom
import pytest

from radrelay_local.client.sending import OutgoingFile, group_files
from radrelay_local.demo.samples import SAMPLE_STEPS, ZIP_PHANTOMS, users_own, write_real_files, write_samples
from radrelay_local.people import ADA, BEN


@pytest.fixture(autouse=True)
def small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radrelay_local.demo.samples.IMAGE_SIZE", 64)


def test_three_parcels_of_two_tenants_are_written_and_every_step_is_told(tmp_path: Path) -> None:
    steps = []
    parcels = write_samples(tmp_path / "samples", 5, lambda: steps.append(1))
    assert [parcel.sender for parcel in parcels] == [ADA, ADA, BEN]
    assert len(steps) == SAMPLE_STEPS
    with zipfile.ZipFile(parcels[0].paths[0]) as archive:
        assert len(archive.namelist()) == ZIP_PHANTOMS
    for path in parcels[1].paths:
        assert pydicom.dcmread(path).ImageComments == "SYNTHETIC PHANTOM, NOT A PATIENT"


def test_no_image_is_in_two_parcels(tmp_path: Path) -> None:
    parcels = write_samples(tmp_path / "samples", 5)
    with zipfile.ZipFile(parcels[0].paths[0]) as archive:
        zipped = [pydicom.dcmread(archive.open(name)).SOPInstanceUID for name in archive.namelist()]
    loose = [pydicom.dcmread(path).SOPInstanceUID for path in parcels[1].paths]
    others = [pydicom.dcmread(path).SOPInstanceUID for path in parcels[2].root.glob("head-*.dcm")]
    uids = [*zipped, *loose, *others]
    assert len(set(uids)) == len(uids)


def test_the_second_tenants_parcel_has_real_images_and_every_kind_of_bad_file(tmp_path: Path) -> None:
    parcel = write_real_files(tmp_path / "real", 1)
    names = {path.name for path in parcel.paths}
    assert {"CT_small.dcm", "MR_small.dcm", "cut-short.dcm", "letter.dcm", "nothing.dcm"} < names
    assert not (tmp_path / "outside.dcm").exists()
    with zipfile.ZipFile(tmp_path / "real" / "climbing-names.zip") as archive:
        assert "../../outside.dcm" in archive.namelist()
    assert "PixelData" not in pydicom.dcmread(tmp_path / "real" / "plan-without-pixels.dcm")
    real = [pydicom.dcmread(tmp_path / "real" / name).SOPInstanceUID for name in ("CT_small.dcm", "MR_small.dcm")]
    assert len(set(real)) == 2


def test_a_users_own_folder_is_sent_whole_and_a_file_alone(tmp_path: Path) -> None:
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    for name in ("b.dcm", "deep/a.dcm"):
        (tmp_path / "mine" / name).write_bytes(b"1")
    parcel = users_own(tmp_path / "mine")
    assert [path.relative_to(parcel.root).as_posix() for path in parcel.paths] == ["b.dcm", "deep/a.dcm"]
    alone = users_own(tmp_path / "mine" / "b.dcm")
    assert alone.paths == (tmp_path / "mine" / "b.dcm",)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no files in"):
        users_own(tmp_path / "empty")


def test_files_are_grouped_by_count_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radrelay_local.client.sending.FILES_PER_REQUEST", 3)
    monkeypatch.setattr("radrelay_local.client.sending.BYTES_PER_REQUEST", 100)
    paths = []
    for number, size in enumerate((10, 10, 10, 10, 95, 200, 5)):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(b"x" * size)
    groups = group_files(OutgoingFile.under(tmp_path, path) for path in paths)
    assert [[int(file.name) for file in group] for group in groups] == [[0, 1, 2], [3], [4], [5], [6]]
    assert group_files([]) == []
