import json
from pathlib import Path

import pytest

from radrelay_local.credentials import Credentials
from radrelay_local.errors import StackError
from radrelay_local.home import Home
from radrelay_local.state import ProcessRecord, State

RECORD = ProcessRecord(pid=7, create_time=1.5, fingerprint="abc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def test_what_is_recorded_is_read_again(path: Path) -> None:
    state = State(path)
    state.set_ports({"nats": 4222})
    state.record("nats", RECORD)
    again = State(path)
    again.reload()
    assert again.ports == {"nats": 4222}
    assert again.processes == {"nats": RECORD}


def test_a_forgotten_process_is_gone_from_the_file(path: Path) -> None:
    state = State(path)
    state.record("nats", RECORD)
    state.forget("nats")
    state.reload()
    assert state.processes == {}


def test_a_missing_file_is_an_empty_state(path: Path) -> None:
    state = State(path, ports={"nats": 1})
    state.reload()
    assert state.ports == {}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1}', '{"version": 1, "ports": {}, "processes": {"a": 1}}']
)
def test_a_file_that_is_no_state_is_refused_by_name(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(StackError, match=r"state\.json"):
        State(path).reload()


def test_a_state_of_another_version_is_refused(path: Path) -> None:
    path.write_text(json.dumps({"version": 99, "ports": {}, "processes": {}}))
    with pytest.raises(StackError, match="another version"):
        State(path).reload()


def test_a_write_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(path)
    state.record("nats", RECORD)

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("radrelay_local.files.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        state.forget("nats")
    again = State(path)
    again.reload()
    assert again.processes == {"nats": RECORD}


def test_credentials_are_made_once_and_only_their_user_reads_them(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = Credentials.of(home)
    assert Credentials.of(home) == first
    assert home.credentials_file.stat().st_mode & 0o077 == 0
    assert Credentials.of(Home(tmp_path / "other")) != first


def test_one_command_at_a_time_changes_a_stack(tmp_path: Path) -> None:
    with Home(tmp_path).lock(), pytest.raises(StackError, match="another radrelay command"), Home(tmp_path).lock():
        pass
