"""The client against a server that is away, overloaded, breaks off, or has another model."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import numpy as np
import pytest
from prometheus_client import REGISTRY

from inference_service.adapters.model_client import ModelAway, ModelClient
from inference_service.bundles import Bundle
from inference_service.ports import ModelChanged, ModelFault
from inference_service.wire import MODEL_CHANGED, ImageError, ImageResult
from support.inference import free_port
from support.models import catalogue, model_info

IMAGE = np.zeros((3, 96, 96), np.uint8)
DIGEST = "sha256:" + "1" * 64
BREAK_OFF = (0, b"")
OVERLOADED = (503, b"{}")
SCORED = (
    200,
    ImageResult(
        digest=DIGEST,
        runtime="fake-float32",
        runtime_detail="fake 1.0 cpu float32",
        logit=0.0,
        probability_raw=0.5,
        probability=0.5,
        cam_shape=(1, 1),
        cam_base64=ImageResult.encode_cam(np.zeros((1, 1), np.float32)),
        model_s=0.1,
        batch_size=1,
    )
    .model_dump_json()
    .encode(),
)


def failed(reason: str) -> tuple[int, bytes]:
    return 200, ImageError(reason=reason, detail="why").model_dump_json().encode()


@dataclass
class ScriptedServer:
    """Answers each request with the next line of its script; status 0 closes the connection instead."""

    script: deque[tuple[int, bytes]]
    paths: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(
                    next(line for line in head.splitlines() if line.lower().startswith("content-length:"))[15:]
                )
                await reader.readexactly(length)
                self.paths.append(head.split()[1])
                self.headers.append(head)
                status, body = self.script.popleft()
                if status == 0:
                    break
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(script: Iterable[tuple[int, bytes]]) -> AsyncIterator[tuple[ScriptedServer, ModelClient]]:
    server = ScriptedServer(deque(script))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, ModelClient(f"http://127.0.0.1:{port}", stop=asyncio.Event()) as client:
        yield server, client


def retries(cause: str) -> float:
    return REGISTRY.get_sample_value("radrelay_inference_model_retries_total", {"cause": cause}) or 0.0


async def test_an_overloaded_server_is_asked_again() -> None:
    before = retries("overloaded")
    async with scripted([OVERLOADED, OVERLOADED, OVERLOADED, SCORED]) as (server, client):
        assert (await client.screen(IMAGE, DIGEST)).probability == 0.5
    assert len(server.paths) == 4
    assert retries("overloaded") - before == 3


async def test_a_call_that_breaks_off_is_made_again_a_few_times() -> None:
    async with scripted([BREAK_OFF, BREAK_OFF, SCORED]) as (_, client):
        assert (await client.screen(IMAGE, DIGEST)).probability == 0.5
    async with scripted([BREAK_OFF] * 3) as (_, client):
        with pytest.raises(aiohttp.ClientError):
            await client.screen(IMAGE, DIGEST)


async def test_a_server_that_comes_back_is_found() -> None:
    server, port = ScriptedServer(deque([SCORED])), free_port()
    listening: asyncio.Server | None = None
    async with ModelClient(f"http://127.0.0.1:{port}", stop=asyncio.Event()) as client:
        before = retries("unreachable")
        waiting = asyncio.create_task(client.screen(IMAGE, DIGEST))
        async with asyncio.timeout(10):
            while retries("unreachable") == before:
                await asyncio.sleep(0.01)
            listening = await asyncio.start_server(server.serve, "127.0.0.1", port)
            assert (await waiting).probability == 0.5
        listening.close()


async def test_a_worker_that_stops_waits_for_nobody() -> None:
    stop = asyncio.Event()
    async with ModelClient("http://127.0.0.1:9", stop=stop) as client:
        waiting = asyncio.create_task(client.screen(IMAGE, DIGEST))
        before = retries("unreachable")
        async with asyncio.timeout(10):
            while retries("unreachable") == before:
                await asyncio.sleep(0.01)
            stop.set()
            with pytest.raises(ModelAway):
                await waiting


async def test_a_server_error_is_left_to_a_later_attempt() -> None:
    async with scripted([(500, b"{}")]) as (server, client):
        with pytest.raises(aiohttp.ClientResponseError):
            await client.screen(IMAGE, DIGEST)
    assert len(server.paths) == 1


async def test_another_model_is_asked_for_again(bundle: Bundle) -> None:
    models = catalogue(model_info(bundle, digest=DIGEST))
    loaded = (200, models.model_dump_json().encode())
    async with scripted([loaded, failed(MODEL_CHANGED), loaded]) as (server, client):
        assert await client.catalogue() == models
        assert await client.catalogue() == models
        with pytest.raises(ModelChanged):
            await client.screen(IMAGE, DIGEST)
        assert await client.catalogue() == models
    assert server.paths == ["/models", "/screen", "/models"]
    assert f"x-radrelay-model: {DIGEST}" in server.headers[1].lower()


async def test_a_fault_of_one_image_has_its_reason() -> None:
    async with scripted([failed("not_finite")]) as (_, client):
        with pytest.raises(ModelFault) as caught:
            await client.screen(IMAGE, DIGEST)
    assert (caught.value.reason, caught.value.detail) == ("model_not_finite", "why")
