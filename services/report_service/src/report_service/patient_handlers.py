"""Who studies are of: read from one image of each after its reports are there, sealed, and sealed anew."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol
from uuid import UUID

from radrelay_imaging import Refusal
from radrelay_shared.database import Scope
from radrelay_shared.objects import ObjectNotFound, ObjectStore
from report_service.domain.patients import Patient, PatientVault, PatientVaults

MAX_SOURCES: Final = 8
"""Images of a study that are tried, one after the other."""
_AT_ONCE: Final = 64
_SIDE_BY_SIDE: Final = 4
_LEASE: Final = timedelta(minutes=5)
_FIRST_PAUSE: Final = timedelta(seconds=10)
_LONGEST_PAUSE: Final = timedelta(hours=1)
_PAGE: Final = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DueStudy:
    """A study whose patient is to be read."""

    tenant: str
    study_id: UUID


@dataclass(frozen=True, slots=True)
class Claim:
    """What reading takes."""

    attempts: int
    """That failed before."""
    source_keys: tuple[str, ...]
    """Of images of the study; empty where it has none any more."""


@dataclass(frozen=True, slots=True)
class SealedPatient:
    """What is kept of a study's patient."""

    hash: bytes
    sealed: bytes

    @classmethod
    def of(cls, vault: PatientVault, study_id: UUID, patient: Patient) -> "SealedPatient":
        """A patient under the vault's first key."""
        return cls(vault.hash_of(patient.patient_id), vault.seal(study_id, patient))


class WaitingStudies(Protocol):
    """Which studies of all tenants wait for their patient to be read."""

    async def due(self, tenants: Sequence[str], now: datetime, limit: int) -> Sequence[DueStudy]:
        """Those of these tenants whose time has come, the longest waiting first."""


class Patients(Protocol):
    """One transaction on the patients of one tenant's studies."""

    async def claim(self, study_id: UUID, now: datetime, until: datetime) -> Claim | None:
        """Have the study to oneself until then; None where it is not due any more."""

    async def keep(self, study_id: UUID, patient: SealedPatient | None) -> None:
        """The study is of this patient, or names nobody."""

    async def put_off(self, study_id: UUID, fault: str, due_at: datetime | None) -> None:
        """It could not be read; None: it will not be tried again."""

    async def sealed_after(self, study_id: UUID, limit: int) -> Sequence[tuple[UUID, SealedPatient]]:
        """Patients that are kept, in the order of their studies' identifiers."""

    async def replace(self, study_id: UUID, was: SealedPatient, patient: SealedPatient) -> None:
        """Keep this in place of what was kept, unless that changed meanwhile."""


class PatientStore(Protocol):
    """Where patients are kept."""

    def patients(self, scope: Scope) -> AbstractAsyncContextManager[Patients]:
        """Commits on normal exit, else rolls back."""


class PatientReader(Protocol):
    """Reads DICOM files, away from this process."""

    async def read(self, path: Path) -> Patient | None:
        """Whom the file names; None: nobody.

        Raises:
            Refusal: it cannot be read.
        """


@dataclass(frozen=True, slots=True)
class PatientReading:
    """The worker's job; any number of workers may do it side by side."""

    waiting: WaitingStudies
    store: PatientStore
    objects: ObjectStore
    reader: PatientReader
    vaults: PatientVaults
    max_attempts: int

    async def work(self) -> None:
        """Read the patients of all studies that are due, of tenants that have keys."""
        room = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def in_turn(study: DueStudy) -> None:
            async with room:
                await self._read(study)

        while self.vaults.tenants:
            due = await self.waiting.due(self.vaults.tenants, datetime.now(UTC), _AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for study in due:
                    group.create_task(in_turn(study))
            if len(due) < _AT_ONCE:
                return

    async def _read(self, study: DueStudy) -> None:
        """Claim, read, keep. Whoever is killed in between leaves the study due again when the claim ends."""
        scope, now = Scope.service(study.tenant), datetime.now(UTC)
        async with self.store.patients(scope) as patients:
            claim = await patients.claim(study.study_id, now, now + _LEASE)
        if claim is None:
            return
        try:
            patient = await self._patient_in(claim)
        except (ObjectNotFound, Refusal) as error:
            fault = error.reason if isinstance(error, Refusal) else "object_not_found"
            _log.warning("the patient of a study cannot be read", extra={"reason": fault})
            async with self.store.patients(scope) as patients:
                await patients.put_off(study.study_id, fault, self._next_attempt(claim.attempts))
            return
        vault = self.vaults.of(study.tenant)
        sealed = None if patient is None else SealedPatient.of(vault, study.study_id, patient)
        async with self.store.patients(scope) as patients:
            await patients.keep(study.study_id, sealed)

    async def _patient_in(self, claim: Claim) -> Patient | None:
        if not claim.source_keys:
            return None
        key = claim.source_keys[claim.attempts % len(claim.source_keys)]
        with TemporaryDirectory(prefix="radrelay-patient-") as folder:
            path = Path(folder) / "image.dcm"
            await self.objects.get_file(key, path)
            return await self.reader.read(path)

    def _next_attempt(self, failed_before: int) -> datetime | None:
        if failed_before + 1 >= self.max_attempts:
            return None
        pause: timedelta = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**failed_before)
        return datetime.now(UTC) + pause


async def reseal(tenant: str, vault: PatientVault, store: PatientStore) -> int:
    """Seal and hash every patient of the tenant under its first keys, and return how many were not.

    Raises:
        Unreadable: a patient was sealed by a key that is not given; those before it are done.
    """
    changed, last = 0, UUID(int=0)
    while True:
        async with store.patients(Scope.service(tenant)) as patients:
            found = await patients.sealed_after(last, _PAGE)
            for study_id, kept in found:
                patient = vault.open(study_id, kept.sealed)
                if not vault.is_current(kept.sealed) or vault.hash_of(patient.patient_id) != kept.hash:
                    await patients.replace(study_id, kept, SealedPatient.of(vault, study_id, patient))
                    changed += 1
        if len(found) < _PAGE:
            return changed
        last, _ = found[-1]
