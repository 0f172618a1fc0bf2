"""A hospital that uploads, listens, and for comparison puts the same files into the store itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar
from uuid import UUID, uuid4

import aiohttp
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.errors import BenchmarkError
from benchmarks.ingest.stack import IngestStack
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.events import InstanceStored, parse_event
from radrelay_shared.messaging import NatsSettings, connect, subject_of
from radrelay_shared.objects import S3ObjectStore

ReceiptT = TypeVar("ReceiptT")

_ANSWER_TIMEOUT_S = 1800.0
_EVENT_TIMEOUT_S = 60.0


class Hospital:
    """One tenant of its own."""

    def __init__(self, tenant: str, http: aiohttp.ClientSession, objects: S3ObjectStore) -> None:
        self.tenant = tenant
        self._http = http
        self._objects = objects
        self._heard_at: dict[UUID, float] = {}
        self._news = asyncio.Event()

    async def listen(self, client: Client) -> None:
        """Note when each image is announced."""
        await client.subscribe(f"{subject_of(InstanceStored, tenant=self.tenant)}.*", cb=self._hear)
        await client.flush()

    async def open_batch(self) -> str:
        """A new batch's identifier."""
        return str((await self._post("/v1/batches", json={}))["batch_id"])

    async def upload(self, batch_id: str, contents: Sequence[bytes]) -> tuple[list[UUID], float]:
        """Send files in one request; return their identifiers and the `perf_counter` of the answer."""
        form = aiohttp.FormData()
        for number, content in enumerate(contents):
            form.add_field("files", content, filename=f"{number}.dcm", content_type="application/dicom")
        answer = await self._post(f"/v1/batches/{batch_id}/files", data=form)
        answered_at = perf_counter()
        if len(answer["accepted"]) != len(contents):
            raise BenchmarkError(f"not every image was taken in: {answer['rejected'][:1]}")
        return [UUID(each["instance_id"]) for each in answer["accepted"]], answered_at

    async def upload_archive(self, batch_id: str, path: Path) -> int:
        """Send an archive; return how many images of it were taken in."""
        with path.open("rb") as file:
            form = aiohttp.FormData()
            form.add_field("files", file, filename=path.name, content_type="application/zip")
            answer = await self._post(f"/v1/batches/{batch_id}/files", data=form)
        return len(answer["accepted"])

    async def put(self, content: bytes) -> None:
        """Put one file into the store, and nothing else."""
        await self._objects.put(f"{self.tenant}/instances/{uuid4()}.dcm", content, content_type="application/dicom")

    async def announced_at(self, instance_id: UUID) -> float:
        """The `perf_counter` when the image's event was heard; waits for it."""
        async with asyncio.timeout(_EVENT_TIMEOUT_S):
            while instance_id not in self._heard_at:
                self._news.clear()
                await self._news.wait()
        return self._heard_at[instance_id]

    async def _hear(self, message: Msg) -> None:
        stored: InstanceStored = parse_event(message.data).data
        self._heard_at[stored.instance_id] = perf_counter()
        self._news.set()

    async def _post(self, path: str, **body: Any) -> Any:
        async with self._http.post(path, **body) as response:
            if not response.ok:
                raise BenchmarkError(f"{path} answered {response.status}: {await response.text()}")
            return await response.json()


@asynccontextmanager
async def open_hospital(stack: IngestStack) -> AsyncIterator[Hospital]:
    """A new tenant that listens."""
    tenant = f"bench-{uuid4().hex[:12]}"
    with TenantBuckets(stack.objects) as buckets:
        await asyncio.to_thread(buckets.add, tenant)
    headers = {"Authorization": f"Bearer {stack.issue_token(tenant, 'benchmark', ['clinician'])}"}
    timeout = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
    async with (
        connect(NatsSettings(url=stack.nats_url), name="benchmark") as client,
        S3ObjectStore(stack.objects) as objects,
        aiohttp.ClientSession(stack.api_url, headers=headers, timeout=timeout) as http,
    ):
        hospital = Hospital(tenant, http, objects)
        await hospital.listen(client)
        yield hospital


async def side_by_side(sends: Sequence[Callable[[], Awaitable[ReceiptT]]], *, parallel: int) -> list[ReceiptT]:
    """Send everything with so many at a time; return what came back, in no order."""
    waiting = list(sends)
    receipts = []

    async def send_on() -> None:
        while waiting:
            receipts.append(await waiting.pop()())

    async with asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(send_on())
    return receipts
