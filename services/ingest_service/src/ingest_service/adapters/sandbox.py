"""Runs the parsing of hostile bytes in processes that may hang, swell or die: that costs one file, not the service."""

import asyncio
import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from ingest_service.adapters.confinement import answer, confine
from ingest_service.deidentification.files import Deidentified, deidentify_file
from ingest_service.deidentification.pseudonyms import PseudonymKeys
from ingest_service.domain.archive import ArchivePlan, plan_archive
from ingest_service.domain.dicom import DicomFacts, validate_dicom
from ingest_service.domain.limits import ArchiveLimits, DicomLimits
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.settings import ValidationSettings
from radrelay_shared.observability.metrics import SANDBOX_LOSS_CAUSES, SANDBOX_LOSSES

P = ParamSpec("P")
T = TypeVar("T")

_PRELOAD = [
    "ingest_service.adapters.confinement",
    "ingest_service.deidentification.files",
    "ingest_service.domain.archive",
    "ingest_service.domain.dicom",
]
_log = logging.getLogger(__name__)


class ValidatorAway(OSError):
    """The processes cannot be kept alive: nothing is known of the file, try again later."""


class Sandbox:
    """The validator port on a pool of processes. Use as an async context manager; leaving it ends the processes."""

    def __init__(self, settings: ValidationSettings, dicom: DicomLimits, archive: ArchiveLimits) -> None:
        self._settings = settings
        self._dicom = dicom
        self._archive = archive
        self._pool: ProcessPool | None = None
        self._lock = Lock()
        for cause in SANDBOX_LOSS_CAUSES:
            SANDBOX_LOSSES.labels(cause)

    async def __aenter__(self) -> Self:
        await self._call(answer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await asyncio.to_thread(_end, self._pool)

    async def validate(self, path: Path) -> DicomFacts:
        """Facts of the DICOM file at `path`.

        Raises:
            Refusal: it is none, or judging it took too long or ended the process.
        """
        return await self._call(validate_dicom, path, self._dicom)

    async def deidentify(self, source: Path, target: Path, keys: PseudonymKeys) -> Deidentified:
        """Write the DICOM file at `source` to `target` under the Basic Profile.

        Raises:
            Refusal: it cannot be, or doing it took too long or ended the process; `target` may hold anything.
        """
        return await self._call(deidentify_file, source, target, keys, self._dicom)

    async def plan(self, path: Path) -> ArchivePlan:
        """What to unpack of the ZIP archive at `path`.

        Raises:
            Refusal: the archive is refused whole.
        """
        return await self._call(plan_archive, path, self._archive)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._attempt(function, *args, **kwargs)
        except BrokenProcessPool:
            # A worker that dies between two files breaks the pool for all: these bytes deserve a pool of their own.
            try:
                return await self._attempt(function, *args, **kwargs)
            except BrokenProcessPool as error:
                raise ValidatorAway("no process can be had") from error

    async def _attempt(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        pool = self._pool
        if pool is None or not pool.active:
            pool = await asyncio.to_thread(self._raise_pool)
        try:
            future = pool.schedule(function, args, kwargs, self._settings.timeout_s)
        except RuntimeError as error:
            raise BrokenProcessPool("broke between two looks at it") from error
        try:
            return await asyncio.wrap_future(future)
        except (Refusal, BrokenProcessPool):
            raise
        except TimeoutError as error:
            SANDBOX_LOSSES.labels("hung").inc()
            raise Refusal(
                RejectReason.VALIDATION_TIMEOUT, f"took longer than {self._settings.timeout_s:g} s"
            ) from error
        except ProcessExpired as error:
            SANDBOX_LOSSES.labels("died").inc()
            _log.warning("validation process died", extra={"exit_code": error.exitcode})
            raise Refusal(RejectReason.VALIDATION_CRASHED, "the validating process died") from error
        except Exception as error:  # the process boundary: whatever the bytes set off there is about this one file
            _log.error("validation failed unexpectedly", extra={"error": type(error).__name__})
            raise Refusal(RejectReason.VALIDATION_CRASHED, "validation failed unexpectedly") from error

    def _raise_pool(self) -> ProcessPool:
        """Start the processes, or new ones where the pool is broken; this blocks."""
        with self._lock:
            if self._pool is not None:
                if self._pool.active:
                    return self._pool
                SANDBOX_LOSSES.labels("pool_broken").inc()
                _log.warning("validation pool replaced")
                _end(self._pool)
            self._pool = self._new_pool()
            return self._pool

    def _new_pool(self) -> ProcessPool:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOAD)
        pool = ProcessPool(
            max_workers=self._settings.processes,
            initializer=confine,
            initargs=(self._settings.memory_bytes,),
            context=context,
        )
        if not pool.active:  # the first look starts it
            raise BrokenProcessPool("cannot be started")
        return pool


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it without annotations
    pool.join()
