"""Sends thousands of mutated files through intake and decoders, and says what became of them: `make fuzz`."""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

import httpx

from fuzz.decoding import PROCESSES, DecoderFindings, fuzz_decoders
from fuzz.intake import IntakeFindings, fuzz_intake
from inference_service.adapters.image_pool import ImagePool
from ingest_service.settings import IngestSettings, UploadSettings
from radrelay_local.stack import Infrastructure, start_infrastructure
from radrelay_shared.messaging import NatsSettings
from support.databases import migrated, new_database
from support.dicom_tokens import Sample
from support.inference import free_port
from support.ingest_api import IngestUser
from support.ingest_processes import environment_of, left_in, ready, running
from support.memory import MemoryWatch, family
from support.mutations import shipped_samples
from support.tenants import new_tenant, tenants_on
from support.tokens import TestIssuer, run_issuer

MAX_MEMORY_BYTES: Final = 400_000_000
"""Of the API process and all that it starts, together."""
_ANSWER_TIMEOUT_S: Final = 300.0
_DECODER_TIMEOUT_S: Final = 30.0
_DECODER_MEMORY_BYTES: Final = 2 << 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 where nothing was found that must not be."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=20_000, help="how many files, for intake and again for decoders")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same files")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="where what shows a fault is written")
    options = parser.parse_args(arguments)
    # Told to end, it takes the servers with it that it started, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    samples = shipped_samples()
    print(f"{len(samples)} files of pydicom, {options.files} mutations, seed {options.seed}")
    faults = asyncio.run(_fuzz(samples, options.files, options.seed, options.keep))
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


async def _fuzz(samples: Sequence[Sample], files: int, seed: int, keep: Path) -> list[str]:
    with (
        tempfile.TemporaryDirectory() as folder,
        run_issuer() as issuer,
        start_infrastructure(Path(folder) / "stack", prefer_usual_ports=False) as infrastructure,
        tenants_on(infrastructure.objects),
    ):
        faults = await _fuzz_intake(infrastructure, issuer, samples, Path(folder) / "spool", files, seed, keep)
    began = perf_counter()
    async with ImagePool(processes=PROCESSES, timeout_s=_DECODER_TIMEOUT_S, memory_bytes=_DECODER_MEMORY_BYTES) as pool:
        decoded = await fuzz_decoders(pool, samples, files=files, seed=seed)
    _say("decoders", files, perf_counter() - began, decoded.outcomes)
    return faults + _decoder_faults(decoded, keep)


async def _fuzz_intake(
    infrastructure: Infrastructure,
    issuer: TestIssuer,
    samples: Sequence[Sample],
    spool: Path,
    files: int,
    seed: int,
    keep: Path,
) -> list[str]:
    began = perf_counter()
    async with _service(infrastructure, issuer, spool) as (pid, user):
        await user("dr-first").open_batch()
        before = {process.pid for process in family(pid)}
        with MemoryWatch(pid) as memory:
            findings = await fuzz_intake(user, samples, files=files, seed=seed)
        after = {process.pid for process in family(pid)}
        left = left_in(spool)
    _say("intake", findings.files, perf_counter() - began, findings.outcomes)
    print(f"  requests refused: {dict(findings.problems.most_common())}")
    print(f"  slowest request: {findings.slowest_request_s:.1f} s")
    print(
        f"  memory (PSS of {len(after)} processes, {memory.looks} looks): idle {memory.idle_bytes / 1e6:.0f} MB,"
        f" peak {memory.peak_bytes / 1e6:.0f} MB; API process alone (RSS): peak {memory.peak_rss_bytes / 1e6:.0f} MB"
    )
    faults = _intake_faults(findings, keep)
    if not findings.outcomes["accepted"]:
        faults.append("no file was accepted: hardly anything was tried")
    if before != after:
        faults.append("a process of the service ended")
    if left:
        faults.append(f"{len(left)} files are left in the spool")
    if memory.peak_bytes > MAX_MEMORY_BYTES:
        faults.append(f"the service took more than {MAX_MEMORY_BYTES / 1e6:.0f} MB")
    return faults


@asynccontextmanager
async def _service(
    infrastructure: Infrastructure, issuer: TestIssuer, spool: Path
) -> AsyncIterator[tuple[int, Callable[[str], IngestUser]]]:
    """The ingest API as a process with default settings: its process id, and a maker of users of one tenant."""
    settings = IngestSettings(
        nats=NatsSettings(url=infrastructure.nats_url),
        objects=infrastructure.objects,
        database=await migrated(await new_database(infrastructure.postgres_admin_url), "ingest"),
        auth=issuer.settings,
        upload=UploadSettings(spool_dir=spool),
    )
    port, tenant = free_port(), new_tenant()
    command = ("uvicorn", "--factory", "ingest_service.main:create_app", "--port", str(port))
    async with (
        running(*command, env=environment_of(settings, spool)) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=_ANSWER_TIMEOUT_S) as client,
    ):
        await ready(client, timeout_s=_ANSWER_TIMEOUT_S)
        yield process.pid, lambda name: IngestUser(client, issuer.bearer(tenant, name))


def _intake_faults(findings: IntakeFindings, keep: Path) -> list[str]:
    faults = []
    for what, upload in findings.faults:
        path = keep / f"request-{upload.number}"
        path.mkdir(parents=True, exist_ok=True)
        (path / "body").write_bytes(upload.body)
        faults.append(f"request {upload.number} ({upload.shape}): {what}; see {path}")
    return faults


def _decoder_faults(findings: DecoderFindings, keep: Path) -> list[str]:
    faults = []
    for what, name, content in findings.deadly + findings.faults:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / name).write_bytes(content)
        said = f"{name}: {what}; see {keep / name}"
        if (what, name, content) in findings.faults:
            faults.append(said)
        else:
            print(f"  {said}")
    return faults


def _say(what: str, files: int, seconds: float, outcomes: Counter[str]) -> None:
    print(f"{what}: {files} files in {seconds:.0f} s")
    for outcome, number in outcomes.most_common():
        print(f"  {number:7d} {outcome}")


if __name__ == "__main__":
    sys.exit(main())
