"""The worker as a process, on the real broker, object store and model server."""

import asyncio
import io
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from uuid import uuid4

import psutil
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from inference_service.bundles import Bundle
from radrelay_imaging import RefusalReason
from radrelay_shared.events import (
    InferenceCompleted,
    InferenceFailed,
    InferenceShadowScored,
    InferenceStarted,
    InstanceCancelled,
    Urgency,
    ValueWindow,
    make_event,
    parse_event,
)
from radrelay_shared.messaging import NatsSettings, connect, ensure_topology
from radrelay_shared.objects import S3ObjectStore, keys
from support.dicom_files import encode, set_pixels
from support.dicom_tokens import ITEM, sample_of
from support.inference import free_port, serving, working
from support.inference_site import Site, phantom
from support.mutations import mutate_pixels
from support.stack import Infrastructure
from support.tenants import new_tenant

ENOUGH_S = 90.0


def poison() -> bytes:
    """A phantom whose compressed pixel data is cut in the middle."""
    made = dcmread(io.BytesIO(phantom(0)))
    made.compress(RLELossless, generate_instance_uid=False)
    frame = next(generate_frames(made.PixelData, number_of_frames=1))
    half = frame[: len(frame) // 4 * 2]
    set_pixels(made, encapsulate([half]), encapsulated=True)
    return encode(made, RLELossless)


@pytest.fixture
async def site(infra: Infrastructure) -> AsyncIterator[Site]:
    settings = NatsSettings(url=infra.nats_url)
    async with connect(settings, name="test") as client, S3ObjectStore(infra.objects) as objects:
        await ensure_topology(client.jetstream(), settings.streams)
        site = Site(new_tenant(), objects, client)
        await site.listen()
        yield site


def decoder_of(worker: subprocess.Popen[bytes]) -> psutil.Process:
    """The one decoding process: the child of the fork server."""
    (decoder,) = [
        process
        for process in psutil.Process(worker.pid).children(recursive=True)
        if process.ppid() != worker.pid and process.status() != psutil.STATUS_ZOMBIE
    ]
    return decoder


async def test_a_stored_phantom_ends_with_a_result_and_its_heatmap(
    worker: subprocess.Popen[bytes], site: Site, bundle: Bundle
) -> None:
    stored = await site.store(phantom(1))
    (completed,) = (await site.ends([stored])).values()
    result: InferenceCompleted = completed.data
    (started,) = site.of(InferenceStarted)
    assert started.data.attempt == 1
    assert (result.model.digest, result.model.label) == (bundle.digest, "untrained")
    assert result.sop_instance_uid == stored.data.sop_instance_uid
    assert (result.picture.rows, result.picture.columns) == (128, 128)
    assert result.picture.window == ValueWindow(center=40.0, width=80.0)
    assert (result.heatmap.rows, result.heatmap.columns) == (3, 3)
    assert (await site.objects.get(result.source_key)) == phantom(1)
    assert worker.poll() is None


async def test_a_cancelled_image_is_left_by_a_worker_that_started_later_and_its_retry_is_screened(
    infra: Infrastructure, model_url: str, tmp_path: Path, site: Site
) -> None:
    stored = await site.store(phantom(1))
    data = InstanceCancelled(
        instance_id=stored.data.instance_id,
        batch_id=stored.data.batch_id,
        owner_id=stored.data.owner_id,
        submission=1,
        cancelled_at=datetime.now(UTC),
    )
    await site.publish(make_event(data, tenant=site.tenant, source="/radrelay/ingest"))
    retried = stored.data.model_copy(update={"submission": 2})
    await site.publish(make_event(retried, tenant=site.tenant, source="/radrelay/ingest"))
    with working(infra, model_url, tmp_path):
        await site.ends([stored])
    assert {event.data.submission for event in site.of(InferenceStarted, InferenceCompleted)} == {2}


async def test_a_shadow_is_recorded_and_its_score_is_no_result(
    infra: Infrastructure, site: Site, bundle: Bundle, second_bundle: Bundle, tmp_path: Path
) -> None:
    port = free_port()
    shadow = {"RADRELAY_INFERENCE_SHADOW_BUNDLE_DIRS": str(second_bundle.directory)}
    async with AsyncExitStack() as stack:
        server = serving(bundle.directory, tmp_path, port=port, **shadow)
        await asyncio.to_thread(server.__enter__)
        stack.push_async_callback(asyncio.to_thread, server.__exit__, None, None, None)
        worker = working(infra, f"http://127.0.0.1:{port}", tmp_path)
        await asyncio.to_thread(worker.__enter__)
        stack.push_async_callback(asyncio.to_thread, worker.__exit__, None, None, None)
        stored = [await site.store(phantom(seed)) for seed in range(3)]
        results = await site.ends(stored)
        shadows = await site.until(3, InferenceShadowScored)
    assert {event.data.model.digest for event in results.values()} == {bundle.digest}
    for event in shadows:
        shown = results[event.data.instance_id].data
        assert event.data.model.digest == second_bundle.digest
        assert (event.data.shown_model_digest, event.data.shown_probability) == (bundle.digest, shown.probability)
        assert event.data.probability != shown.probability
        key = keys.shadow(site.tenant, event.data.instance_id, second_bundle.digest)
        assert parse_event(await site.objects.get(key)) == event


async def test_the_same_event_twice_gives_the_same_event(worker: subprocess.Popen[bytes], site: Site) -> None:
    stored = await site.store(phantom(2))
    await site.until(1, InferenceCompleted)
    # Another id, so that the broker does not drop the repeat.
    await site.publish(stored.model_copy(update={"id": str(uuid4())}))
    first, second = await site.until(2, InferenceCompleted)
    assert first.id == second.id
    for name in ("heatmap", "probability", "urgency"):
        assert getattr(first.data, name) == getattr(second.data, name)
    assert worker.poll() is None


async def test_a_poison_file_ends_as_failed_and_its_neighbours_finish(
    worker: subprocess.Popen[bytes], site: Site
) -> None:
    stored = [await site.store(phantom(seed)) for seed in range(5)]
    poisoned = await site.store(poison())
    stored += [await site.store(phantom(seed), priority=Urgency.STAT) for seed in range(5, 10)]
    ends = await site.ends([*stored, poisoned])
    failed = ends.pop(poisoned.data.instance_id)
    assert failed.data.reason == RefusalReason.UNDECODABLE_PIXEL_DATA
    assert all(isinstance(event.data, InferenceCompleted) for event in ends.values())
    assert worker.poll() is None


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
async def test_mutated_codestreams_end_as_failed_or_screened_and_the_worker_lives(
    worker: subprocess.Popen[bytes], site: Site, syntax: UID
) -> None:
    dataset = dcmread(io.BytesIO(phantom(4)))
    dataset.compress(syntax)
    sample = sample_of(encode(dataset, syntax))
    (*_, frame) = (token for token in sample.tokens if token.tag == ITEM)
    headless = sample.content[: frame.value_at] + b"\xff" * 64 + sample.content[frame.value_at + 64 :]
    whole, broken = await site.store(sample.content), await site.store(headless)
    mutated = [await site.store(mutate_pixels(sample, Random(seed))) for seed in range(6)]
    ends = await site.ends([whole, broken, *mutated])
    assert isinstance(ends[whole.data.instance_id].data, InferenceCompleted)
    assert ends[broken.data.instance_id].data.reason == RefusalReason.UNDECODABLE_PIXEL_DATA
    failed = [event.data.reason for event in ends.values() if isinstance(event.data, InferenceFailed)]
    assert set(failed) <= set(RefusalReason) - {RefusalReason.DECODER_CRASHED, RefusalReason.DECODER_TIMEOUT}
    assert worker.poll() is None


async def test_a_decoder_that_is_killed_costs_one_case_at_most(worker: subprocess.Popen[bytes], site: Site) -> None:
    decoder = decoder_of(worker)
    decoder.send_signal(signal.SIGSTOP)
    stored = [await site.store(phantom(seed)) for seed in range(6)]
    await site.until(1, InferenceStarted)
    decoder.kill()
    ends = await site.ends(stored)
    assert sum(isinstance(event.data, InferenceFailed) for event in ends.values()) <= 1
    assert worker.poll() is None
    assert decoder_of(worker).pid != decoder.pid


async def test_a_missing_object_waits_for_its_file(worker: subprocess.Popen[bytes], site: Site) -> None:
    stored = await site.store(None)
    await site.until(1, InferenceStarted)
    await site.objects.put(stored.data.object_key, phantom(3), content_type="application/dicom")
    (completed,) = (await site.ends([stored])).values()
    assert isinstance(completed.data, InferenceCompleted)
    assert len(site.of(InferenceStarted)) > 1
    assert worker.poll() is None


async def test_sigterm_finishes_what_is_in_hand(worker: subprocess.Popen[bytes], site: Site) -> None:
    stored = [await site.store(phantom(seed)) for seed in range(12)]
    await site.until(1, InferenceStarted)
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 60) == 0
    await site.client.flush()
    begun, ended = (
        {event.data.instance_id for event in site.of(kind)} for kind in (InferenceStarted, InferenceCompleted)
    )
    assert begun == ended <= {event.data.instance_id for event in stored}


class Gate:
    """A way to the model server that can be shut and opened again."""

    def __init__(self, model_url: str) -> None:
        self._target_port = int(model_url.rsplit(":", 1)[1])
        self._streams: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = free_port()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)

    def shut(self) -> None:
        """Refuse new connections and break off those that are there."""
        assert self._server is not None
        self._server.close()
        for stream in self._streams:
            stream.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._streams |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer), return_exceptions=True)
        self._streams -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_a_model_server_that_goes_away_costs_no_attempt(
    infra: Infrastructure, site: Site, model_url: str, tmp_path: Path
) -> None:
    gate = Gate(model_url)
    await gate.open()
    starting = working(infra, f"http://127.0.0.1:{gate.port}", tmp_path)
    await asyncio.to_thread(starting.__enter__)
    try:
        first = await site.store(phantom(20))
        await site.ends([first])
        gate.shut()
        later = [await site.store(phantom(seed)) for seed in range(21, 27)]
        await site.until(7, InferenceStarted)
        await gate.open()
        ends = await site.ends([first, *later])
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)
        gate.shut()
    assert all(isinstance(event.data, InferenceCompleted) for event in ends.values())
    assert {event.data.attempt for event in site.of(InferenceStarted)} == {1}
