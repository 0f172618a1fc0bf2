"""Taking in the files of one upload side by side, within bounds, archives entry by entry."""

import asyncio
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest_service.domain.archive import ArchiveEntry, RefusedEntry, is_archive, member_name
from ingest_service.domain.model import Accepted, Batch, Outcome, ReceivedFile, Rejected
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.handlers.intake import SpooledFile, receive_file, reject_file
from ingest_service.ports import Intake, Unpacking
from radrelay_shared.database import Scope


class Reception:
    """The files of one upload. Use as an async context manager: leaving it waits for every file submitted.

    A file that is refused is an outcome. Anything else that goes wrong, such as a store that is away, ends the upload:
    what was accepted before stays accepted, and sending the same again repeats nothing.
    """

    def __init__(
        self,
        intake: Intake,
        caller: Scope,
        batch: Batch,
        slots: asyncio.Semaphore,
        *,
        pending: int,
        study_uid: str | None = None,
    ) -> None:
        """`slots` bounds the files handled by the whole process, `pending` those that this upload keeps on disk.

        Where `study_uid` is given, images of other studies are refused.
        """
        self._intake = intake
        self._caller = caller
        self._batch = batch
        self._slots = slots
        self._pending_limit = pending
        self._study_uid = study_uid
        self._pending = asyncio.Semaphore(pending)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None
        self._names_hidden = batch.tenant in intake.deidentifiers
        self._places = count(1)
        self.accepted: list[Accepted] = []
        self.rejected: list[Rejected] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is not None and error is None:
            raise self._failure

    async def submit(self, file: SpooledFile) -> None:
        """Take over `file`, which is removed from the disk when it is done; waits while too many are pending.

        Raises:
            Exception: what ended the upload; this file is not taken in.
        """
        await self._submit(replace(file, name=self._name(file.name)))

    async def _submit(self, file: SpooledFile) -> None:
        try:
            await self._pending.acquire()
        except asyncio.CancelledError:
            await _remove(file.path)
            raise
        if self._failure is not None:
            await _remove(file.path)
            raise self._failure
        task = asyncio.create_task(self._take(file))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def refuse(self, file: ReceivedFile, refusal: Refusal) -> None:
        """Record a file that is refused without being looked at."""
        await self._refuse(replace(file, name=self._name(file.name)), refusal)

    async def _refuse(self, file: ReceivedFile, refusal: Refusal) -> None:
        self._note(await reject_file(self._intake.records, self._caller, self._batch, file, refusal))

    def _name(self, name: str) -> str:
        """What a file is called from here on: where the tenant de-identifies, by its place in the upload."""
        return f"file-{next(self._places)}" if self._names_hidden else name

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._pending.release()

    async def _take(self, file: SpooledFile) -> None:
        try:
            if file.is_archive:
                async with self._intake.archive_slots:
                    await self._take_archive(file)
            else:
                async with self._slots:
                    if self._failure is not None:
                        return  # the upload has ended; what follows would only wait for the same store
                    outcome = await receive_file(
                        self._intake, self._caller, self._batch, file, study_uid=self._study_uid
                    )
                    self._note(outcome)
        except Exception as error:  # noqa: BLE001  # handed to whoever leaves or uses the reception next
            self._failure = self._failure or error
        finally:
            await _remove(file.path)

    def _note(self, outcome: Outcome) -> None:
        if isinstance(outcome, Accepted):
            self.accepted.append(outcome)
        else:
            self.rejected.append(outcome)

    async def _take_archive(self, archive: SpooledFile) -> None:
        """Unpack one entry after the other; the entries are taken in side by side."""
        try:
            plan = await self._intake.validator.plan(archive.path)
        except Refusal as refusal:
            await self._refuse(archive.received, refusal)
            return
        for refused in plan.refused:
            await self._refuse(self._entry(archive, refused), Refusal(refused.reason, refused.detail))
        members = Reception(
            self._intake,
            self._caller,
            self._batch,
            self._slots,
            pending=self._pending_limit,
            study_uid=self._study_uid,
        )
        members.accepted, members.rejected = self.accepted, self.rejected
        async with members, self._intake.open_archive(archive.path) as unpacking:
            for entry in plan.entries:
                try:
                    file = await self._unpack(unpacking, archive, entry)
                except Refusal as refusal:
                    await self._refuse(self._entry(archive, entry), refusal)
                else:
                    await members._submit(file)

    async def _unpack(self, unpacking: Unpacking, archive: SpooledFile, entry: ArchiveEntry) -> SpooledFile:
        """One entry, on disk.

        Raises:
            Refusal: it cannot be unpacked, or is an archive itself.
        """
        path = self._intake.new_path()
        unpacked = await unpacking.extract(entry, path)
        if is_archive(unpacked.magic):
            await _remove(path)
            raise Refusal(RejectReason.NESTED_ARCHIVE, "an archive inside an archive")
        return SpooledFile(self._member_name(archive, entry), path, entry.size_bytes, unpacked.sha256)

    def _entry(self, archive: SpooledFile, entry: ArchiveEntry | RefusedEntry) -> ReceivedFile:
        """What is recorded of an entry that was not unpacked: it has no digest of its own, but its place."""
        return ReceivedFile(self._member_name(archive, entry), f"{archive.sha256}#{entry.index}")

    def _member_name(self, archive: SpooledFile, entry: ArchiveEntry | RefusedEntry) -> str:
        return member_name(archive.name, f"entry-{entry.index + 1}" if self._names_hidden else entry.name)


async def _remove(path: Path) -> None:
    await asyncio.to_thread(path.unlink, missing_ok=True)
