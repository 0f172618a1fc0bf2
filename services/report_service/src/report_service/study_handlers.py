"""Reading studies, series and histories: one function per use case, on ports."""

from datetime import UTC, datetime

from radrelay_shared.audit import AuditFact
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope
from radrelay_shared.http import Conflict, NotFound
from report_service.domain.audit import AuditAction
from report_service.domain.patients import PatientVaults
from report_service.domain.studies import History, StudyReport, history_of
from report_service.domain.worklist import Filters
from report_service.handlers import ReportStore, fact_about


async def get_study(
    study_instance_uid: str, series_instance_uid: str | None, *, scope: Scope, reports: ReportStore, reads: ReadLog
) -> StudyReport:
    """A study, or one series of it; who read it is recorded before it is returned.

    Raises:
        NotFound: there is none, or it is someone else's.
    """
    async with reports.transaction(scope) as unit:
        study = await unit.study(study_instance_uid, series_instance_uid)
    if study is None:
        raise _not_found("study" if series_instance_uid is None else "series")
    action = AuditAction.STUDY_READ if series_instance_uid is None else AuditAction.SERIES_READ
    await reads.record(fact_about(study.most_urgent, action, scope.owner_id))
    return study


async def get_study_history(study_instance_uid: str, *, scope: Scope, reports: ReportStore, reads: ReadLog) -> History:
    """What each batch brought of a study; who asked is recorded before it is returned.

    Raises:
        NotFound: there is no such study, or it is someone else's.
    """
    history = await _history(Filters(study_instance_uid=study_instance_uid), scope, reports)
    if not history.entries:
        raise _not_found("study")
    await reads.record(_asked(AuditAction.STUDY_HISTORY_READ, scope))
    return history


async def get_patient_history(
    patient_id: str, *, scope: Scope, reports: ReportStore, reads: ReadLog, patients: PatientVaults
) -> History:
    """What each batch brought of a patient's studies; who asked is recorded before it is returned.

    Raises:
        Conflict: of this tenant no patient is kept.
    """
    filters = Filters(patient_hash=patient_hash(patient_id, scope, patients))
    history = await _history(filters, scope, reports)
    await reads.record(_asked(AuditAction.PATIENT_HISTORY_READ, scope))
    return history


def patient_hash(patient_id: str, scope: Scope, patients: PatientVaults) -> bytes:
    """What a patient of the tenant is found by.

    Raises:
        Conflict: of this tenant no patient is kept: to find nothing would look as if there were no reports.
    """
    if scope.tenant not in patients.tenants:
        detail = "No patient identifiers are kept for your tenant, so that nothing can be found by them."
        raise Conflict(code="patients_not_kept", detail=detail)
    return patients.of(scope.tenant).hash_of(patient_id)


async def _history(filters: Filters, scope: Scope, reports: ReportStore) -> History:
    async with reports.transaction(scope) as unit:
        return history_of(await unit.history(filters))


def _asked(action: AuditAction, reader: Scope) -> AuditFact:
    return AuditFact(reader.tenant, reader.owner_id, action, datetime.now(UTC))


def _not_found(what: str) -> NotFound:
    return NotFound(code=f"{what}_not_found", detail=f"You have no reports of a {what} of this UID.")
