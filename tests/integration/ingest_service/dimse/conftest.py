import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ingest_service.dimse.__main__ import start
from ingest_service.dimse.settings import DimseSettings
from ingest_service.settings import IngestSettings
from support.dicom_network import OWNER, PEERS, STAT, TENANTS, Modality
from support.ingest_api import IngestUser

Listening = Callable[..., AbstractAsyncContextManager[int]]
MakeModality = Callable[..., Modality]


@pytest.fixture(scope="session")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that images pass through."""
    return tmp_path_factory.mktemp("dimse-spool")


@pytest.fixture(scope="session")
def listening(settings: IngestSettings, spool: Path, unused_tcp_port_factory: Callable[[], int]) -> Listening:
    """Runs an intake, with settings changed as given, and gives its port."""

    @asynccontextmanager
    async def run(changes: dict[str, Any] | None = None, **dimse: Any) -> AsyncIterator[int]:
        port = unused_tcp_port_factory()
        chosen = DimseSettings(host="127.0.0.1", port=port, peers=[*PEERS, STAT], **{"grace_s": 0.1} | dimse)
        stop = asyncio.Event()
        own = {"dimse": chosen, "upload": settings.upload.model_copy(update={"spool_dir": spool})}
        async with start(settings.model_copy(update=own | (changes or {})), stop) as (jobs, _):
            running = asyncio.gather(*jobs)
            try:
                yield port
            finally:
                stop.set()
                await running

    return run


@pytest.fixture(scope="session")
async def port(listening: Listening) -> AsyncIterator[int]:
    """The port of an intake."""
    async with listening() as chosen:
        yield chosen


@pytest.fixture(scope="session")
def titles() -> list[str]:
    """Calling AE titles that no test has taken yet."""
    return list(TENANTS)


@pytest.fixture
def modality(port: int, titles: list[str], tmp_path: Path) -> Iterator[MakeModality]:
    """Makes a modality whose tenant has nothing yet."""
    made: list[Modality] = []

    def make(calling_ae: str | None = None, **options: Any) -> Modality:
        made.append(Modality(calling_ae or titles.pop(), options.pop("port", port), tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def doctor(user: Callable[..., IngestUser]) -> Callable[[Modality], IngestUser]:
    """Whose images a modality brings."""
    return lambda modality: user(TENANTS[modality.calling_ae], OWNER)
