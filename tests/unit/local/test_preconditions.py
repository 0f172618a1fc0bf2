from pathlib import Path

import pytest

from radrelay_local import preconditions
from radrelay_local.errors import StackError


def test_this_machine_will_do(tmp_path: Path) -> None:
    preconditions.check(tmp_path / "not" / "there" / "yet")


def test_an_old_python_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"Python 3\.11 or newer is needed, this is 3\.10\.2"):
        preconditions.check(tmp_path, python=(3, 10, 2))


def test_a_platform_without_servers_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="Windows on AMD64 is not supported"):
        preconditions.check(tmp_path, system="Windows", machine="AMD64")


def test_a_full_disk_is_named_with_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditions, "DISK_GB", 1e9)
    with pytest.raises(StackError, match="GB of free disk are needed"):
        preconditions.check(tmp_path)


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditions, "PROGRAMS", ("no-such-server",))
    with pytest.raises(StackError, match=r"(?s)Python 3\.11.*no-such-server is not installed"):
        preconditions.check(tmp_path, python=(3, 9))
