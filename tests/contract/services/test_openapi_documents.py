"""The committed OpenAPI documents are what the services say of themselves."""

from pathlib import Path

import pytest
from fastapi import FastAPI

import dashboard_service.main
import ingest_service.main
import report_service.main
from dashboard_service.settings import DashboardSettings
from ingest_service.settings import IngestSettings
from radrelay_shared.http.documents import text_of
from report_service.settings import ReportSettings

DOCUMENTS = Path(__file__).parents[3] / "docs" / "api"
APPLICATIONS = {
    "ingest": ingest_service.main.create_app(IngestSettings.model_construct()),
    "report": report_service.main.create_app(ReportSettings.model_construct()),
    "dashboard": dashboard_service.main.create_app(DashboardSettings.model_construct()),
}


@pytest.mark.parametrize(("name", "app"), APPLICATIONS.items(), ids=APPLICATIONS)
def test_the_committed_document_is_what_the_routes_say(name: str, app: FastAPI) -> None:
    assert (DOCUMENTS / f"{name}.json").read_text() == text_of(app), "run `make schemas`"


@pytest.mark.parametrize("app", APPLICATIONS.values(), ids=APPLICATIONS)
def test_every_refusal_is_a_problem_document(app: FastAPI) -> None:
    refusals = {
        (method, path, status): response["content"]
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
        for status, response in operation["responses"].items()
        if status >= "400"
    }
    assert refusals
    assert not [place for place, content in refusals.items() if "application/problem+json" not in content]
