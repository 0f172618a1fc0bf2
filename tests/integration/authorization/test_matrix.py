"""Every route answers every caller as docs/authorization.md says, and every route is there."""

from uuid import uuid4

import httpx
import pytest

from radrelay_shared.auth import Principal
from radrelay_shared.database import Scope
from support.authorization.matrix import ROLES, Row, differences, expected_rows, parse, published_routes
from support.authorization.things import Site, mismatches
from support.dicom_files import new_uid

ROWS = expected_rows()


def test_each_route_of_the_openapi_documents_has_a_row_and_each_row_a_route() -> None:
    assert differences(published_routes(), ROWS) == []


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_each_caller_is_answered_as_the_row_says(sites: dict[str, Site], row: Row) -> None:
    assert await mismatches(sites[row.service], row) == []


def code_of(response: httpx.Response) -> tuple[int, str | None]:
    """Status and code; the answer to HEAD has no body to say the code in."""
    return response.status_code, response.json()["code"] if response.content else None


@pytest.mark.parametrize("row", [row for row in ROWS if "404" in row.cells[0]], ids=str)
async def test_an_identifier_of_somebody_elses_is_answered_as_one_that_never_was(
    sites: dict[str, Site], row: Row
) -> None:
    site = sites[row.service]
    never_was = {name: new_uid() if name.endswith("_uid") else str(uuid4()) for name in site.things}
    for relation in ("other owner", "other tenant"):
        theirs = await site.ask(row, "clinician", relation, site.things)
        assert code_of(theirs) == code_of(await site.ask(row, "clinician", relation, never_was))


def test_a_planted_route_and_a_planted_row_are_told() -> None:
    routes = published_routes()
    planted = routes | {"report": routes["report"] | {"DELETE /v1/reports/{report_id}"}}
    assert differences(planted, ROWS) == ["report: DELETE /v1/reports/{report_id} has no row"]
    gone = routes | {"report": routes["report"] - {"GET /v1/reports"}}
    assert differences(gone, ROWS) == ["report: GET /v1/reports has a row and is no route"]


@pytest.mark.parametrize("cells", ["200 404 | 200 200 404 | 200 404 404", "200 404 404 | 200 200 404"])
def test_a_row_that_leaves_out_a_cell_is_refused(cells: str) -> None:
    with pytest.raises(ValueError, match=r"'report'.*has not 3 cells for each role"):
        parse(f"## report\n| GET /v1/reports | {cells} | 401 |\n")


@pytest.mark.parametrize(
    ("service", "route"), [("ingest", "GET /v1/batches"), ("report", "GET /v1/reports/{report_id}")]
)
async def test_a_service_that_shows_everybody_the_tenant_is_found_out(
    sites: dict[str, Site], monkeypatch: pytest.MonkeyPatch, service: str, route: str
) -> None:
    def whole_tenant(principal: Principal) -> Scope:
        return Scope(principal.tenant, principal.owner_id, "tenant_admin")

    monkeypatch.setattr(Scope, "of", whole_tenant)
    (row,) = (row for row in ROWS if (row.service, row.route) == (service, route))
    shown = {"ingest": ("hides", "lists"), "report": ("404", "200")}[service]
    assert await mismatches(sites[service], row) == [
        f"{row}: {role}, other owner: expected {shown[0]}, answered {shown[1]}"
        for role in ROLES
        if role != "tenant_admin"
    ]
