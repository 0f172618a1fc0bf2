"""A frame of a report's image as values over HTTP: what they are, what is said of them, and who gets none."""

import asyncio
import io
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radrelay_shared.database import Database, Scope
from radrelay_shared.objects import S3ObjectStore, keys
from report_service.adapters.erasures import PostgresErasureQueue
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report
from report_service.erasing import Eraser
from support.ct_images import ct, plain
from support.dicom_files import encode, set_pixels
from support.kept_reports import ask_for, persisted
from support.tenants import new_tenant
from support.tokens import TestIssuer

HU_YX = np.arange(20 * 30).reshape(20, 30) - 300
CT = encode(ct((HU_YX + 1024).astype("<u2"), WindowCenter=40, WindowWidth=80))
SAID_OF_CT = {
    "Rescale-Type": "HU",
    "Presentation-LUT-Shape": "IDENTITY",
    "Window-Center": "40.0",
    "Window-Width": "80.0",
    "VOI-LUT-Function": "LINEAR",
    "Frame-Number": "1",
    "Number-Of-Frames": "1",
}


@pytest.fixture
async def report(database: Database, objects: S3ObjectStore) -> Report:
    return await persisted(database, objects, CT)


async def ask(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, query: str = "", /, **headers: str
) -> httpx.Response:
    return await ask_for(client, issuer, report, f"frame.npy{query}", **headers)


def values_yx(response: httpx.Response) -> npt.NDArray[Any]:
    assert (response.status_code, response.headers["content-type"]) == (200, "application/octet-stream"), response.text
    loaded: npt.NDArray[Any] = np.load(io.BytesIO(response.content), allow_pickle=False)
    return loaded


def said_of(response: httpx.Response) -> dict[str, str]:
    return {name: response.headers[name] for name in SAID_OF_CT}


def assert_missing(response: httpx.Response, code: str = "rendering_not_found") -> None:
    assert response.status_code == 404, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


async def test_a_frame_is_its_hounsfield_units_and_says_how_to_show_them(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    response = await ask(client, issuer, report)
    found_yx = values_yx(response)
    assert found_yx.dtype == np.dtype("<i2")
    assert np.array_equal(found_yx, HU_YX)
    assert said_of(response) == SAID_OF_CT
    assert response.headers["content-disposition"] == f'attachment; filename="{report.report_id}-frame.npy"'


async def test_an_inverted_radiograph_says_so_and_has_a_window_of_its_values(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer
) -> None:
    made = plain(np.array([[0, 100], [200, 1000]], "<u2"), Modality="DX", PhotometricInterpretation="MONOCHROME1")
    response = await ask(client, issuer, await persisted(database, objects, encode(made)))
    assert values_yx(response).tolist() == [[0, 100], [200, 1000]]
    assert said_of(response) == SAID_OF_CT | {
        "Rescale-Type": "US",
        "Presentation-LUT-Shape": "INVERSE",
        "Window-Center": "500.0",
        "Window-Width": "1000.0",
        "VOI-LUT-Function": "LINEAR_EXACT",
    }


async def test_the_frame_of_the_result_is_the_usual_one_and_another_can_be_asked_for(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer
) -> None:
    made = ct(np.zeros((4, 6), "<u2"), NumberOfFrames=3)
    set_pixels(made, np.concatenate([np.full((4, 6), 1024 + number, "<u2") for number in (1, 2, 3)]).tobytes())
    report = await persisted(database, objects, encode(made))
    for query, number in (("", report.frame_number), ("?frame=1", 1), ("?frame=3", 3)):
        response = await ask(client, issuer, report, query)
        assert set(values_yx(response).ravel()) == {number}
        assert (response.headers["frame-number"], response.headers["number-of-frames"]) == (str(number), "3")
    assert_missing(await ask(client, issuer, report, "?frame=4"))


@pytest.mark.parametrize(("size", "dtype"), [(16, "<f4"), (512, "<i2")])
async def test_a_frame_is_exactly_as_large_as_its_picture(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, size: int, dtype: str
) -> None:
    found_yx = values_yx(await ask(client, issuer, report, f"?size={size}"))
    assert found_yx.dtype == np.dtype(dtype)
    headers = issuer.bearer(report.tenant, "dr-a")
    picture = await client.get(f"/v1/reports/{report.report_id}/image?size={size}&window=40,80", headers=headers)
    with Image.open(io.BytesIO(picture.content)) as opened:
        shown_yx = np.asarray(opened)
    assert found_yx.shape == shown_yx.shape
    levels_yx = np.clip((found_yx.astype(float) - 40) / 80 + 0.5, 0, 1) * 255
    assert np.abs(levels_yx - shown_yx).max() <= 0.51, "a viewer shows what the picture does"


async def test_a_frame_can_be_kept_by_its_reader_only_and_has_a_tag_of_its_own(
    client: httpx.AsyncClient, objects: S3ObjectStore, issuer: TestIssuer, report: Report
) -> None:
    response = await ask(client, issuer, report)
    assert response.headers["cache-control"] == "private, no-cache"
    etag = response.headers["etag"]
    # Whoever decoded it again would find no image.
    await objects.delete(report.source_key)
    for query, known in (("", etag), ("?frame=1", f"W/{etag}"), ("", f'"other", {etag}'), ("?size=1024", "*")):
        again = await ask(client, issuer, report, query, **{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    for query in ("?size=512", "?frame=2"):
        assert_missing(await ask(client, issuer, report, query, **{"If-None-Match": etag}))


async def test_a_frame_is_not_stored(
    client: httpx.AsyncClient, objects: S3ObjectStore, issuer: TestIssuer, report: Report
) -> None:
    assert (await ask(client, issuer, report)).status_code == 200
    assert [key async for key in objects.list_keys(keys.renderings(report.tenant, report.report_id))] == []


async def test_who_looked_is_recorded_each_time(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, report: Report
) -> None:
    etag = (await ask(client, issuer, report)).headers["etag"]
    assert (await ask(client, issuer, report, **{"If-None-Match": etag})).status_code == 304
    async with PostgresReportStore(database).transaction(Scope.service(report.tenant)) as unit:
        facts = [record.fact for record in await unit.audit_records(0, 10)]
    assert [(fact.actor, fact.action, fact.report_id) for fact in facts] == [
        ("dr-a", "image.read", report.report_id)
    ] * 2


@pytest.mark.parametrize(("content", "reason"), [(None, "object store"), (b"no image", "not_dicom")])
async def test_an_image_that_is_gone_or_cannot_be_read_is_a_problem_that_says_why(
    client: httpx.AsyncClient,
    database: Database,
    objects: S3ObjectStore,
    issuer: TestIssuer,
    content: bytes | None,
    reason: str,
) -> None:
    report = await persisted(database, objects, content)
    response = await ask(client, issuer, report)
    assert_missing(response)
    assert reason in response.json()["detail"]
    assert report.source_key not in response.text


async def test_somebody_elses_frame_and_an_erased_one_are_none(
    client: httpx.AsyncClient,
    database: Database,
    system: Database,
    objects: S3ObjectStore,
    issuer: TestIssuer,
    report: Report,
) -> None:
    for tenant, user in ((report.tenant, "dr-b"), (new_tenant(), "dr-a")):
        theirs = await client.get(f"/v1/reports/{report.report_id}/frame.npy", headers=issuer.bearer(tenant, user))
        assert_missing(theirs, "report_not_found")
    etag = (await ask(client, issuer, report)).headers["etag"]
    erased = {"kind": "image", "instance_id": str(report.instance_id), "reason": "mistake"}
    headers = issuer.bearer(report.tenant, "boss", ("tenant_admin",))
    assert (await client.post("/v1/erasures", json=erased, headers=headers)).status_code == 202
    eraser = Eraser(PostgresReportStore(database), PostgresErasureQueue(system), objects, {}, 0.0)
    await eraser.run(asyncio.Event())
    for known in ({}, {"If-None-Match": etag}):
        assert_missing(await ask(client, issuer, report, **known), "report_not_found")


@pytest.mark.parametrize("query", ["?frame=0", "?frame=x", "?frame=100001", "?size=15", "?size=2049"])
async def test_a_frame_that_there_cannot_be_is_an_invalid_request(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, query: str
) -> None:
    response = await ask(client, issuer, report, query)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
