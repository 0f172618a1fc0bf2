import os
from pathlib import Path

import pytest

from radrelay_local.upload.walking import Found, SkipReason, find_files


def write(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(found: Found) -> list[str]:
    return [file.name for file in found.files]


def skipped(found: Found) -> dict[str, SkipReason]:
    return {each.name: each.reason for each in found.skipped}


def test_a_folder_is_walked_and_its_files_are_named_from_it(tmp_path: Path) -> None:
    for name in ("study/b.dcm", "study/ct/2.dcm", "study/ct/1.dcm"):
        write(tmp_path / name, b"12345")
    found = find_files([tmp_path / "study"])
    assert names(found) == ["study/b.dcm", "study/ct/1.dcm", "study/ct/2.dcm"]
    assert found.size_bytes == 15
    assert not found.skipped


def test_files_and_archives_are_named_by_themselves(tmp_path: Path) -> None:
    paths = [write(tmp_path / "deep" / "a.dcm"), write(tmp_path / "b.zip")]
    assert names(find_files(paths)) == ["a.dcm", "b.zip"]


def test_a_relative_path_is_named_as_the_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "study" / "ct" / "1.dcm")
    monkeypatch.chdir(tmp_path / "study" / "ct")
    assert names(find_files([Path()])) == ["ct/1.dcm"]
    assert names(find_files([Path("..")])) == ["study/ct/1.dcm"]


def test_two_folders_of_one_name_get_different_names(tmp_path: Path) -> None:
    for ward in ("a", "b", "c"):
        write(tmp_path / ward / "study" / "1.dcm")
        write(tmp_path / ward / "1.dcm")
    folders = [tmp_path / ward / "study" for ward in ("a", "b", "c")]
    assert names(find_files(folders)) == ["study/1.dcm", "study-2/1.dcm", "study-3/1.dcm"]
    assert names(find_files(folder.with_name("1.dcm") for folder in folders)) == ["1.dcm", "1-2.dcm", "1-3.dcm"]


def test_a_file_that_two_paths_lead_to_is_sent_once(tmp_path: Path) -> None:
    file = write(tmp_path / "study" / "ct" / "1.dcm")
    assert names(find_files([tmp_path / "study", file, file.parent])) == ["study/ct/1.dcm"]


def test_links_below_a_folder_are_not_followed_and_those_that_lead_out_are_told(tmp_path: Path) -> None:
    secret = write(tmp_path / "other" / "secret.dcm")
    inside = write(tmp_path / "study" / "1.dcm")
    for name, target in {
        "file": secret,
        "folder": secret.parent,
        "again": inside,
        "round": tmp_path / "study",
        "nowhere": tmp_path / "missing",
        "circle": tmp_path / "study" / "circle",
    }.items():
        (tmp_path / "study" / name).symlink_to(target)
    found = find_files([tmp_path / "study"])
    assert names(found) == ["study/1.dcm"]
    assert skipped(found) == {
        "study/file": SkipReason.LINK_OUTSIDE,
        "study/folder": SkipReason.LINK_OUTSIDE,
        "study/nowhere": SkipReason.UNREADABLE,
        "study/circle": SkipReason.UNREADABLE,
    }


def test_a_link_that_was_asked_for_is_followed_and_keeps_its_name(tmp_path: Path) -> None:
    write(tmp_path / "store" / "0001" / "1.dcm")
    (tmp_path / "study").symlink_to(tmp_path / "store" / "0001")
    assert names(find_files([tmp_path / "study"])) == ["study/1.dcm"]


def test_empty_folders_and_what_is_no_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "study" / "ct" / "empty").mkdir(parents=True)
    os.mkfifo(tmp_path / "study" / "pipe")
    found = find_files([tmp_path / "study"])
    assert not found.files
    assert skipped(found) == {"study/ct/empty": SkipReason.EMPTY_FOLDER, "study/pipe": SkipReason.NOT_A_FILE}


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "study" / "closed" / "1.dcm")
    write(tmp_path / "study" / "open" / "1.dcm")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_files([tmp_path / "study"])
    assert names(found) == ["study/open/1.dcm"]
    assert [(each.name, each.reason, each.detail) for each in found.skipped] == [
        ("study/closed", SkipReason.UNREADABLE, "permission denied")
    ]


def test_names_are_fit_to_send_and_show(tmp_path: Path) -> None:
    write(tmp_path / "study" / os.fsdecode(b"t\xeate\x1b[31m.dcm"))
    write(tmp_path / "study" / "頭部\u3000断層.dcm")
    assert names(find_files([tmp_path / "study"])) == ["study/t\ufffdte\ufffd[31m.dcm", "study/頭部\u3000断層.dcm"]
