"""Audit records as FHIR: every action of the services is said, and what is said is valid."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from ingest_service.domain.audit import AuditAction as IngestAction
from radrelay_local.audit import fhir
from radrelay_local.audit.fhir import audit_event
from radrelay_shared.audit import AuditFact, AuditRecord, chain
from radrelay_shared.audit.refusals import WITHHELD
from radrelay_shared.audit.routes import AUDIT_READ
from report_service.domain.audit import AuditAction as ReportAction

ACTIONS = [*IngestAction, *ReportAction, AUDIT_READ, WITHHELD]
BATCH = UUID("11111111-2222-4333-8444-555555555555")
IMAGE = UUID("66666666-7777-5888-9999-000000000000")


def record(action: str, *, reason: str | None = None, instance_id: UUID | None = IMAGE) -> AuditRecord:
    at = datetime(2026, 3, 14, 11, 30, 15, 123456, tzinfo=timezone(timedelta(hours=2)))
    return chain(AuditFact("north", "ada", action, at, BATCH, instance_id, "ab" * 32, reason), None)


@pytest.mark.parametrize("action", [*ACTIONS, "something.new", "refused GET /v1/reports/{report_id}"])
@pytest.mark.parametrize("reason", [None, "not_dicom"])
def test_every_action_is_a_valid_audit_event(action: str, reason: str | None) -> None:
    event = audit_event(record(action, reason=reason), "ingest")
    parsed = AuditEvent.model_validate_json(json.dumps(event))
    assert json.loads(parsed.model_dump_json())["type"]["code"] == event["type"]["code"]
    assert event["subtype"][0]["code"] == action
    assert parsed.recorded == datetime(2026, 3, 14, 9, 30, 15, 123456, tzinfo=UTC)
    assert (parsed.outcome, parsed.outcomeDesc) == (("0", None) if reason is None else ("4", "not_dicom"))


@pytest.mark.parametrize(
    ("action", "letter"),
    [
        ("batch.created", "C"),
        ("batch.read", "R"),
        ("source.read", "R"),
        ("reports.listed", "E"),
        ("refused GET /v1/batches/{batch_id}", "R"),
        ("refused POST /v1/batches/{batch_id}/close", "E"),
        ("batch.closed", "U"),
        ("files.listed", "E"),
        ("something.new", "E"),
    ],
)
def test_the_action_has_its_letter(action: str, letter: str) -> None:
    assert audit_event(record(action), "ingest")["action"] == letter


def test_who_where_and_what_are_said() -> None:
    event = audit_event(record("file.accepted"), "ingest")
    (agent,) = event["agent"]
    assert (agent["who"]["identifier"]["value"], agent["requestor"]) == ("ada", True)
    assert event["source"]["site"] == "north"
    identifiers = [entity["what"]["identifier"]["value"] for entity in event["entity"] if "what" in entity]
    assert identifiers == [f"urn:uuid:{BATCH}", f"urn:uuid:{IMAGE}"]


def test_the_place_in_the_chain_goes_along() -> None:
    written = record("batch.read", instance_id=None)
    event = audit_event(written, "report")
    place = {each["type"]: each["valueString"] for each in event["entity"][-1]["detail"]}
    assert place == {"sequence": "1", "prev_hash": "0" * 64, "hash": written.hash}
    assert event["id"] == written.hash


def test_every_action_of_the_services_is_known() -> None:
    assert {action for action in ACTIONS if action not in fhir._KINDS} == set()


def test_a_report_and_the_service_that_says_so_are_named() -> None:
    report_id = UUID("99999999-7777-4888-9999-000000000000")
    event = audit_event(chain(replace(record("report.read").fact, report_id=report_id), None), "report")
    AuditEvent.model_validate_json(json.dumps(event))
    assert event["source"]["observer"] == {"display": "radrelay report"}
    entities = {each["name"]: each["what"]["identifier"]["value"] for each in event["entity"] if "what" in each}
    assert entities == {
        name: f"urn:uuid:{each}" for name, each in (("batch", BATCH), ("instance", IMAGE), ("report", report_id))
    }


def test_a_wrong_resource_is_no_audit_event() -> None:
    event = audit_event(record("batch.read"), "ingest")
    del event["source"]
    with pytest.raises(ValueError, match="source"):
        AuditEvent.model_validate_json(json.dumps(event))
