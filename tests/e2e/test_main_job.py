"""The main job on the whole product: DICOM files in, triaged and explained reports out."""

import asyncio
import json
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from radrelay_local import demo
from radrelay_local.client.answers import BatchState, DashboardSummary
from radrelay_local.client.api import ApiClient
from radrelay_local.client.connection import ApiError
from support.hospital import finished, head, person, poison, send, write_heads, write_zip
from support.stack import RunningStack
from support.tenants import new_tenant


async def dashboard_with(client: ApiClient, cases: int, failed: int, scope: str = "own") -> DashboardSummary:
    """The dashboard once it shows these numbers: it follows the reports by a moment."""
    async with asyncio.timeout(30):
        while True:
            summary = await client.dashboard(scope)
            if (summary.total_cases, summary.failed_cases) == (cases, failed):
                return summary
            await asyncio.sleep(0.1)


async def test_a_zip_and_a_folder_become_reports_with_pictures_and_figures(stack: RunningStack, tmp_path: Path) -> None:
    tenant = new_tenant()
    paths = write_heads(tmp_path / "series", 3, first_seed=100)
    archive = write_zip(tmp_path / "study.zip", [(f"deep/er/{n}.dcm", head(200 + n)) for n in range(3)])
    async with person(stack, tenant, "dr-ada") as ada, person(stack, tenant, "chief", "tenant_admin") as chief:
        batch = await finished(ada, await send(ada, [*paths, archive], root=tmp_path))
        assert batch.state is BatchState.DONE
        assert (batch.counts.received, batch.counts.reported) == (6, 6)
        reports = await ada.reports(batch_id=batch.batch_id)
        files = await ada.batch_files(batch.batch_id)
        assert {file.report_id for file in files} == {report.report_id for report in reports}
        for report in reports:
            assert 0 <= report.probability <= 1
            assert report.confidence == pytest.approx(report.probability if report.positive else 1 - report.probability)
            assert "not for clinical use" in report.notice.lower()
            assert report.model.label
            image = Image.open(BytesIO(await ada.rendering(report.report_id, "image")))
            overlay = Image.open(BytesIO(await ada.rendering(report.report_id, "overlay")))
            cam_yx = np.load(BytesIO(await ada.rendering(report.report_id, "heatmap.npy")), allow_pickle=False)
            assert (image.mode, overlay.mode, image.size) == ("L", "RGB", overlay.size)
            assert cam_yx.dtype == np.float32
            assert cam_yx.min() >= 0
        own = await dashboard_with(ada, 6, 0)
        whole = await dashboard_with(chief, 6, 0, "tenant")
        assert own.positive_cases == whole.positive_cases == sum(report.positive for report in reports)
        assert own.average_confidence == pytest.approx(np.mean([report.confidence for report in reports]))
        assert (await chief.dashboard("own")).total_cases == 0


async def test_two_tenants_and_two_owners_cannot_see_each_other(stack: RunningStack, tmp_path: Path) -> None:
    north, south = new_tenant(), new_tenant()
    paths = write_heads(tmp_path, 2, first_seed=300)
    async with (
        person(stack, north, "dr-ada") as ada,
        person(stack, north, "dr-bo") as colleague,
        person(stack, south, "dr-ada") as namesake,
        person(stack, south, "chief", "tenant_admin") as other_chief,
        person(stack, north, "chief", "tenant_admin") as chief,
    ):
        batch = await finished(ada, await send(ada, paths, root=tmp_path))
        report = (await ada.reports())[0]
        routes = [
            f"/api/ingest/v1/batches/{batch.batch_id}",
            f"/api/ingest/v1/batches/{batch.batch_id}/files",
            f"/api/ingest/v1/batches/{batch.batch_id}/events",
            *(f"/api/reports/v1/reports/{report.report_id}{part}" for part in ("", "/image", "/overlay", "/heatmap")),
        ]
        for route in routes:
            assert await ada.status_of(route) == 200, route
            assert await chief.status_of(route) == 200, route
            for stranger in (colleague, namesake, other_chief):
                assert await stranger.status_of(route) == 404, route
        for stranger in (colleague, namesake, other_chief):
            assert await stranger.reports() == []
            assert (await stranger.dashboard()).total_cases == 0
            with pytest.raises(ApiError, match="404"):
                await stranger.close_batch(batch.batch_id)
        async with httpx.AsyncClient(base_url=stack.base_url) as nobody:
            for route in routes:
                assert (await nobody.get(route)).status_code == 401


async def test_bad_files_each_get_their_reason_and_nothing_else_is_lost(stack: RunningStack, tmp_path: Path) -> None:
    good = write_heads(tmp_path, 2, first_seed=400)
    (tmp_path / "cut.dcm").write_bytes(head(410)[:-5000])
    (tmp_path / "letter.dcm").write_text("Dear colleague")
    (tmp_path / "poison.dcm").write_bytes(poison(430))
    archive = write_zip(tmp_path / "tricks.zip", [("../../etc/passwd.dcm", head(420)), ("fine.dcm", head(421))])
    bad = [tmp_path / name for name in ("cut.dcm", "letter.dcm", "poison.dcm")]
    async with person(stack, new_tenant(), "dr-ada") as ada:
        batch = await finished(ada, await send(ada, [*good, *bad, archive], root=tmp_path))
        files = {file.name.rsplit("/", 1)[-1]: file for file in await ada.batch_files(batch.batch_id)}
        assert {name: file.reason for name, file in files.items() if file.status == "rejected"} == {
            "cut.dcm": "truncated",
            "letter.dcm": "not_dicom",
            "passwd.dcm": "unsafe_path",
        }
        assert (files["poison.dcm"].status, files["poison.dcm"].reason) == ("failed", "undecodable_pixel_data")
        assert batch.counts.reported == 3
        assert all(file.detail for file in files.values() if file.status in {"rejected", "failed"})
        await dashboard_with(ada, 3, 1)


async def test_an_empty_upload_is_a_clear_error(stack: RunningStack) -> None:
    tenant = new_tenant()
    bearer = {"Authorization": f"Bearer {stack.issue_token(tenant, 'dr-ada', ['clinician'])}"}
    async with person(stack, tenant, "dr-ada") as ada:
        batch = await ada.open_batch()
        multipart = {"Content-Type": "multipart/form-data; boundary=end"}
        async with httpx.AsyncClient(base_url=stack.base_url, headers=bearer) as client:
            url = f"/api/ingest/v1/batches/{batch.batch_id}/files"
            answer = await client.post(url, headers=multipart, content=b"--end--\r\n")
        assert (answer.status_code, answer.json()["code"]) == (400, "empty_upload")
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await ada.batch(batch.batch_id)).counts.received == 0


@pytest.mark.parametrize("api", ["ingest", "reports", "dashboard"])
@pytest.mark.parametrize("path", ["metrics", "livez", "readyz"])
def test_what_is_for_operators_is_not_at_the_edge(stack: RunningStack, api: str, path: str) -> None:
    assert httpx.get(f"{stack.base_url}/api/{api}/v1/nothing").status_code == 404
    answer = httpx.get(f"{stack.base_url}/api/{api}/{path}")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


def test_the_demo_ends_well_and_its_figures_agree(stack: RunningStack, tmp_path: Path) -> None:
    assert demo.run(stack, once=True, dicom=None, out=tmp_path) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["batches"]
    for batch in summary["batches"]:
        assert batch["files_sent"] == batch["accepted"] + len(batch["rejected"])
        assert batch["accepted"] == batch["reports"] + len(batch["failures"])
        assert batch["cases_per_second"] > 0
        assert all(rejected["reason"] for rejected in batch["rejected"])
    assert summary["equals_what_was_sent"]
    assert list((tmp_path / "overlays").glob("*.png"))
