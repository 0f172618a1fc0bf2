"""Reports are erased with all that belongs to them, in steps that can break off anywhere and be repeated."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import ErasureRequested, ReportCreated, ReportErased, Verdict, parse_event
from radrelay_shared.objects import S3ObjectStore, keys
from report_service.adapters.erasures import PostgresErasureQueue
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.erasure import RetentionPolicy
from report_service.domain.patients import Patient
from report_service.domain.report import Report
from report_service.domain.review import Judgement, Label
from report_service.erasing import Eraser
from report_service.handlers import Persisted, persist_report
from report_service.main import create_app
from report_service.patient_handlers import SealedPatient
from report_service.reviewing import review_report
from report_service.settings import ReportSettings
from support.asgi import serving
from support.events import dicom_uid, inference_completed
from support.patients import patient_keys
from support.tenants import new_tenant
from support.tokens import TestIssuer

PNG = b"a picture"


class Hospital:
    """One tenant, its reports and what erases them."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        issuer: TestIssuer,
        database: Database,
        system: Database,
        objects: S3ObjectStore,
    ) -> None:
        self.tenant = new_tenant()
        self.client, self._issuer = client, issuer
        self._database, self._system, self.objects = database, system, objects
        self.store = PostgresReportStore(database)

    async def persist(self, **changes: Any) -> tuple[Persisted, Report]:
        event = inference_completed(tenant=self.tenant, **changes)
        return await persist_report(event, reports=self.store, now=lambda: datetime.now(UTC))

    async def report(self, **changes: Any) -> Report:
        """With a picture that was kept."""
        _, report = await self.persist(**changes)
        await self.objects.put(f"{keys.renderings(self.tenant, report.report_id)}x.png", PNG, content_type="image/png")
        return report

    async def review(self, report: Report, verdict: str = "agree", version: int = 0) -> None:
        await review_report(
            report.report_id,
            Judgement(
                Verdict(verdict), Label.FINDING_PRESENT if verdict == "agree" else Label.FINDING_ABSENT, "note", None
            ),
            is_current=lambda standing: standing == version,
            scope=Scope(self.tenant, "dr-a", "clinician"),
            store=self.store,
        )

    async def request(self, body: dict[str, Any], *roles: str) -> httpx.Response:
        headers = self._issuer.bearer(self.tenant, "boss", roles or ("tenant_admin",))
        return await self.client.post("/v1/erasures", json={"reason": "patient_request"} | body, headers=headers)

    async def standing(self, erasure: httpx.Response) -> dict[str, Any]:
        headers = self._issuer.bearer(self.tenant, "boss", ("tenant_admin",))
        answer = await self.client.get(address_of(erasure), headers=headers)
        content: dict[str, Any] = answer.json()
        return content

    async def erase(self, retention: Mapping[str, RetentionPolicy] | None = None, *, grace_s: float = 0.0) -> None:
        """One round of the worker's job."""
        queue = PostgresErasureQueue(self._system)
        await Eraser(self.store, queue, self.objects, retention or {}, grace_s).run(asyncio.Event())

    async def publish(self) -> None:
        """As the relay does."""
        async with self._system.system_transaction() as session:
            await session.execute(
                text("UPDATE report.outbox SET published_at = now() WHERE tenant = :tenant"), {"tenant": self.tenant}
            )

    async def told(self) -> list[Any]:
        """What is in the outbox."""
        async with self._system.system_transaction() as session:
            question = "SELECT payload FROM report.outbox WHERE tenant = :tenant ORDER BY created_at"
            rows = await session.execute(text(question), {"tenant": self.tenant})
            return [parse_event(row.payload).data for row in rows]

    async def count(self, table: str) -> int:
        async with self._database.transaction(Scope.service(self.tenant)) as session:
            return int((await session.execute(text(f"SELECT count(*) FROM report.{table}"))).scalar_one())

    async def pictures(self) -> list[str]:
        return [key async for key in self.objects.list_keys(f"{self.tenant}/renderings/")]

    async def facts(self) -> list[tuple[str, str, UUID | None]]:
        async with self.store.transaction(Scope.service(self.tenant)) as unit:
            records = await unit.audit_records(0, 1000)
        return [(each.fact.actor, each.fact.action, each.fact.report_id) for each in records]


def address_of(asked: httpx.Response) -> str:
    (erasure,) = asked.json()["erasures"]
    return f"/v1/erasures/{erasure['erasure_id']}"


@pytest.fixture
def hospital(
    client: httpx.AsyncClient, issuer: TestIssuer, database: Database, system: Database, objects: S3ObjectStore
) -> Hospital:
    return Hospital(client, issuer, database, system, objects)


def study(uid: str) -> dict[str, Any]:
    return {"kind": "study", "study_instance_uid": uid}


async def test_a_study_goes_with_reviews_and_pictures_and_the_rest_stays(hospital: Hospital) -> None:
    uid = dicom_uid()
    gone = [await hospital.report(study_instance_uid=uid, owner_id=owner) for owner in ("dr-a", "dr-b")]
    kept = await hospital.report()
    await hospital.review(gone[0])
    await hospital.review(gone[0], "disagree", 1)
    asked = await hospital.request(study(uid))
    assert asked.status_code == 202, asked.text
    await hospital.publish()
    await hospital.erase()
    await hospital.publish()
    await hospital.erase()
    assert (await hospital.standing(asked)).items() >= {"state": "done", "reports": 2}.items()
    assert (await hospital.count("reports"), await hospital.count("reviews")) == (1, 0)
    assert await hospital.pictures() == [f"{keys.renderings(hospital.tenant, kept.report_id)}x.png"]
    assert await hospital.count("erasure_leftovers") == 0
    facts = await hospital.facts()
    assert [fact for fact in facts if fact[1] != "report.reviewed"] == [
        ("boss", "erasure.requested", None),
        *(("boss", "report.erased", report_id) for report_id in sorted(each.report_id for each in gone)),
        ("report-eraser", "erasure.done", None),
    ]


async def test_what_others_are_told_takes_the_report_and_its_last_review_out_of_their_counts(
    hospital: Hospital,
) -> None:
    report = await hospital.report(body_part=None, urgency="stat")
    await hospital.review(report)
    await hospital.review(report, "disagree", 1)
    (created, *_) = await hospital.told()
    await hospital.request({"kind": "image", "instance_id": str(report.instance_id)})
    await hospital.erase()
    erased = [each for each in await hospital.told() if isinstance(each, ReportErased)]
    assert len(erased) == 1
    assert isinstance(created, ReportCreated)
    common = set(ReportErased.model_fields) & set(ReportCreated.model_fields)
    assert erased[0].model_dump(include=common) == created.model_dump(include=common)
    assert erased[0].last_review is not None
    assert (erased[0].last_review.verdict, erased[0].last_review.version) == ("disagree", 2)
    assert erased[0].reason == "patient_request"


async def test_those_who_keep_the_files_are_asked_for_the_same(hospital: Hospital) -> None:
    uid = dicom_uid()
    (asked,) = (await hospital.request(study(uid))).json()["erasures"]
    (told,) = await hospital.told()
    assert isinstance(told, ErasureRequested)
    assert (str(told.erasure_id), told.study_instance_uid, told.instance_id) == (asked["erasure_id"], uid, None)


async def test_nothing_is_done_before_all_of_it_is_told_and_removed(hospital: Hospital) -> None:
    report = await hospital.report()
    asked = await hospital.request(study(report.study_instance_uid))
    await hospital.erase(grace_s=3600)
    assert await hospital.count("reports") == 0
    assert len(await hospital.pictures()) == 1, "somebody may still be drawing"
    await hospital.erase()
    assert await hospital.pictures() == []
    assert (await hospital.standing(asked))["state"] == "requested", "nothing was published yet"
    await hospital.publish()
    await hospital.erase()
    assert (await hospital.standing(asked))["state"] == "done"
    assert await hospital.told() == []


async def test_erasing_again_changes_nothing(hospital: Hospital) -> None:
    report = await hospital.report()
    for _ in range(2):
        await hospital.request(study(report.study_instance_uid))
        await hospital.erase()
    assert len([each for each in await hospital.told() if isinstance(each, ReportErased)]) == 1
    assert await hospital.count("erasures") == 2


async def test_a_result_that_comes_late_brings_nothing_back(hospital: Hospital) -> None:
    uid, image = dicom_uid(), uuid4()
    await hospital.request(study(uid))
    assert (await hospital.persist(study_instance_uid=uid, instance_id=image))[0] is Persisted.ERASED
    report = await hospital.report()
    await hospital.request({"kind": "image", "instance_id": str(report.instance_id)})
    await hospital.erase()
    again = await hospital.persist(instance_id=report.instance_id, study_instance_uid=report.study_instance_uid)
    assert again[0] is Persisted.ERASED
    assert await hospital.count("reports") == 0


async def test_an_image_that_is_sent_again_after_it_was_erased_has_a_report_of_its_own(hospital: Hospital) -> None:
    first = inference_completed(tenant=hospital.tenant, event_id="the-same")
    _, report = await persist_report(first, reports=hospital.store, now=lambda: datetime.now(UTC))
    await hospital.request(study(report.study_instance_uid))
    await hospital.erase()
    later = datetime.now(UTC)
    result = first.data.model_copy(update={"received_at": later, "completed_at": later})
    event = first.model_copy(update={"data": result})
    outcomes = [await persist_report(event, reports=hospital.store, now=lambda: datetime.now(UTC)) for _ in range(2)]
    assert [outcome for outcome, _ in outcomes] == [Persisted.CREATED, Persisted.REPORTED_BEFORE]
    assert outcomes[0][1].report_id != report.report_id
    told = [each.report_id for each in await hospital.told() if isinstance(each, ReportCreated)]
    assert told == [report.report_id, outcomes[0][1].report_id]


async def test_what_is_past_its_time_goes_by_its_modality(hospital: Hospital) -> None:
    now = datetime.now(UTC)

    async def received(days_ago: int, modality: str) -> UUID:
        report = await hospital.report(received_at=now - timedelta(days=days_ago), modality=modality)
        return report.report_id

    old_ct, young_ct = await received(31, "CT"), await received(29, "CT")
    old_mg, very_old_mg = await received(31, "MG"), await received(101, "MG")
    policy = RetentionPolicy(days=30, days_by_modality={"MG": 100})
    await hospital.erase({hospital.tenant: policy})
    erased = [each for each in await hospital.told() if isinstance(each, ReportErased)]
    assert {each.report_id for each in erased} == {old_ct, very_old_mg}
    assert {each.reason for each in erased} == {"retention"}
    assert await hospital.count("reports") == 2
    assert {young_ct, old_mg}.isdisjoint(each.report_id for each in erased)
    assert {fact[:2] for fact in await hospital.facts()} == {("report-eraser", "report.erased")}


async def test_only_a_named_modality_goes_where_no_time_is_set_for_all(hospital: Hospital) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    for modality in ("CT", "MG"):
        await hospital.report(received_at=long_ago, modality=modality)
    await hospital.erase({hospital.tenant: RetentionPolicy(days_by_modality={"MG": 30})})
    assert [each.modality for each in await hospital.told() if isinstance(each, ReportErased)] == ["MG"]


async def test_a_patient_goes_with_all_studies_and_another_patient_stays(
    hospital: Hospital, settings: ReportSettings, issuer: TestIssuer
) -> None:
    keys_of_tenant = patient_keys()
    vault = keys_of_tenant.vault(hospital.tenant)
    gone = [await hospital.report(owner_id=owner) for owner in ("dr-a", "dr-b")]
    kept = await hospital.report()
    for report in (*gone, kept):
        patient = Patient("P2" if report is kept else "P1")
        async with hospital.store.patients(Scope.service(hospital.tenant)) as patients:
            await patients.keep(report.study_id, SealedPatient.of(vault, report.study_id, patient))
    chosen = settings.model_copy(update={"patients": {hospital.tenant: keys_of_tenant}})
    async with serving(create_app(chosen)) as hospital.client:
        asked = await hospital.request({"kind": "patient", "patient_id": " P1"})
    assert asked.status_code == 202, asked.text
    assert len(asked.json()["erasures"]) == 2
    assert "P1" not in asked.text
    await hospital.erase()
    erased = {each.report_id for each in await hospital.told() if isinstance(each, ReportErased)}
    assert erased == {each.report_id for each in gone}
    assert (await hospital.count("studies"), await hospital.count("instances")) == (1, 1)


async def test_where_no_patients_are_kept_none_can_be_erased_by_name(hospital: Hospital) -> None:
    answer = await hospital.request({"kind": "patient", "patient_id": "P1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "patients_not_kept")


async def test_the_study_stays_with_another_image_of_it(hospital: Hospital) -> None:
    uid = dicom_uid()
    first, _ = [await hospital.report(study_instance_uid=uid) for _ in range(2)]
    await hospital.request({"kind": "image", "instance_id": str(first.instance_id)})
    await hospital.erase()
    counts = [await hospital.count(table) for table in ("studies", "series", "instances", "reports")]
    assert counts == [1, 1, 1, 1]


async def test_nothing_goes_by_itself_where_nothing_is_set(hospital: Hospital) -> None:
    await hospital.report(received_at=datetime.now(UTC) - timedelta(days=30_000))
    await hospital.erase({hospital.tenant: RetentionPolicy()})
    assert await hospital.count("reports") == 1


async def test_only_an_administrator_erases_and_only_in_their_tenant(
    hospital: Hospital, client: httpx.AsyncClient, issuer: TestIssuer
) -> None:
    report = await hospital.report()
    refused = await hospital.request(study(report.study_instance_uid), "clinician", "service")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_tenant_admin")
    elsewhere = issuer.bearer(new_tenant(), "boss", ("tenant_admin",))
    body = study(report.study_instance_uid) | {"reason": "mistake"}
    asked = await client.post("/v1/erasures", json=body, headers=elsewhere)
    assert asked.status_code == 202
    await hospital.erase()
    assert await hospital.count("reports") == 1
    seen = await client.get(address_of(await hospital.request(study("2.25.1"))), headers=elsewhere)
    assert (seen.status_code, seen.json()["code"]) == (404, "erasure_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "study"},
        {"kind": "study", "study_instance_uid": "not a UID"},
        {"kind": "image", "instance_id": "5"},
        {"kind": "image", "instance_id": str(uuid4()), "study_instance_uid": "2.25.1"},
        {"kind": "tenant"},
        study("2.25.1") | {"reason": "retention"},
    ],
)
async def test_a_request_that_names_no_study_or_image_is_told_so(hospital: Hospital, body: dict[str, Any]) -> None:
    answer = await hospital.request(body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
