import hashlib
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from ingest_service.dimse.data_set import DataSetFile, file_header

UIDS = ("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1")


def test_a_header_is_the_file_meta_information_of_its_data_set() -> None:
    meta = dcmread(BytesIO(file_header(*UIDS))).file_meta
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID) == UIDS
    assert meta.FileMetaInformationVersion == b"\x00\x01"


def test_a_header_never_changes_or_an_image_sent_again_would_be_another_one() -> None:
    digest = hashlib.sha256(file_header(*UIDS)).hexdigest()
    assert digest == "8590b3034e3f74615c98bc988548970c09db2cc1b3bec7a261f146504d87c6bd"


def data_set(folder: Path, max_bytes: int = 100) -> DataSetFile:
    return DataSetFile(folder / "file", lambda: b"header", max_bytes)


def test_what_is_written_is_the_header_and_then_the_fragments(tmp_path: Path) -> None:
    written = data_set(tmp_path)
    for fragment in (b"one", b"", b"two"):
        assert written.write(fragment) == len(fragment)
    file = written.finish("name")
    assert file.path.read_bytes() == b"headeronetwo"
    assert (file.size_bytes, file.sha256) == (12, hashlib.sha256(b"headeronetwo").hexdigest())


def test_a_data_set_without_a_byte_is_a_header(tmp_path: Path) -> None:
    assert data_set(tmp_path).finish("name").path.read_bytes() == b"header"


def test_nothing_is_kept_of_a_data_set_over_the_limit(tmp_path: Path) -> None:
    written = data_set(tmp_path, max_bytes=8)
    written.write(b"12")
    assert not written.over_limit
    written.write(b"3")
    written.write(b"4")
    assert written.over_limit
    assert list(tmp_path.iterdir()) == []
    assert written.finish("name").size_bytes == 10


def test_a_disk_that_takes_nothing_is_an_error_and_the_rest_is_let_go(tmp_path: Path) -> None:
    written = data_set(tmp_path / "gone")
    assert written.write(b"one") == 3
    assert written.write(b"two") == 3
    with pytest.raises(FileNotFoundError):
        written.finish("name")


def test_discarding_leaves_nothing(tmp_path: Path) -> None:
    written = data_set(tmp_path)
    written.write(b"1")
    written.discard()
    written.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_comes_after_discarding_goes_nowhere(tmp_path: Path) -> None:
    written = data_set(tmp_path)
    written.write(b"1")
    written.discard()
    assert written.write(b"2") == 1
    assert list(tmp_path.iterdir()) == []
