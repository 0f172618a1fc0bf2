"""Work on hostile bytes in processes of their own: a crash, a hang or a bomb costs one call, never the service."""

import asyncio
import logging
import multiprocessing
import os
import resource
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from radrelay_shared.observability.metrics import SANDBOX_LOSS_CAUSES, SANDBOX_LOSSES

T = TypeVar("T")

_START_S: Final = 30.0
"""How long a process may take to start before the pool counts as broken."""
_TRIES: Final = 2
_FRESH: Final = 0.75
"""How much of its memory limit a process must still have to be given work."""
_WORN_OUT, _OUT_OF_MEMORY = 100, 101
"""What a process ends with."""

_worn_out: Final = Event()
"""Set in a process that has lost too much of its memory."""
_log = logging.getLogger(__name__)


class SandboxDied(RuntimeError):
    """Every process that was given the work died of it."""

    def __init__(self) -> None:
        super().__init__(f"the process died {_TRIES} times")


class SandboxTimeout(TimeoutError):
    """The work took longer than it may; its process was ended."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"took longer than {timeout_s:g} s")


class Sandbox:
    """A pool of processes with a time and a memory limit each; use as an async context manager.

    A process that dies takes only its own work with it, which is tried once more on another one: it may have been
    killed for somebody else's memory. A second death is the work's own doing. Memory that decoders lose on damaged
    images adds up, so a process that has lost much of it makes room for a new one: what becomes of an image does not
    depend on those before it.
    """

    def __init__(self, *, processes: int, timeout_s: float, memory_bytes: int, preload: Sequence[str]) -> None:
        """Nothing is started before the block is entered.

        Args:
            processes: how many.
            timeout_s: for one call.
            memory_bytes: how much more memory a process may take than it starts with; each call has most of it.
            preload: modules that every process has from its start, so that it starts fast.
        """
        self._processes = processes
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._preload = list(preload)
        for cause in SANDBOX_LOSS_CAUSES:
            SANDBOX_LOSSES.labels(cause)
        self._pool = self._make_pool()

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(self.run(_be_ready) for _ in range(self._processes)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(_discard, self._pool)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Call a function of a module in one of the processes.

        Raises:
            SandboxDied: it ended its process, twice.
            SandboxTimeout: it took too long.
            Exception: whatever the function raises.
        """
        deaths = 0
        while deaths < _TRIES:
            try:
                return await self._try(_work, self._memory_bytes, function, *args)
            except ProcessExpired as ended:
                if ended.exitcode != _WORN_OUT:
                    self._note_loss("died")
                    deaths += 1
            except BrokenProcessPool:
                deaths += 1
        raise SandboxDied

    async def _try(self, function: Callable[..., T], *args: object) -> T:
        if not self._pool.active:
            self._replace(self._pool)
        pool = self._pool
        result = asyncio.wrap_future(pool.schedule(function, args=args, timeout=self._timeout_s))
        try:
            await asyncio.wait({result}, timeout=self._timeout_s + _START_S)
            if not result.done():
                self._replace(pool)
                raise BrokenProcessPool("the pool does not answer")
            return result.result()
        except TimeoutError:
            self._note_loss("hung")
            raise SandboxTimeout(self._timeout_s) from None
        finally:
            result.cancel()

    def _replace(self, broken: ProcessPool) -> None:
        """Start a new pool, once for all who notice; a process killed while it sends leaves the old one unusable."""
        if self._pool is broken:
            self._note_loss("pool_broken")
            self._pool = self._make_pool()
            Thread(target=_discard, args=(broken,), name="discard-sandbox", daemon=True).start()

    def _note_loss(self, cause: str) -> None:
        SANDBOX_LOSSES.labels(cause).inc()
        _log.warning("lost a sandboxed process", extra={"cause": cause})

    def _make_pool(self) -> ProcessPool:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(self._preload)
        return ProcessPool(
            max_workers=self._processes, initializer=_limit, initargs=(self._memory_bytes,), context=context
        )


def _limit(memory_bytes: int) -> None:
    """Bound what this process may still take, leave no core dump with a patient's pixels, and say nothing of its own.

    pydicom logs and warns of values from the file.
    """
    ceiling = _taken_bytes() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def _taken_bytes() -> int:
    """Address space of this process, which the limit is on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _work(memory_bytes: int, function: Callable[..., T], *args: object) -> T:
    """What a process does with its work; one that is worn out leaves it to another, which a new one never is."""
    if _worn_out.is_set():
        os._exit(_WORN_OUT)
    try:
        return function(*args)
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    finally:
        ceiling, _ = resource.getrlimit(resource.RLIMIT_AS)
        if ceiling - _taken_bytes() < _FRESH * memory_bytes:
            _worn_out.set()


def _be_ready() -> None:
    """Nothing: having run at all means that the process is up."""


def _discard(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
    pool.join()
