"""Bodies that are slow, endless, coded, or not as long as they say: each ends in a problem, and nothing is left."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from itertools import count

import httpx
import pytest

from ingest_service.settings import IngestSettings
from support.dicom_files import dicom_file
from support.dicom_network import nothing_left_in
from support.ingest_api import IngestUser, assert_problem
from support.raw_http import answer, open_request
from support.tenants import new_tenant
from support.tokens import TestIssuer

Serving = Callable[..., AbstractAsyncContextManager[str]]
MULTIPART = {"Content-Type": "multipart/form-data; boundary=boundary"}
PART = b'--boundary\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\n%b\r\n'
END = b"--boundary--\r\n"
MAX_BODY_BYTES = 1 << 20


@pytest.fixture
async def narrow(serving: Serving, settings: IngestSettings) -> AsyncIterator[str]:
    """The address of an API that takes little and is not patient."""
    changes = {"max_body_bytes": MAX_BODY_BYTES, "stall_timeout_s": 0.5, "stall_bytes": 4096}
    async with serving(upload=settings.upload.model_copy(update=changes)) as address:
        yield address


class Sender:
    """Opens a batch, sends a request of any kind to it, and knows what became of it."""

    def __init__(self, client: httpx.AsyncClient, issuer: TestIssuer) -> None:
        self.user = IngestUser(client, issuer.bearer(new_tenant(), "dr-a"))
        self.batch_id = ""

    async def path(self) -> str:
        self.batch_id = await self.user.open_batch()
        return f"/v1/batches/{self.batch_id}/files"

    async def ask(
        self,
        body: bytes,
        headers: dict[str, str],
        then: Callable[[asyncio.StreamWriter], AsyncIterator[bytes]] | None = None,
    ) -> httpx.Response:
        """The answer to a request that begins with `body` and goes on with what `then` yields, as long as it may."""
        address = str(self.user.client.base_url)
        all_headers = MULTIPART | self.user.headers | headers
        async with open_request(address, await self.path(), all_headers, body) as (reader, writer):
            sending = asyncio.create_task(_send(writer, then)) if then else None
            try:
                return await answer(reader)
            finally:
                if sending is not None:
                    sending.cancel()
                    with suppress(asyncio.CancelledError):
                        await sending

    async def accepted(self) -> int:
        """How many files of the batch were accepted."""
        return int((await self.user.batch(self.batch_id))["counts"]["queued"])


async def _send(writer: asyncio.StreamWriter, then: Callable[[asyncio.StreamWriter], AsyncIterator[bytes]]) -> None:
    with suppress(ConnectionError):
        async for piece in then(writer):
            writer.write(piece)
            await writer.drain()


@pytest.fixture
async def sender(narrow: str, issuer: TestIssuer) -> AsyncIterator[Sender]:
    async with httpx.AsyncClient(base_url=narrow, timeout=30) as client:
        yield Sender(client, issuer)


@pytest.fixture(autouse=True)
async def nothing_left(settings: IngestSettings) -> AsyncIterator[None]:
    """Whatever a request does, the spool is empty after it."""
    yield
    assert settings.upload.spool_dir is not None
    await nothing_left_in(settings.upload.spool_dir)


def whole(*contents: bytes) -> bytes:
    return b"".join(PART % (f"{n}.dcm".encode(), content) for n, content in zip(count(), contents))


async def drip(_: asyncio.StreamWriter) -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.02)
        yield b"x"


async def flood(_: asyncio.StreamWriter) -> AsyncIterator[bytes]:
    while True:
        yield b"1000\r\n" + bytes(0x1000) + b"\r\n"


async def test_a_body_that_drips_is_ended_and_its_whole_files_are_kept(sender: Sender) -> None:
    body = whole(dicom_file()) + PART.partition(b"%b\r\n")[0]
    problem = assert_problem(await sender.ask(body, {"Content-Length": "1000000"}, drip), 408, "upload_stalled")
    assert (problem["accepted"], await sender.accepted()) == (1, 1)


async def test_an_endless_body_is_ended_at_the_limit_and_its_whole_files_are_kept(sender: Sender) -> None:
    start = whole(dicom_file()) + PART.partition(b"%b\r\n")[0] + b'x"\r\n\r\n'
    chunk = b"%x\r\n%b\r\n" % (len(start), start)
    problem = assert_problem(await sender.ask(chunk, {"Transfer-Encoding": "chunked"}, flood), 413, "body_too_large")
    assert (problem["accepted"], await sender.accepted()) == (1, 1)


async def test_a_body_in_chunks_without_a_length_is_taken(sender: Sender) -> None:
    body = whole(dicom_file()) + END
    content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert (await sender.ask(content, {"Transfer-Encoding": "chunked"})).status_code == 200
    assert await sender.accepted() == 1


async def test_a_body_longer_than_its_length_is_a_bad_request(sender: Sender) -> None:
    body = whole(dicom_file(), dicom_file()) + END
    # What is past the length is read as the next request, which it is not: the server ends the connection.
    assert (await sender.ask(body, {"Content-Length": str(len(body) // 2)})).status_code == 400
    assert (await sender.ask(body, {"Content-Length": str(len(body))})).status_code == 200


async def test_a_body_shorter_than_its_length_is_waited_for_and_ended(sender: Sender) -> None:
    body = whole(dicom_file()) + END
    assert_problem(await sender.ask(body, {"Content-Length": str(len(body) + 1)}), 408, "upload_stalled")
    assert await sender.accepted() == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "-1"},
        {"Content-Length": "1e3"},
        {"Content-Length": "10, 20"},
        {"Content-Length": "10", "content-length": "20"},
        {"Content-Length": "10", "Transfer-Encoding": "chunked"},
        {"Transfer-Encoding": "gzip, chunked, gzip"},
    ],
)
async def test_a_length_that_means_nothing_is_a_bad_request(sender: Sender, headers: dict[str, str]) -> None:
    response = await sender.ask(whole(dicom_file()) + END, headers)
    assert response.status_code == 400
    assert await sender.accepted() == 0


async def test_a_body_without_any_length_is_empty(sender: Sender) -> None:
    response = await sender.ask(b"", {})
    assert_problem(response, 400, "malformed_multipart")


@pytest.mark.parametrize("size", [0, 64 << 20])
async def test_a_coded_body_is_refused_and_not_inflated(sender: Sender, size: int) -> None:
    body = gzip.compress(whole(dicom_file() + bytes(size)) + END)
    headers = {"Content-Encoding": "gzip", "Content-Length": str(len(body))}
    response = await sender.ask(body, headers)
    assert_problem(response, 415, "content_coding_not_taken")
    assert response.headers["accept-encoding"] == "identity"
    assert await sender.accepted() == 0


async def test_a_gzip_file_is_no_archive_and_no_image(sender: Sender) -> None:
    batch_id = await sender.user.open_batch()
    outcome = await sender.user.upload(batch_id, {"a.dcm.gz": gzip.compress(dicom_file()), "b.dcm": dicom_file()})
    assert [each["reason"] for each in outcome["rejected"]] == ["not_dicom"]
    assert [each["name"] for each in outcome["accepted"]] == ["b.dcm"]
