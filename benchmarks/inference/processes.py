"""Model server and worker as processes, started as an operator starts them: by command and environment."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx
import psutil

from benchmarks.errors import BenchmarkError
from benchmarks.inference.bare import Subject
from benchmarks.layout import pinned
from inference_service.engine.runtime import RuntimeName
from radrelay_local.stack import Infrastructure

_READY_S = 300.0
_STOP_S = 60.0
_TAIL_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Rig:
    """What is running."""

    infrastructure: Infrastructure
    model_url: str
    worker_url: str
    server_pid: int
    worker_pid: int


@contextmanager
def run_rig(
    infrastructure: Infrastructure,
    subject: Subject,
    runtime: RuntimeName,
    folder: Path,
    cores: frozenset[int],
    *,
    max_batch_size: int | None = None,
) -> Iterator[Rig]:
    """Model server and worker on an infrastructure, ready inside the block and gone after it.

    Args:
        infrastructure: broker and object store.
        subject: what is served.
        runtime: the one to compare with; left to itself, the server might choose another that is about as fast.
        folder: for logs and the server's own files.
        cores: those of model server and worker.
        max_batch_size: of the server; None leaves its default.

    Raises:
        BenchmarkError: one of them does not start; the message ends with the end of its log.
    """
    model_url, worker_url = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    server_env = _server_env(subject, runtime, folder, max_batch_size)
    server = [sys.executable, "-m", "bentoml", "serve", "inference_service.server:Screening", *_listen(model_url)]
    with ExitStack() as stack:
        server_pid = stack.enter_context(_running("model-server", pinned(server, cores), server_env, model_url, folder))
        worker_env = _worker_env(infrastructure, model_url, worker_url)
        worker = [sys.executable, "-m", "inference_service.worker"]
        worker_pid = stack.enter_context(_running("worker", pinned(worker, cores), worker_env, worker_url, folder))
        yield Rig(infrastructure, model_url, worker_url, server_pid, worker_pid)


def _listen(url: str) -> list[str]:
    host, port = url.removeprefix("http://").split(":")
    return ["--host", host, "--port", port]


def _server_env(subject: Subject, runtime: RuntimeName, folder: Path, max_batch_size: int | None) -> dict[str, str]:
    env = {
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(folder / "bentoml"),
        "RADRELAY_INFERENCE_BUNDLE_DIRS": str(subject.bundle_dir),
        "RADRELAY_INFERENCE_DEVICE": subject.device,
        "RADRELAY_INFERENCE_RUNTIME": runtime,
    }
    if max_batch_size is not None:
        env["RADRELAY_INFERENCE_MAX_BATCH_SIZE"] = str(max_batch_size)
    return env


def _worker_env(infrastructure: Infrastructure, model_url: str, worker_url: str) -> dict[str, str]:
    objects = infrastructure.objects
    host, port = worker_url.removeprefix("http://").split(":")
    values = {
        "NATS__URL": infrastructure.nats_url,
        "OBJECTS__ENDPOINT": objects.endpoint,
        "OBJECTS__ACCESS_KEY": objects.access_key,
        "OBJECTS__SECRET_KEY": objects.secret_key.get_secret_value(),
        "OBJECTS__BUCKET_PREFIX": objects.bucket_prefix,
        "OBJECTS__SECURE": str(objects.secure),
        "MODEL_URL": model_url,
        "HEALTH_HOST": host,
        "HEALTH_PORT": port,
    }
    return {f"RADRELAY_INFERENCE_{name}": value for name, value in values.items()}


@contextmanager
def _running(name: str, command: Sequence[str], env: Mapping[str, str], url: str, folder: Path) -> Iterator[int]:
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_ready(name, process, f"{url}/readyz", log)
        yield process.pid
        if process.poll() is not None:
            raise BenchmarkError(f"the {name} ended while it was measured:\n{_tail(log)}")
    finally:
        _end(process)


def _await_ready(name: str, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = monotonic() + _READY_S
    while not _answers(url):
        if process.poll() is not None or monotonic() > deadline:
            raise BenchmarkError(f"the {name} did not become ready:\n{_tail(log)}")
        sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it finish, and leave nothing of it behind: BentoML's processes have process groups of their own."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    process.kill()
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
    psutil.wait_procs(family, _STOP_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _tail(log: Path) -> str:
    return log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
