from pathlib import Path

import pytest
from typer.testing import CliRunner

from radrelay_local.cli import app
from radrelay_local.client.connection import ApiError
from radrelay_local.upload.access import access

REMOTE = "https://radrelay.example.org"
LOCAL = "http://127.0.0.1:8080"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RADRELAY_TOKEN", raising=False)
    monkeypatch.delenv("RADRELAY_URL", raising=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upload"], "Missing argument"),
        (["upload", "{file}/missing"], "does not exist"),
        (["upload", "{file}", "--priority", "now"], "'now' is not one of"),
        (["upload", "{file}", "--concurrency", "0"], "--concurrency"),
        (["upload", "{file}", "--url", "ftp://radrelay"], "no address"),
        (["upload", "{file}", "--url", LOCAL], "give a token"),
        (["upload", "{file}", "--url", LOCAL, "--tenant", "north"], "give a token"),
        (["upload", "{file}", "--url", REMOTE, "--tenant", "north", "--user", "ada"], "wants a token"),
        (["upload", "{file}", "--home", "{folder}"], "give --url, or start the local stack"),
        (["upload", "{folder}", "--url", REMOTE, "--token-file", "{file}"], "nothing to send"),
        (["watch"], "Missing argument"),
        (["watch", "batch"], "valid UUID"),
    ],
)
def test_wrong_usage_ends_with_1_and_says_what_is_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    file, folder = tmp_path / "1.dcm", tmp_path / "empty"
    file.write_bytes(b"x")
    folder.mkdir()
    result = CliRunner().invoke(
        app, [each.format(file=file, folder=folder) for each in arguments], env={"COLUMNS": "300"}
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


@pytest.mark.parametrize("command", ["upload", "watch"])
def test_the_help_tells_the_exit_statuses(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300"})
    assert "3 interrupted, or still processing" in result.stdout


def test_a_token_comes_from_its_file_before_the_environment_and_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADRELAY_TOKEN", "environment")
    assert access(REMOTE, None, None, None, tmp_path).issue_token() == "environment"
    path = tmp_path / "token"
    path.write_text("first\n", encoding="ascii")
    found = access(REMOTE, path, None, None, tmp_path)
    assert found.issue_token() == "first"
    path.write_text("second\n", encoding="ascii")
    assert found.issue_token() == "second"


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff", b"t\xc3\xb6ken"])
def test_a_file_that_holds_no_token_is_an_error_that_does_not_show_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ApiError) as refused:
        access(REMOTE, path, None, None, tmp_path).issue_token()
    assert str(path) in str(refused.value)
    assert "words" not in str(refused.value).replace(str(path), "")
