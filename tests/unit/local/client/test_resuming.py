"""Large files on their way out, to a server that fails when it is told to."""

import base64
import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from radrelay_local.client import connection
from radrelay_local.client.api import ApiClient
from radrelay_local.client.connection import ATTEMPTS, ApiError
from radrelay_local.client.delivery import Delivery
from radrelay_local.client.sending import OutgoingFile

BATCH_ID = uuid4()
CONTENT = bytes(range(256)) * 10
PIECE_BYTES = 1000


@pytest.fixture(autouse=True)
def small_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_DELAY_S", 0.0)
    monkeypatch.setattr(connection, "LONGEST_DELAY_S", 0.0)
    monkeypatch.setattr("radrelay_local.client.sending.BYTES_PER_REQUEST", PIECE_BYTES)


class TusServer:
    """Keeps the bytes of one upload. What it does with each PATCH is told: `take`, a status, or lose the connection.

    Losing it `before` keeps nothing of the request, `half` the first half, and `after` all.
    """

    def __init__(self, *acts: str | int) -> None:
        self.content = bytearray()
        self.name = ""
        self.length = 0
        self.requests: list[str] = []
        self._acts = list(acts)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.method)
        if request.method == "POST":
            assert request.url.path == f"/api/ingest/v1/batches/{BATCH_ID}/uploads"
            self.length = int(request.headers["Upload-Length"])
            self.name = base64.b64decode(request.headers["Upload-Metadata"].removeprefix("filename ")).decode()
            return httpx.Response(201, headers={"Location": "../../uploads/u-1"})
        assert request.url.path == "/api/ingest/v1/uploads/u-1"
        assert request.headers["Tus-Resumable"] == "1.0.0"
        if request.method == "HEAD":
            return self._standing(200)
        return self._take(request, self._acts.pop(0) if self._acts else "take")

    def _take(self, request: httpx.Request, act: str | int) -> httpx.Response:
        if isinstance(act, int):
            return httpx.Response(act, json={"code": "no", "detail": "No."})
        if int(request.headers["Upload-Offset"]) != len(self.content):
            return httpx.Response(409, json={"code": "upload_offset_mismatch", "detail": "Elsewhere."})
        body = request.content
        assert int(request.headers["Content-Length"]) == len(body) <= PIECE_BYTES
        self.content += {"before": b"", "half": body[: len(body) // 2]}.get(act, body)
        if act != "take":
            raise httpx.ReadError("lost", request=request)
        return self._standing(204)

    def _standing(self, status: int) -> httpx.Response:
        return httpx.Response(status, headers={"Upload-Offset": str(len(self.content))})


async def deliver(
    server: TusServer, path: Path, *, tokens: Iterable[str] = ("a", "b", "c")
) -> tuple[Delivery, list[int]]:
    sent: list[int] = []
    supply = iter(tokens)
    async with ApiClient(
        "http://radrelay.test", lambda: next(supply), transport=httpx.MockTransport(server.answer)
    ) as client:
        delivery = Delivery(client, BATCH_ID, sent=sent.append)
        await delivery.send([OutgoingFile("study/nacht ü.zip", path, len(CONTENT))])
    return delivery, sent


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.zip"
    path.write_bytes(CONTENT)
    return path


async def test_a_large_file_goes_in_pieces_under_its_name(large: Path) -> None:
    server = TusServer()
    delivery, sent = await deliver(server, large)
    assert (bytes(server.content), server.length, server.name) == (CONTENT, len(CONTENT), "study/nacht ü.zip")
    assert server.requests == ["POST", "PATCH", "PATCH", "PATCH"]
    assert (delivery.answered, sum(sent)) == (1, len(CONTENT))


@pytest.mark.parametrize("loss", ["before", "half", "after"])
async def test_after_a_lost_connection_it_goes_on_where_the_server_stands(large: Path, loss: str) -> None:
    server = TusServer("take", loss)
    delivery, sent = await deliver(server, large)
    assert server.content == CONTENT
    assert server.requests[:4] == ["POST", "PATCH", "PATCH", "HEAD"]
    assert (delivery.answered, sum(sent)) == (1, len(CONTENT))


async def test_a_lost_last_answer_needs_no_other_request_with_bytes(large: Path) -> None:
    server = TusServer("take", "take", "after")
    await deliver(server, large)
    assert server.requests == ["POST", "PATCH", "PATCH", "PATCH", "HEAD"]
    assert server.content == CONTENT


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_a_busy_server_and_an_expired_token_delay(large: Path, status: int) -> None:
    server = TusServer(status, "take")
    await deliver(server, large)
    assert server.content == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410, 413])
async def test_a_refusal_ends_it(large: Path, status: int) -> None:
    server = TusServer(status)
    with pytest.RaisesGroup(ApiError) as refused:
        await deliver(server, large)
    (error,) = refused.value.exceptions
    assert isinstance(error, ApiError)
    assert error.status == status
    assert server.requests == ["POST", "PATCH"]


async def test_attempts_that_bring_nothing_forward_come_to_an_end(large: Path) -> None:
    server = TusServer(*["before"] * 100)
    with pytest.RaisesGroup(ApiError):
        await deliver(server, large)
    assert server.requests.count("PATCH") == ATTEMPTS


async def test_attempts_that_bring_something_forward_go_on(large: Path) -> None:
    server = TusServer(*["half"] * 2 * ATTEMPTS)
    await deliver(server, large)
    assert server.content == CONTENT
    assert server.requests.count("PATCH") > ATTEMPTS


async def test_a_large_file_that_cannot_be_read_is_told_and_begins_no_upload(tmp_path: Path) -> None:
    server = TusServer()
    delivery, _ = await deliver(server, tmp_path / "missing.zip")
    assert [file.name for file, _ in delivery.unreadable] == ["study/nacht ü.zip"]
    assert server.requests == []


async def test_a_file_that_shrinks_while_it_is_sent_ends_it(large: Path) -> None:
    os.truncate(large, 1500)
    with pytest.RaisesGroup(OSError):
        await deliver(TusServer(), large)
