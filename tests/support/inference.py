"""The model server and the worker as processes of a test."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from support.stack import Infrastructure

START_S = 120.0
STOP_S = 30.0


def free_port() -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    name: str, arguments: list[str], env: Mapping[str, str], ready_url: str, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours from when it is ready until the end of the block; its log is shown where it misbehaves."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONFAULTHANDLER": "1", **env},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = monotonic() + START_S
        while not _answers(ready_url):
            if process.poll() is not None or monotonic() > deadline:
                pytest.fail(f"{name} did not become ready:\n{log.read_text()}")
            sleep(0.1)
        yield process
    finally:
        _end(process, name, log)


def _end(process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # it says where its threads are
        process.wait()
        pytest.fail(f"{name} did not end:\n{log.read_text()}")
    finally:
        _kill_group(process.pid)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.TransportError:
        return False


def _kill_group(group_id: int) -> None:
    try:
        os.killpg(group_id, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def serving(bundle_dir: Path, folder: Path, *, port: int, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """The model server on a bundle."""
    settings = {
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(folder / "bentoml"),
        "RADRELAY_INFERENCE_BUNDLE_DIRS": str(bundle_dir),
        **env,
    }
    arguments = ["-m", "bentoml", "serve", "inference_service.server:Screening"]
    arguments += ["--host", "127.0.0.1", "--port", str(port)]
    with running("model-server", arguments, settings, f"http://127.0.0.1:{port}/readyz", folder) as process:
        yield process


def worker_env(infra: Infrastructure, model_url: str, health_port: int) -> dict[str, str]:
    """The settings of a worker."""
    objects = infra.objects
    values = {
        "NATS__URL": infra.nats_url,
        "OBJECTS__ENDPOINT": objects.endpoint,
        "OBJECTS__ACCESS_KEY": objects.access_key,
        "OBJECTS__SECRET_KEY": objects.secret_key.get_secret_value(),
        "OBJECTS__BUCKET_PREFIX": objects.bucket_prefix,
        "OBJECTS__SECURE": str(objects.secure),
        "MODEL_URL": model_url,
        "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": str(health_port),
        "DECODE_PROCESSES": "1",
        "DECODE_TIMEOUT_S": "5",
    }
    return {f"RADRELAY_INFERENCE_{name}": value for name, value in values.items()}


@contextmanager
def working(infra: Infrastructure, model_url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process with one decoding process."""
    port = free_port()
    env = worker_env(infra, model_url, port)
    with running(
        "worker", ["-m", "inference_service.worker"], env, f"http://127.0.0.1:{port}/readyz", folder
    ) as process:
        yield process
