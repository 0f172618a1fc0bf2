import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from radrelay_local.client.connection import ApiError
from radrelay_local.demo import scenario
from radrelay_local.demo.scenario import run
from radrelay_local.demo.summary import IsolationCheck, Summary
from radrelay_local.people import BEN


class StackStub:
    base_url = "http://radrelay.test"

    def issue_token(self, tenant: str, user: str, roles: Iterable[str]) -> str:
        raise AssertionError(f"a token for {tenant}/{user} as {roles}")

    def addresses(self) -> dict[str, str]:
        return {"Report API": "http://radrelay.test/api/reports/docs"}


@pytest.fixture(autouse=True)
def small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radrelay_local.demo.samples.IMAGE_SIZE", 64)


def play(out: Path, *, dicom: Path | None = None) -> int:
    return run(StackStub(), once=True, dicom=dicom, out=out)


def performing(monkeypatch: pytest.MonkeyPatch, outcome: Summary | ApiError) -> None:
    async def perform(*_: Any) -> Summary:
        if isinstance(outcome, ApiError):
            raise ExceptionGroup("batches", [ExceptionGroup("one batch", [outcome])])
        return outcome

    monkeypatch.setattr(scenario, "_perform", perform)


@pytest.mark.parametrize(("status", "exit_status"), [(404, 0), (200, 1)])
def test_a_figure_that_does_not_agree_makes_the_exit_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, exit_status: int
) -> None:
    performing(monkeypatch, Summary(isolation=[IsolationCheck(BEN, "a report", status)]))
    assert play(tmp_path) == exit_status
    written = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert written["equals_what_was_sent"] is (exit_status == 0)


def test_a_refused_request_ends_in_its_message_and_the_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    performing(monkeypatch, ApiError("POST /v1/batches: HTTP 500: broken", status=500))
    assert play(tmp_path) == 1
    shown = capsys.readouterr().out
    assert "HTTP 500: broken" in shown
    assert "api/reports/docs" in shown


def test_an_empty_folder_of_ones_own_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    assert play(tmp_path / "out", dicom=tmp_path / "mine") == 1
    assert "no files in" in capsys.readouterr().out


def test_what_an_earlier_run_left_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    performing(monkeypatch, Summary())
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "01-stat-old.png").write_bytes(b"old")
    assert play(tmp_path) == 0
    assert list((tmp_path / "overlays").iterdir()) == []
