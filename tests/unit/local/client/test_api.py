import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from radrelay_local.client import connection
from radrelay_local.client.answers import BatchState
from radrelay_local.client.api import ApiClient
from radrelay_local.client.connection import ATTEMPTS, ApiError
from radrelay_local.client.delivery import Delivery
from radrelay_local.client.sending import OutgoingFile
from radrelay_shared.events import Urgency

BATCH_ID = uuid4()
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_DELAY_S", 0.0)
    monkeypatch.setattr(connection, "LONGEST_DELAY_S", 0.0)


def batch_json(state: str, reported: int = 0, queued: int = 0) -> dict[str, object]:
    counts = {"received": reported + queued, "queued": queued, "processing": 0, "reported": reported}
    return {
        "batch_id": str(BATCH_ID),
        "label": "heads",
        "priority": "stat",
        "state": state,
        "created_at": "2026-01-01T00:00:00Z",
        "closed_at": None,
        "counts": {**counts, "failed": 0, "rejected": 0},
    }


def report_json(report_id: UUID) -> dict[str, object]:
    model = {"name": "m", "version": "1", "digest": "sha256:" + "0" * 64, "label": "untrained", "intended_use": "demo"}
    return {
        "report_id": str(report_id),
        "instance_id": str(uuid4()),
        "batch_id": str(BATCH_ID),
        "modality": "CT",
        "body_part": "HEAD",
        "finding": "haemorrhage",
        "positive": True,
        "probability": 0.7,
        "confidence": 0.7,
        "urgency": "urgent",
        "model": model,
        "notice": "not for clinical use",
        "received_at": "2026-01-01T00:00:00Z",
        "unknown_to_us": 1,
    }


def sse(*events: tuple[str, dict[str, object]]) -> httpx.Response:
    text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, text=text)


def connect(handler: Handler, tokens: list[str] | None = None) -> ApiClient:
    supply = iter(tokens or ["token-1", "token-2", "token-3"])
    return ApiClient("http://radrelay.test", lambda: next(supply), transport=httpx.MockTransport(handler))


async def collect(batches: AsyncIterator[object]) -> list[object]:
    return [batch async for batch in batches]


async def test_a_batch_is_opened_with_its_priority_and_the_users_token() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json=batch_json("receiving"))

    async with connect(handler) as client:
        batch = await client.open_batch(priority=Urgency.STAT, label="heads")
    assert batch.state is BatchState.RECEIVING
    assert seen[0].url.path == "/api/ingest/v1/batches"
    assert json.loads(seen[0].content) == {"priority": "stat", "label": "heads"}
    assert seen[0].headers["Authorization"] == "Bearer token-1"


async def test_an_expired_token_is_renewed_once() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        good = request.headers["Authorization"] == "Bearer token-2"
        return httpx.Response(200, json=batch_json("done")) if good else httpx.Response(401)

    async with connect(handler) as client:
        assert (await client.batch(BATCH_ID)).state is BatchState.DONE
    async with connect(lambda _: httpx.Response(401), ["a", "b"]) as client:
        with pytest.raises(ApiError) as refused:
            await client.batch(BATCH_ID)
    assert refused.value.status == 401


async def test_a_busy_or_absent_server_is_asked_again() -> None:
    answers = iter([429, None, 503, 200])

    def handler(request: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status is None:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(status, json=batch_json("done"), headers={"Retry-After": "0"})

    async with connect(handler) as client:
        assert (await client.batch(BATCH_ID)).state is BatchState.DONE


async def test_a_server_that_wants_us_back_much_later_is_not_waited_for() -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, json={"detail": "the day's quota is used up"}, headers={"Retry-After": "3600"})

    async with connect(handler) as client:
        with pytest.raises(ApiError, match="quota"):
            await client.batch(BATCH_ID)
    assert len(asked) == 1


async def test_it_gives_up_after_a_bounded_number_of_attempts() -> None:
    attempts = 0

    def handler(_: httpx.Request) -> httpx.Response:
        nonlocal attempts
        attempts += 1
        return httpx.Response(503, json={"title": "Service Unavailable", "detail": "the store is away"})

    async with connect(handler) as client:
        with pytest.raises(ApiError, match="the store is away"):
            await client.batch(BATCH_ID)
    assert attempts == ATTEMPTS


async def test_a_problem_document_becomes_an_error_that_says_what_and_where() -> None:
    problem = {"code": "batch_closed", "detail": "The batch is closed.", "status": 409}
    async with connect(lambda _: httpx.Response(409, json=problem)) as client:
        with pytest.raises(ApiError, match="closed") as refused:
            await client.close_batch(BATCH_ID)
    assert (refused.value.status, refused.value.code) == (409, "batch_closed")
    assert f"/v1/batches/{BATCH_ID}/close" in str(refused.value)


async def test_an_answer_of_another_shape_names_the_field() -> None:
    broken = batch_json("done") | {"state": "unheard-of"}
    async with connect(lambda _: httpx.Response(200, json=broken)) as client:
        with pytest.raises(ApiError, match="'state'"):
            await client.batch(BATCH_ID)


async def test_files_are_streamed_with_their_relative_names_and_every_byte_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    contents = {"one.dcm": b"a" * 1000, "series/two.dcm": b"b" * 150_000}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    bodies: list[bytes] = []
    answers = iter([503, 200])

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        accepted = [{"name": name, "instance_id": str(uuid4()), "repeated": False} for name in contents]
        return httpx.Response(next(answers), json={"accepted": accepted, "rejected": []})

    sent: list[int] = []
    async with connect(handler) as client:
        files = [OutgoingFile.under(tmp_path, tmp_path / name) for name in contents]
        receipt = await client.upload(BATCH_ID, files, sent=sent.append)
    assert len(receipt.accepted) == 2
    assert sum(sent) == 151_000
    assert len(bodies) == 2  # the repeated attempt has all the bytes again
    for body in bodies:
        assert re.findall(rb'filename="([^"]+)"', body) == [name.encode() for name in contents]
        assert all(content in body for content in contents.values())


async def test_receipts_of_several_requests_are_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radrelay_local.client.sending.FILES_PER_REQUEST", 2)
    paths = [tmp_path / f"{number}.dcm" for number in range(5)]
    for path in paths:
        path.write_bytes(b"x")

    def handler(request: httpx.Request) -> httpx.Response:
        names = re.findall(rb'filename="([^"]+)"', request.read())
        rejected = [{"name": name.decode(), "reason": "not_dicom", "detail": "no prefix"} for name in names]
        return httpx.Response(200, json={"accepted": [], "rejected": rejected})

    async with connect(handler) as client:
        delivery = Delivery(client, BATCH_ID)
        await delivery.send(OutgoingFile.under(tmp_path, path) for path in paths)
    assert [rejected.name for rejected in delivery.rejected] == [path.name for path in paths]


async def test_progress_is_followed_to_the_end() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            changes = [batch_json("processing", 0, 2), batch_json("processing", 1, 1)]
            return sse(*(("progress", change) for change in changes), ("done", {}))
        return httpx.Response(200, json=batch_json("done", 2))

    async with connect(handler) as client:
        seen = [batch.counts.reported async for batch in client.watch(BATCH_ID)]
    assert seen == [0, 1, 2]


async def test_a_broken_progress_stream_is_taken_up_again() -> None:
    first, last = sse(("progress", batch_json("processing", 1, 1))), sse(("done", {}))
    streams: Iterator[httpx.Response | httpx.ReadError] = iter([first, httpx.ReadError("cut"), last])
    opened = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal opened
        if not request.url.path.endswith("/events"):
            return httpx.Response(200, json=batch_json("done" if opened == 3 else "processing", 2))
        opened += 1
        stream = next(streams)
        if isinstance(stream, httpx.ReadError):
            raise stream
        return stream

    async with connect(handler) as client:
        seen = [batch async for batch in client.watch(BATCH_ID)]
    assert opened == 3
    assert seen[-1].state is BatchState.DONE


async def test_where_no_progress_comes_the_batch_is_asked_for_until_it_is_done() -> None:
    asked = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        if request.url.path.endswith("/events"):
            return httpx.Response(200, text="<html>a proxy that knows no streams</html>")
        asked += 1
        return httpx.Response(200, json=batch_json("done" if asked == 2 * ATTEMPTS else "processing", asked))

    async with connect(handler) as client:
        seen = [batch.counts.reported async for batch in client.watch(BATCH_ID)]
    assert seen == list(range(1, 2 * ATTEMPTS + 1))


async def test_progress_of_a_batch_that_is_not_there_is_an_error() -> None:
    async with connect(lambda _: httpx.Response(404, json={"detail": "There is no such batch."})) as client:
        with pytest.raises(ApiError, match="no such batch"):
            await collect(client.watch(BATCH_ID))


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("http://radrelay.test", "/api/ingest/v1/batches"),
        ("http://radrelay.test/api/ingest", "/api/ingest/v1/batches"),
        ("http://ingest.test:8000", "/v1/batches"),
    ],
)
async def test_the_address_may_be_the_origin_or_the_ingest_api_itself(base_url: str, path: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path != path:
            return httpx.Response(404)
        return httpx.Response(200, json=batch_json("receiving"))

    async with ApiClient(base_url, lambda: "token", transport=httpx.MockTransport(handler)) as client:
        await client.find_ingest()
        assert (await client.open_batch()).batch_id == BATCH_ID
        assert client.has_reports == (base_url == "http://radrelay.test")


async def test_an_address_of_something_else_is_an_error() -> None:
    async with connect(lambda _: httpx.Response(404)) as client:
        with pytest.raises(ApiError, match="neither a Radrelay nor"):
            await client.find_ingest()


def test_waits_grow_to_a_bound_and_a_server_may_ask_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [connection.delay_s(attempt) for attempt in (1, 2, 3, 100_000)] == [0.25, 0.5, 1.0, 8.0]
    assert [connection.delay_s(1, asked) for asked in ("30", "3600", "soon")] == [30.0, 60.0, 0.25]


async def test_reports_are_read_page_by_page() -> None:
    ids = [uuid4() for _ in range(3)]

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.params["batch_id"] == str(BATCH_ID)
        second = request.url.params.get("cursor") == "next"
        page = [ids[2]] if second else ids[:2]
        return httpx.Response(
            200, json={"reports": list(map(report_json, page)), "next_cursor": None if second else "next"}
        )

    async with connect(handler) as client:
        assert [report.report_id for report in await client.reports(batch_id=BATCH_ID)] == ids


async def test_a_refused_path_is_told_by_its_status() -> None:
    async with connect(lambda _: httpx.Response(404, json={"detail": "no such report"})) as client:
        assert await client.status_of("/api/reports/v1/reports/x") == 404


async def test_a_batch_is_closed_again_until_what_came_whole_is_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radrelay_local.client.api._LOOK_AGAIN_S", 0.0)
    answers = iter([409, 409, 200])

    def handler(_: httpx.Request) -> httpx.Response:
        status = next(answers)
        content = batch_json("processing") if status == 200 else {"code": "uploads_pending", "detail": "Later."}
        return httpx.Response(status, json=content)

    async with connect(handler) as client:
        assert (await client.close_batch(BATCH_ID)).state is BatchState.PROCESSING
    async with connect(lambda _: httpx.Response(409, json={"code": "other", "detail": "No."})) as client:
        with pytest.raises(ApiError):
            await client.close_batch(BATCH_ID)
