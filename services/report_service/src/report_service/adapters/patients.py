"""The patients of studies on PostgreSQL, and in DICOM files."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from radrelay_imaging import Refusal, RefusalReason, read_patient
from radrelay_shared.database import Database, Scope
from radrelay_shared.sandbox import Sandbox, SandboxDied, SandboxTimeout
from report_service.adapters.reading import INSTANCES, SERIES, STUDIES
from report_service.adapters.tables import Base
from report_service.domain.patients import Patient
from report_service.patient_handlers import MAX_SOURCES, Claim, DueStudy, SealedPatient

_STUDIES: Final = Base.metadata.tables["report.studies"]
_DUE: Final = (
    select(STUDIES.tenant, STUDIES.study_id)
    .where(
        STUDIES.tenant == any_(bindparam("tenants", type_=ARRAY(STUDIES.tenant.type))),
        STUDIES.patient_due_at <= bindparam("now", type_=STUDIES.patient_due_at.type),
    )
    .order_by(STUDIES.patient_due_at)
    .limit(bindparam("limit"))
)
_one = (STUDIES.tenant == bindparam("of_tenant"), STUDIES.study_id == bindparam("of_study"))
_CLAIM: Final = (
    update(_STUDIES)
    .where(*_one, STUDIES.patient_due_at <= bindparam("now", type_=STUDIES.patient_due_at.type))
    .values(patient_due_at=bindparam("until"))
    .returning(STUDIES.patient_attempts)
)
_SOURCES: Final = (
    select(INSTANCES.source_key)
    .select_from(Base.metadata.tables["report.instances"])
    .join(
        Base.metadata.tables["report.series"],
        (SERIES.tenant == INSTANCES.tenant) & (SERIES.series_id == INSTANCES.series_id),
    )
    .where(SERIES.tenant == bindparam("of_tenant"), SERIES.study_id == bindparam("of_study"))
    .order_by(INSTANCES.instance_id)
    .limit(MAX_SOURCES)
)
_KEEP: Final = (
    update(_STUDIES)
    .where(*_one)
    .values(patient_hash=bindparam("hash"), patient_sealed=bindparam("sealed"), patient_due_at=None, patient_fault=None)
)
_PUT_OFF: Final = (
    update(_STUDIES)
    .where(*_one)
    .values(
        patient_attempts=STUDIES.patient_attempts + 1,
        patient_fault=bindparam("fault"),
        patient_due_at=bindparam("due_at"),
    )
)
_RESEAL: Final = (
    update(_STUDIES)
    .where(*_one, STUDIES.patient_sealed == bindparam("was"))
    .values(patient_hash=bindparam("hash"), patient_sealed=bindparam("sealed"))
)


class PostgresWaitingStudies:
    """Implements the port on a database that is connected to as the system role."""

    def __init__(self, system: Database) -> None:
        self._system = system

    async def due(self, tenants: Sequence[str], now: datetime, limit: int) -> Sequence[DueStudy]:
        """Studies of these tenants whose patient is to be read now, the longest waiting first."""
        async with self._system.system_transaction() as session:
            found = await session.execute(_DUE, {"tenants": list(tenants), "now": now, "limit": limit})
        return [DueStudy(tenant, study_id) for tenant, study_id in found]


class PostgresPatients:
    """Implements the port within one transaction of one tenant."""

    def __init__(self, session: AsyncSession, scope: Scope) -> None:
        self._session = session
        self._tenant = scope.tenant

    async def claim(self, study_id: UUID, now: datetime, until: datetime) -> Claim | None:
        """Have the study to oneself until then; None where it is not due any more."""
        one = self._one(study_id)
        attempts = (await self._session.execute(_CLAIM, one | {"now": now, "until": until})).scalar_one_or_none()
        if attempts is None:
            return None
        return Claim(attempts, tuple((await self._session.execute(_SOURCES, one)).scalars()))

    async def keep(self, study_id: UUID, patient: SealedPatient | None) -> None:
        """The study is of this patient, or names nobody."""
        values = {"hash": patient and patient.hash, "sealed": patient and patient.sealed}
        await self._execute(_KEEP, self._one(study_id) | values)

    async def put_off(self, study_id: UUID, fault: str, due_at: datetime | None) -> None:
        """It could not be read; None: it will not be tried again."""
        await self._execute(_PUT_OFF, self._one(study_id) | {"fault": fault, "due_at": due_at})

    async def sealed_after(self, study_id: UUID, limit: int) -> Sequence[tuple[UUID, SealedPatient]]:
        """Patients that are kept, in the order of their studies' identifiers."""
        rows = await self._session.execute(_sealed(self._tenant, study_id, limit))
        return [(row.study_id, SealedPatient(row.patient_hash, row.patient_sealed)) for row in rows]

    async def replace(self, study_id: UUID, was: SealedPatient, patient: SealedPatient) -> None:
        """Keep this in place of what was kept, unless that changed meanwhile."""
        values = {"was": was.sealed, "hash": patient.hash, "sealed": patient.sealed}
        await self._execute(_RESEAL, self._one(study_id) | values)

    def _one(self, study_id: UUID) -> dict[str, Any]:
        return {"of_tenant": self._tenant, "of_study": study_id}

    async def _execute(self, statement: Any, values: dict[str, Any]) -> None:
        connection = await self._session.connection()
        await connection.execute(statement, values)


def _sealed(tenant: str, after: UUID, limit: int) -> Select[Any]:
    return (
        select(STUDIES.study_id, STUDIES.patient_hash, STUDIES.patient_sealed)
        .where(STUDIES.tenant == tenant, STUDIES.study_id > after, STUDIES.patient_sealed.is_not(None))
        .order_by(STUDIES.study_id)
        .limit(limit)
    )


class SandboxedPatientReader:
    """Implements the port in processes that may die of a file."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def read(self, path: Path) -> Patient | None:
        """Whom the DICOM file at `path` names; None: nobody.

        Raises:
            Refusal: as `radrelay_imaging.read_patient`; also decoder_crashed and decoder_timeout.
        """
        try:
            found = await self._sandbox.run(_read_patient, path)
        except SandboxDied as died:
            raise Refusal(RefusalReason.DECODER_CRASHED, f"Reading failed: {died}.") from None
        except SandboxTimeout as timeout:
            raise Refusal(RefusalReason.DECODER_TIMEOUT, f"Reading failed: {timeout}.") from None
        return None if found is None else Patient(*found)


def _read_patient(path: Path) -> tuple[str, str | None] | None:
    with path.open("rb") as file:
        return read_patient(file)
