"""Audit records as FHIR R4 AuditEvent resources (HL7 FHIR R4 4.0.1, section 6.4)."""

from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from radrelay_shared.audit import AuditRecord

_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_URI: Final = "urn:ietf:rfc:3986"
_ACTIONS: Final = "urn:radrelay:audit-action"
_SUBJECTS: Final = "urn:radrelay:subject"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How an action of ours is said in FHIR."""

    type: dict[str, str]
    action: str
    """C, R, U, D or E: section 6.4.7.3."""


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}


_REST: Final = _coding(f"{_TERMINOLOGY}/audit-event-type", "rest", "RESTful Operation")
_IMPORT: Final = _coding(_DICOM, "110107", "Import")
_EXPORT: Final = _coding(_DICOM, "110106", "Export")
_QUERY: Final = _coding(_DICOM, "110112", "Query")
_AUDIT_LOG_USED: Final = _coding(_DICOM, "110101", "Audit Log Used")
_SECURITY_ALERT: Final = _coding(_DICOM, "110113", "Security Alert")

_KINDS: Final = {
    "batch.created": _Kind(_REST, "C"),
    "batch.closed": _Kind(_REST, "U"),
    "batch.retried": _Kind(_REST, "E"),
    "batch.cancelled": _Kind(_REST, "U"),
    "batch.read": _Kind(_REST, "R"),
    "batch.watched": _Kind(_REST, "R"),
    "batches.listed": _Kind(_QUERY, "E"),
    "files.listed": _Kind(_QUERY, "E"),
    "file.accepted": _Kind(_IMPORT, "C"),
    # Nothing is stored anew: the batch now points to what was there.
    "file.repeated": _Kind(_IMPORT, "U"),
    "file.rejected": _Kind(_IMPORT, "C"),
    "rejected.listed": _Kind(_QUERY, "E"),
    "rejected.read": _Kind(_REST, "R"),
    "rejected.resubmitted": _Kind(_REST, "E"),
    "patient.reidentified": _Kind(_REST, "R"),
    "reports.listed": _Kind(_QUERY, "E"),
    "patient.searched": _Kind(_QUERY, "E"),
    "reports.counted": _Kind(_QUERY, "E"),
    "study.read": _Kind(_REST, "R"),
    "series.read": _Kind(_REST, "R"),
    "study.history_read": _Kind(_QUERY, "E"),
    "patient.history_read": _Kind(_QUERY, "E"),
    "report.read": _Kind(_REST, "R"),
    "image.read": _Kind(_REST, "R"),
    "overlay.read": _Kind(_REST, "R"),
    "heatmap.read": _Kind(_REST, "R"),
    "document.read": _Kind(_REST, "R"),
    "fhir.read": _Kind(_EXPORT, "R"),
    "link.made": _Kind(_REST, "E"),
    "source.read": _Kind(_EXPORT, "R"),
    "report.reviewed": _Kind(_REST, "U"),
    "review.read": _Kind(_REST, "R"),
    "erasure.requested": _Kind(_REST, "E"),
    "report.erased": _Kind(_REST, "D"),
    "erasure.done": _Kind(_REST, "D"),
    "destination.created": _Kind(_REST, "C"),
    "destination.changed": _Kind(_REST, "U"),
    "destination.removed": _Kind(_REST, "D"),
    "destination.secret_rotated": _Kind(_REST, "U"),
    "destination.tested": _Kind(_REST, "E"),
    "delivery.repeated": _Kind(_REST, "E"),
    "object.removed": _Kind(_REST, "D"),
    "instance.erased": _Kind(_REST, "D"),
    "instance.lost": _Kind(_REST, "U"),
    "instance.restored": _Kind(_REST, "U"),
    "rejected.lost": _Kind(_REST, "U"),
    "audit.read": _Kind(_AUDIT_LOG_USED, "R"),
    "refusals.withheld": _Kind(_SECURITY_ALERT, "E"),
}
_REFUSED_READ: Final = "refused GET "
_OTHER: Final = _Kind(_REST, "E")
"""An action that this version does not know: something was executed, and the subtype says what."""


def audit_event(record: AuditRecord, service: str) -> dict[str, Any]:
    """A service's record as an AuditEvent; its `id` is the record's hash, and all that the hash covers is in it."""
    fact = record.fact
    kind = _kind(fact.action)
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": record.hash,
        "type": kind.type,
        "subtype": [{"system": _ACTIONS, "code": fact.action}],
        "action": kind.action,
        "recorded": fact.at.astimezone(UTC).isoformat(timespec="microseconds"),
        # Success, or minor failure: section 6.4.7.4.
        "outcome": "0" if fact.reason is None else "4",
        "agent": [{"who": {"identifier": {"system": _SUBJECTS, "value": fact.actor}}, "requestor": True}],
        "source": {
            "site": fact.tenant,
            "observer": {"display": f"radrelay {service}"},
            "type": [_coding(f"{_TERMINOLOGY}/security-source-type", "4", "Application Server")],
        },
        "entity": [*_things(record), _place(record)],
    }
    if fact.reason is not None:
        event["outcomeDesc"] = fact.reason
    return event


def _kind(action: str) -> _Kind:
    return _Kind(_REST, "R") if action.startswith(_REFUSED_READ) else _KINDS.get(action, _OTHER)


def _things(record: AuditRecord) -> list[dict[str, Any]]:
    """What the record is about: batch, image, report and destination, or the file where there is no image of it."""
    fact = record.fact
    named = (
        ("batch", fact.batch_id),
        ("instance", fact.instance_id),
        ("report", fact.report_id),
        ("destination", fact.destination_id),
    )
    things = [_entity(name, each) for name, each in named if each]
    if fact.fingerprint is not None:
        detail = [{"type": "fingerprint", "valueString": fact.fingerprint}]
        things.append({"type": _system_object(), "name": "file", "detail": detail})
    return things


def _entity(name: str, identifier: UUID) -> dict[str, Any]:
    what = {"identifier": {"system": _URI, "value": f"urn:uuid:{identifier}"}}
    return {"what": what, "type": _system_object(), "name": name}


def _place(record: AuditRecord) -> dict[str, Any]:
    """The record's place in the chain, so that what was taken out can still be checked."""
    detail = [
        {"type": "sequence", "valueString": str(record.sequence)},
        {"type": "prev_hash", "valueString": record.prev_hash},
        {"type": "hash", "valueString": record.hash},
    ]
    return {"type": _system_object(), "name": "audit-record", "detail": detail}


def _system_object() -> dict[str, str]:
    return _coding(f"{_TERMINOLOGY}/audit-entity-type", "2", "System Object")
