import re
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from radrelay_local.client import connection
from radrelay_local.client.api import ApiClient
from radrelay_local.upload.outcome import ExitStatus
from radrelay_local.upload.run import Order, upload
from radrelay_local.upload.screen import Screen
from radrelay_local.upload.walking import find_files
from radrelay_shared.events import Urgency

BATCH_ID = uuid4()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LONGEST_DELAY_S", 0.0)
    monkeypatch.setattr("radrelay_local.client.sending.FILES_PER_REQUEST", 2)


class Server:
    """Takes in whatever comes; refuses a file of this name with its whole request."""

    def __init__(self, refused: bytes = b"", reports: int = 200) -> None:
        self.names: list[str] = []
        self.closed = False
        self._refused = refused
        self._reports = reports

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/files") and request.method == "POST":
            return self._take(re.findall(rb'filename="([^"]+)"', request.read()))
        if path.endswith("/files"):
            files = [{"name": name, "status": "reported", "report_id": str(uuid4())} for name in self.names]
            return httpx.Response(200, json={"files": files, "next_cursor": None})
        if path.startswith("/api/reports"):
            return httpx.Response(self._reports, json={"reports": [], "next_cursor": None})
        self.closed = self.closed or path.endswith("/close")
        counts = {"received": len(self.names), "queued": 0, "processing": 0, "reported": len(self.names)}
        return httpx.Response(
            200,
            json={
                "batch_id": str(BATCH_ID),
                "label": None,
                "priority": "routine",
                "state": "done" if self.closed else "receiving",
                "counts": counts | {"failed": 0, "rejected": 0},
            },
        )

    def _take(self, names: list[bytes]) -> httpx.Response:
        if self._refused in names:
            return httpx.Response(413, json={"code": "body_too_large", "detail": "Too many bytes."})
        self.names += [name.decode() for name in names]
        accepted = [{"name": name.decode(), "instance_id": str(uuid4())} for name in names]
        return httpx.Response(200, json={"accepted": accepted, "rejected": []})

    def client(self) -> ApiClient:
        return ApiClient("http://radrelay.test", lambda: "token", transport=httpx.MockTransport(self.answer))


def order_of(folder: Path, count: int) -> Order:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.dcm").write_bytes(b"x")
    return Order(find_files([folder]), Urgency.ROUTINE, None, concurrency=2, wait=True)


async def test_every_file_is_sent_in_one_of_several_requests(tmp_path: Path) -> None:
    server = Server()
    async with server.client() as client:
        outcome = await upload(client, order_of(tmp_path / "study", 7), Screen())
    assert outcome.exit_status() is ExitStatus.ALL_REPORTED
    assert sorted(server.names) == [f"study/{number}.dcm" for number in range(7)]
    assert outcome.reports
    assert outcome.reports.in_earlier_batches == 7


async def test_a_file_that_is_gone_when_its_turn_comes_is_told_and_the_others_are_sent(tmp_path: Path) -> None:
    server = Server()
    order = order_of(tmp_path / "study", 3)
    (tmp_path / "study" / "1.dcm").unlink()
    async with server.client() as client:
        outcome = await upload(client, order, Screen())
    assert sorted(server.names) == ["study/0.dcm", "study/2.dcm"]
    assert [(each.name, each.detail) for each in outcome.skipped] == [("study/1.dcm", "no such file or directory")]
    assert outcome.exit_status() is ExitStatus.NOT_ALL_REPORTED


async def test_a_request_that_is_refused_ends_the_upload_and_closes_the_batch(tmp_path: Path) -> None:
    server = Server(refused=b"study/2.dcm")
    async with server.client() as client:
        outcome = await upload(client, order_of(tmp_path / "study", 4), Screen())
    assert outcome.exit_status() is ExitStatus.ERROR
    assert outcome.error
    assert "Too many bytes" in outcome.error
    assert server.closed
    assert outcome.shipment
    assert outcome.shipment.sent_files < outcome.shipment.files


async def test_reports_that_cannot_be_asked_for_leave_the_rest_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(reports=403)
    async with server.client() as client:
        outcome = await upload(client, order_of(tmp_path / "study", 1), Screen())
    assert (outcome.exit_status(), outcome.reports) == (ExitStatus.ALL_REPORTED, None)
    assert "The reports cannot be asked for" in capsys.readouterr().err
