"""A decoder that dies, hangs or asks for too much costs one image."""

import asyncio
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from fuzz.decoding import PROCESSES, fuzz_decoders
from inference_service.adapters import image_pool
from inference_service.adapters.image_pool import ImagePool
from inference_service.bundles.image_spec import ImageSpec
from inference_service.imaging import prepare_frames
from radrelay_imaging import Refusal, RefusalReason
from radrelay_shared import sandbox
from radrelay_shared.events import Urgency
from radrelay_shared.observability.metrics import SANDBOX_LOSSES
from support import decoders
from support.dicom_files import encode, image, set_pixels
from support.mutations import shipped_samples

SPEC = ImageSpec.model_validate({"size_px": 64, "accepts": {"modalities": ["CT"]}, "channels": {"kind": "voi"}})
GOOD = encode(image(rows=40, columns=60))
TIMEOUT_S = 1.0


@pytest.fixture
async def pool() -> AsyncIterator[ImagePool]:
    async with ImagePool(processes=2, timeout_s=TIMEOUT_S, memory_bytes=256 << 20) as opened:
        yield opened


async def assert_works(pool: ImagePool) -> None:
    (prepared,) = await pool.prepare(GOOD, SPEC)
    assert np.array_equal(prepared.image_cyx, prepare_frames(GOOD, SPEC)[0].image_cyx)


async def refused(pool: ImagePool, content: bytes = GOOD) -> RefusalReason:
    with pytest.raises(Refusal) as caught:
        await pool.prepare(content, SPEC)
    return caught.value.reason


def losses() -> float:
    """How many decoders died or hung so far."""
    samples = (sample for metric in SANDBOX_LOSSES.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


async def test_work_in_the_pool_gives_what_it_gives_here(pool: ImagePool) -> None:
    (here,), (there,) = prepare_frames(GOOD, SPEC), await pool.prepare(GOOD, SPEC)
    assert np.array_equal(here.image_cyx, there.image_cyx)
    assert here.placement == there.placement


async def test_a_refusal_comes_back_as_itself(pool: ImagePool) -> None:
    assert await refused(pool, b"text") == RefusalReason.NOT_DICOM


async def test_a_stat_image_passes_the_routine_ones_that_wait(pool: ImagePool) -> None:
    ended: list[Urgency] = []

    async def prepare(urgency: Urgency) -> None:
        await pool.prepare(GOOD, SPEC, urgency=urgency)
        ended.append(urgency)

    await asyncio.gather(*map(prepare, [Urgency.ROUTINE] * 12 + [Urgency.STAT]))
    # Two were at work when it came, and two more may end in the same moment.
    assert ended.index(Urgency.STAT) <= 4


async def test_a_decoder_that_dies_costs_one_image(pool: ImagePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_pool, "prepare_frames", decoders.die_of_poison)
    neighbours = [asyncio.create_task(pool.prepare(GOOD, SPEC)) for _ in range(6)]
    assert await refused(pool, decoders.POISON) == RefusalReason.DECODER_CRASHED
    await asyncio.gather(*neighbours)
    await assert_works(pool)


async def test_an_image_is_tried_again_where_its_process_was_killed_once(
    pool: ImagePool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(image_pool, "prepare_frames", decoders.die_the_first_time)
    assert await pool.prepare(str(tmp_path / "marker").encode(), SPEC) == "survived"  # type: ignore[comparison-overlap]  # the stand-in's answer


async def test_a_decoder_that_lost_memory_makes_room_for_another(
    pool: ImagePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = str(100 << 20).encode()  # of 256 MiB: a second time it would not have what an image may take
    with monkeypatch.context() as patched:
        patched.setattr(image_pool, "prepare_frames", decoders.lose_memory)
        used = [await pool.prepare(lost, SPEC) for _ in range(8)]
    assert len(set(used)) == 8
    await assert_works(pool)


async def test_a_file_that_takes_much_of_the_memory_itself_is_worked_on(
    pool: ImagePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(80 << 20)
    with monkeypatch.context() as patched:
        patched.setattr(image_pool, "prepare_frames", decoders.measure)
        measured = [await pool.prepare(content, SPEC) for _ in range(4)]
    assert measured == [len(content)] * 4  # type: ignore[comparison-overlap]  # the stand-in's answers
    await assert_works(pool)


async def test_an_image_for_which_two_processes_had_too_little_memory_is_refused(
    pool: ImagePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(image_pool, "prepare_frames", decoders.run_out_of_memory)
        assert await refused(pool) == RefusalReason.DECODER_CRASHED
    await assert_works(pool)


async def test_decoders_are_not_replaced_for_what_images_take(pool: ImagePool) -> None:
    before = psutil.Process().children(recursive=True)
    for _ in range(20):
        await assert_works(pool)
    assert psutil.Process().children(recursive=True) == before


async def test_a_decoder_that_hangs_is_ended(pool: ImagePool, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(image_pool, "prepare_frames", decoders.hang)
        assert await refused(pool) == RefusalReason.DECODER_TIMEOUT
    await assert_works(pool)


async def test_an_image_that_takes_too_much_memory_is_refused(pool: ImagePool) -> None:
    made = image(rows=8000, columns=8000, bits=8)
    set_pixels(made, bytes(8000 * 8000))
    assert await refused(pool, encode(made)) == RefusalReason.TOO_LARGE
    await assert_works(pool)


async def test_a_pool_whose_pipe_is_broken_is_replaced(pool: ImagePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_START_S", 0.5)
    broken = pool._sandbox._pool
    channel = broken._pool_manager.worker_manager.workers_channel
    assert channel is not None
    # What a process leaves behind that is killed in the middle of an answer: a length, and less than that.
    os.write(channel.writer.fileno(), struct.pack("!i", 1 << 20) + b"cut off")
    await assert_works(pool)
    assert pool._sandbox._pool is not broken


async def test_a_cancelled_image_frees_its_place(pool: ImagePool, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(image_pool, "prepare_frames", decoders.hang)
        hanging = [asyncio.create_task(pool.prepare(GOOD, SPEC)) for _ in range(2)]
        await asyncio.sleep(0)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
    await assert_works(pool)


async def test_mutated_pixel_data_of_every_codec_gives_an_array_or_a_named_refusal() -> None:
    async with ImagePool(processes=PROCESSES, timeout_s=30, memory_bytes=1 << 30) as pool:
        before = losses()
        findings = await fuzz_decoders(pool, shipped_samples(), files=400, seed=11)
        assert losses() == before
    assert findings.faults == findings.deadly == []
    assert findings.outcomes["array"] > 50
    assert findings.outcomes[RefusalReason.UNDECODABLE_PIXEL_DATA] > 20


async def test_a_decoder_says_nothing_of_what_is_in_the_file(
    pool: ImagePool, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = GOOD.replace(b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x14\x00Doe^Jane 1970-01-01\0")
    assert secret != GOOD
    with suppress(Refusal):
        await pool.prepare(secret, SPEC)
    assert "Doe" not in "".join(capfd.readouterr())


SCRIPT = """
import asyncio, os
from inference_service.adapters.image_pool import ImagePool

async def main():
    async with ImagePool(processes=2, timeout_s=5, memory_bytes=1 << 28) as pool:
        print(await pool._sandbox.run(os.getpid), await pool._sandbox.run(os.getpid), flush=True)
        await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_no_process_outlives_a_worker_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with subprocess.Popen([sys.executable, str(tmp_path / "script.py")], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline()
        family = psutil.Process(worker.pid).children(recursive=True)
        assert len(family) >= 3, "the fork server and two decoders"
        os.kill(worker.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
