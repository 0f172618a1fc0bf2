"""Nobody sees another's report, through whatever route: a route without a case fails."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Verdict
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.patients import Patient
from report_service.domain.report import Report
from report_service.domain.review import Judgement, Label
from report_service.handlers import persist_report
from report_service.main import create_app
from report_service.patient_handlers import SealedPatient
from report_service.reviewing import review_report
from report_service.settings import ReportSettings
from support.asgi import serving
from support.dicom_files import dicom_file
from support.events import inference_completed
from support.patients import patient_keys
from support.tenants import new_tenant
from support.tokens import TestIssuer

TENANT = new_tenant()
PATIENT_ID = "PAT-7301"
KEYS = patient_keys()
Judge = Callable[[httpx.Response, Report], bool]


def _names(response: httpx.Response, report: Report) -> bool:
    """Whether an answer that lists or shows reports shows this one."""
    return response.status_code == 200 and str(report.report_id) in response.text


def _names_without_patient(response: httpx.Response, report: Report) -> bool:
    return _names(response, report) and PATIENT_ID not in response.text


def _gives_bytes(response: httpx.Response, _: Report) -> bool:
    return response.status_code == 200 and len(response.content) > 0


def _counts(response: httpx.Response, _: Report) -> bool:
    return response.status_code == 200 and response.json()["counts"] != []


def _has_entries(response: httpx.Response, _: Report) -> bool:
    return response.status_code == 200 and response.json()["entries"] != []


@dataclass(frozen=True)
class Case:
    """How a route is asked for a report."""

    shows: Judge
    """Whether the answer shows the report."""
    refusal: int
    """Status for those who may not see it: a list is merely empty."""
    body: dict[str, str] | None = None
    refusal_elsewhere: int | None = None
    """Of other tenants, where it is another: here they keep no patients."""
    parameters: dict[str, str] | None = None


REVIEW = {"verdict": "unsure", "label": "not_assessable"}
CASES = {
    ("get", "/v1/reports"): Case(_names, refusal=200),
    ("post", "/v1/worklist/search"): Case(_names, refusal=200, body={"patient_id": PATIENT_ID}, refusal_elsewhere=409),
    ("get", "/v1/worklist/counts"): Case(_counts, refusal=200),
    ("post", "/v1/worklist/counts"): Case(_counts, refusal=200, body={"patient_id": PATIENT_ID}, refusal_elsewhere=409),
    ("get", "/v1/studies/{study_instance_uid}"): Case(_names, refusal=404),
    ("get", "/v1/studies/{study_instance_uid}/series/{series_instance_uid}"): Case(_names, refusal=404),
    ("get", "/v1/studies/{study_instance_uid}/history"): Case(_has_entries, refusal=404),
    ("post", "/v1/patients/history"): Case(
        _has_entries, refusal=200, body={"patient_id": PATIENT_ID}, refusal_elsewhere=409
    ),
    ("get", "/v1/reports/{report_id}"): Case(_names, refusal=404),
    ("get", "/v1/reports/{report_id}/image"): Case(_gives_bytes, refusal=404),
    ("get", "/v1/reports/{report_id}/overlay"): Case(_gives_bytes, refusal=404),
    ("get", "/v1/reports/{report_id}/heatmap"): Case(_gives_bytes, refusal=404),
    ("get", "/v1/reports/{report_id}/document"): Case(_names, refusal=404),
    ("get", "/v1/reports/{report_id}/fhir"): Case(_names_without_patient, refusal=404),
    ("get", "/v1/reports/{report_id}/heatmap.npy"): Case(_gives_bytes, refusal=404),
    ("get", "/v1/reports/{report_id}/frame.npy"): Case(_gives_bytes, refusal=404),
    ("post", "/v1/reports/{report_id}/links"): Case(_names, refusal=404, parameters={"picture": "image"}),
    ("get", "/v1/reports/{report_id}/source"): Case(_gives_bytes, refusal=404),
    ("get", "/v1/reports/{report_id}/review"): Case(_names, refusal=404),
    ("get", "/v1/reports/{report_id}/review/versions"): Case(_names, refusal=404),
    ("put", "/v1/reports/{report_id}/review"): Case(_names, refusal=404, body=REVIEW),
}


@dataclass(frozen=True)
class World:
    """One report, and the application that serves it."""

    client: httpx.AsyncClient
    report: Report


@pytest.fixture(scope="module")
def app(settings: ReportSettings) -> FastAPI:
    return create_app(settings.model_copy(update={"patients": {TENANT: KEYS}}))


@pytest.fixture(scope="module")
async def world(app: FastAPI, database: Database, objects: S3ObjectStore) -> AsyncIterator[World]:
    event = inference_completed(tenant=TENANT, owner_id="dr-a")
    store = PostgresReportStore(database)
    _, report = await persist_report(event, reports=store, now=lambda: datetime.now(UTC))
    sealed = SealedPatient.of(KEYS.vault(TENANT), report.study_id, Patient(PATIENT_ID))
    async with store.patients(Scope.service(TENANT)) as patients:
        await patients.keep(report.study_id, sealed)
    await objects.put(report.source_key, dicom_file(), content_type="application/dicom")
    await review_report(
        report.report_id,
        Judgement(Verdict.UNSURE, Label.NOT_ASSESSABLE, None, None),
        is_current=lambda version: version == 0,
        scope=Scope(report.tenant, "dr-a", "clinician"),
        store=PostgresReportStore(database),
    )
    async with serving(app) as client:
        yield World(client, report)


def test_every_route_has_a_case(app: FastAPI) -> None:
    routes = {(method, path) for path, methods in app.openapi()["paths"].items() for method in methods}
    # What a trail shows, and to whom, is tested for every service in tests/integration/audit; who erases, in
    # test_erasure; what is told of how long reports are kept, which names none, in test_retention; destinations, which
    # show no report, in destinations and in the matrix of tests/integration/authorization.
    elsewhere = ("/v1/audit", "/v1/erasures", "/v1/retention", "/v1/destinations")
    routes -= {("get", "/v1/reports/{report_id}/links/{link}")}  # in test_links
    assert {(method, path) for method, path in routes if not path.startswith(elsewhere)} == set(CASES)


@pytest.fixture(params=CASES, ids=" ".join)
def route(request: pytest.FixtureRequest) -> tuple[str, str]:
    method, path = request.param
    return method, path


async def ask(world: World, route: tuple[str, str], headers: dict[str, str]) -> httpx.Response:
    method, path = route
    names = ("report_id", "study_instance_uid", "series_instance_uid")
    address = path.format(**{name: getattr(world.report, name) for name in names})
    return await world.client.request(
        method, address, headers=headers | {"If-Match": "*"}, json=CASES[route].body, params=CASES[route].parameters
    )


async def test_its_owner_sees_it(world: World, route: tuple[str, str], issuer: TestIssuer) -> None:
    response = await ask(world, route, issuer.bearer(world.report.tenant, "dr-a"))
    assert CASES[route].shows(response, world.report)


async def test_the_tenants_administrator_sees_it(world: World, route: tuple[str, str], issuer: TestIssuer) -> None:
    response = await ask(world, route, issuer.bearer(world.report.tenant, "boss", ("tenant_admin",)))
    assert CASES[route].shows(response, world.report)


@pytest.mark.parametrize(
    ("tenant", "user", "role"),
    [
        ("same", "dr-b", "clinician"),
        ("same", "ris", "service"),
        ("other", "dr-a", "clinician"),
        ("other", "boss", "tenant_admin"),
        ("other", "dr-a", "service"),
    ],
)
async def test_nobody_else_sees_it(
    world: World, route: tuple[str, str], issuer: TestIssuer, tenant: str, user: str, role: str
) -> None:
    named = world.report.tenant if tenant == "same" else new_tenant()
    response = await ask(world, route, issuer.bearer(named, user, (role,)))
    case = CASES[route]
    elsewhere = case.refusal if case.refusal_elsewhere is None else case.refusal_elsewhere
    is_machine_that_reviews = role == "service" and route[0] == "put"
    refusal = case.refusal if tenant == "same" else elsewhere
    assert response.status_code == (403 if is_machine_that_reviews else refusal)
    assert str(world.report.report_id) not in response.text
    assert not CASES[route].shows(response, world.report)


async def test_without_a_token_there_is_no_answer(world: World, route: tuple[str, str]) -> None:
    assert (await ask(world, route, {})).status_code == 401


async def test_a_batch_of_another_is_empty(world: World, issuer: TestIssuer) -> None:
    parameters = {"batch_id": str(world.report.batch_id)}
    for tenant, user in ((world.report.tenant, "dr-b"), (new_tenant(), "dr-a")):
        headers = issuer.bearer(tenant, user)
        response = await world.client.get("/v1/reports", params=parameters, headers=headers)
        assert response.json() == {"reports": [], "next_cursor": None}
