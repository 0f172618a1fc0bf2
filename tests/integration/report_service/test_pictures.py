"""The pictures of a report: what they show, which of them are kept, and what is answered where there are none."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radrelay_imaging import ColourMap, NamedWindow
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Picture, ValueWindow
from radrelay_shared.objects import S3ObjectStore, keys
from report_service.adapters.drawing import SandboxedDrawing
from report_service.adapters.postgres import PostgresReportStore, PostgresReportUnit
from report_service.domain.pictures import PictureKind, PictureRequest
from report_service.domain.report import Report, report_from_result
from report_service.pictures import Pictures
from report_service.settings import DrawingSettings
from support.ct_images import ct
from support.dicom_files import encode, set_pixels
from support.events import inference_completed
from support.kept_reports import ask_for, persisted
from support.report_store import KeptReads
from support.tenants import new_tenant
from support.tokens import TestIssuer

DICOM = bytes(128) + b"DICM" + b"data set"
HU_40 = 1064
CT = encode(ct(np.full((20, 30), HU_40, "<u2")))
PICTURES = ("image", "heatmap", "overlay")


async def persist(database: Database, objects: S3ObjectStore, content: bytes | None = CT, **changes: Any) -> Report:
    """A report of a CT image of 20 rows and 30 columns, all 40 HU, whose heat is strongest below, in the middle."""
    picture = Picture(rows=20, columns=30, window=ValueWindow(center=40.0, width=80.0))
    return await persisted(database, objects, content, **{"picture": picture} | changes)


@pytest.fixture
async def report(database: Database, objects: S3ObjectStore) -> Report:
    return await persist(database, objects)


async def pixels(client: httpx.AsyncClient, issuer: TestIssuer, report: Report, part: str) -> npt.NDArray[np.uint8]:
    response = await ask_for(client, issuer, report, part)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png"), response.text
    with Image.open(io.BytesIO(response.content)) as opened:
        return np.asarray(opened)


async def kept(objects: S3ObjectStore, report: Report) -> set[str]:
    return {key async for key in objects.list_keys(keys.renderings(report.tenant, report.report_id))}


def assert_missing(response: httpx.Response, code: str = "rendering_not_found") -> None:
    assert response.status_code == 404, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


@pytest.mark.parametrize(
    ("window", "level"),
    [("model", 128), ("brain", 128), ("subdural", 76), ("stroke", 128), ("bone", 76), ("lung", 236), ("80,80", 0)],
)
async def test_the_image_is_shown_in_the_window_that_is_asked_for(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, window: str, level: int
) -> None:
    image_yx = await pixels(client, issuer, report, f"image?window={window}")
    assert image_yx.shape == (20, 30)
    assert np.abs(image_yx.astype(int) - level).max() <= 1, "40 HU"


async def test_an_image_can_be_shown_as_it_asks_itself(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer
) -> None:
    made = ct(np.full((4, 4), HU_40, "<u2"), WindowCenter=0, WindowWidth=160, VOILUTFunction="LINEAR_EXACT")
    report = await persist(database, objects, encode(made))
    assert set((await pixels(client, issuer, report, "image?window=own")).ravel()) == {191}


async def test_another_frame_can_be_asked_for(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer
) -> None:
    made = ct(np.zeros((4, 4), "<u2"), NumberOfFrames=2)
    set_pixels(made, np.concatenate([np.full((4, 4), 1024 + 40 * k, "<u2") for k in range(2)]).tobytes())
    report = await persist(database, objects, encode(made))
    assert set((await pixels(client, issuer, report, "image")).ravel()) == {0}
    assert set((await pixels(client, issuer, report, "image?frame=2")).ravel()) == {128}
    assert_missing(await ask_for(client, issuer, report, "image?frame=3"))


@pytest.mark.parametrize("part", PICTURES)
async def test_a_picture_is_as_large_as_is_asked_for_and_never_enlarged(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, part: str
) -> None:
    assert (await pixels(client, issuer, report, f"{part}?size=16")).shape[:2] == (11, 16)
    assert (await pixels(client, issuer, report, f"{part}?size=512")).shape[:2] == (20, 30)


async def test_heat_is_shown_where_the_map_has_it(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    alone = await pixels(client, issuer, report, "heatmap?colour_map=viridis")
    peak = np.unravel_index(alone[..., 0].argmax(), alone.shape[:2])
    assert peak[0] >= 10, "the lower row of the map"
    assert 10 <= peak[1] < 20, "its middle"
    assert alone[peak].tolist() == [0xFD, 0xE7, 0x25]
    assert alone[0, 0].tolist() == [0x44, 0x01, 0x54]
    over = await pixels(client, issuer, report, "overlay?colour_map=viridis&opacity=1")
    assert over[peak].tolist() == [0xFD, 0xE7, 0x25]
    assert over[0, 0].tolist() == [128, 128, 128]
    assert (await pixels(client, issuer, report, "overlay?opacity=0")).ravel().tolist() == [128] * 1800


async def test_what_is_drawn_of_a_bounded_set_is_stored_once_and_read_from_there(
    client: httpx.AsyncClient, objects: S3ObjectStore, issuer: TestIssuer, report: Report
) -> None:
    first = await ask_for(client, issuer, report, "image?window=brain")
    (key,) = await kept(objects, report)
    assert key.endswith(first.headers["etag"].strip('"') + ".png")
    # Whoever drew it again would find no image.
    await objects.delete(report.source_key)
    assert (await ask_for(client, issuer, report, "image?window=brain")).content == first.content
    assert_missing(await ask_for(client, issuer, report, "image?window=bone"))


@pytest.mark.parametrize(
    "part", ["image?window=40,80", "image?size=100", "heatmap?size=100", "overlay?window=40.5,80&opacity=0.25"]
)
async def test_what_can_be_asked_for_without_end_is_not_stored(
    client: httpx.AsyncClient, objects: S3ObjectStore, issuer: TestIssuer, report: Report, part: str
) -> None:
    assert (await ask_for(client, issuer, report, part)).status_code == 200
    assert await kept(objects, report) == set()


async def test_an_overlay_at_any_opacity_is_drawn_from_the_stored_image(
    client: httpx.AsyncClient, objects: S3ObjectStore, issuer: TestIssuer, report: Report
) -> None:
    assert (await ask_for(client, issuer, report, "overlay?opacity=0.3")).status_code == 200
    assert len(await kept(objects, report)) == 1
    await objects.delete(report.source_key)
    assert (await ask_for(client, issuer, report, "overlay?opacity=0.8")).status_code == 200


def test_the_kept_pictures_of_a_report_are_a_bounded_set() -> None:
    result = inference_completed()
    report = report_from_result(result.tenant, result.data, created_at=datetime.now(UTC))
    asked = [
        PictureRequest(kind, window=window, frame=frame, size_px=size_px, opacity=opacity, colour_map=colour_map)
        for kind in PictureKind
        for window in (*NamedWindow, "model", "own", "1,2", "40.00,80")
        for frame in (None, 1, 2)
        for size_px in (16, 256, 511, 512, 1024, 2048)
        for opacity in (0.0, 0.6, 0.61)
        for colour_map in ColourMap
    ]
    digests = {each.digest(report) for each in asked if each.is_kept(report)}
    assert len(digests) == 30 + 12 + 120


class Erased(PostgresReportStore):
    """A store in which nobody finds a report any more, as when it is erased while its picture is drawn."""

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[PostgresReportUnit]:
        async with super().transaction(replace(scope, tenant="nobody")) as unit:
            yield unit


async def test_a_picture_that_was_drawn_while_its_report_was_erased_is_not_kept(
    database: Database, objects: S3ObjectStore, report: Report
) -> None:
    async with SandboxedDrawing(DrawingSettings(processes=1)) as drawing:
        pictures = Pictures(Erased(database), objects, drawing, KeptReads())
        await pictures.picture(report, PictureRequest(PictureKind.IMAGE))
    assert await kept(objects, report) == set()


async def test_the_map_and_the_image_are_downloads(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    source = await ask_for(client, issuer, report, "source")
    assert (source.headers["content-type"], source.content) == ("application/dicom", CT)
    heatmap = await ask_for(client, issuer, report, "heatmap.npy")
    assert heatmap.headers["content-type"] == "application/octet-stream"
    assert np.load(io.BytesIO(heatmap.content), allow_pickle=False).tolist() == [[0.0, 0.25, 0.5], [1.0, 2.0, 0.0]]


@pytest.mark.parametrize("part", [*PICTURES, "heatmap.npy", "source"])
async def test_a_picture_can_be_kept_by_its_reader_only(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, part: str
) -> None:
    response = await ask_for(client, issuer, report, part)
    assert response.headers["cache-control"] == "private, no-cache"
    etag = response.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await ask_for(client, issuer, report, part, **{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    changed = await ask_for(client, issuer, report, part, **{"If-None-Match": '"other"'})
    assert changed.content == response.content


async def test_each_picture_has_a_tag_of_its_own(client: httpx.AsyncClient, issuer: TestIssuer, report: Report) -> None:
    parts = [*PICTURES, "image?window=bone", "overlay?window=bone", "overlay?opacity=0.5", "heatmap?colour_map=magma"]
    tags = [(await ask_for(client, issuer, report, part)).headers["etag"] for part in parts]
    assert len(set(tags)) == len(parts)


async def test_an_image_that_is_gone_is_a_problem(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer
) -> None:
    report = await persist(database, objects, None)
    for part in ("image", "overlay", "source"):
        response = await ask_for(client, issuer, report, part)
        assert_missing(response)
        assert report.source_key not in response.text
    assert (await ask_for(client, issuer, report, "heatmap")).status_code == 200, "which needs no image"


async def test_an_image_that_cannot_be_drawn_is_a_problem_that_says_why(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer
) -> None:
    report = await persist(database, objects, DICOM)
    response = await ask_for(client, issuer, report, "image")
    assert_missing(response)
    assert "no_pixel_data" in response.json()["detail"] or "not_dicom" in response.json()["detail"]


async def test_a_window_in_hounsfield_units_is_refused_for_an_image_that_has_none(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer
) -> None:
    report = await persist(database, objects, encode(ct(np.full((4, 4), HU_40, "<u2"), Modality="DX")))
    response = await ask_for(client, issuer, report, "image?window=bone")
    assert_missing(response)
    assert "not_hounsfield" in response.json()["detail"]
    assert (await ask_for(client, issuer, report, "image?window=40,80")).status_code == 200


async def test_a_report_from_before_maps_were_kept_says_so(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer
) -> None:
    result = inference_completed(tenant=new_tenant())
    report = report_from_result(result.tenant, result.data, created_at=datetime.now(UTC))
    async with PostgresReportStore(database).transaction(Scope.service(report.tenant)) as unit:
        await unit.add(replace(report, picture=None, heatmap_npy=None))
    for part in ("overlay", "heatmap", "heatmap.npy"):
        assert_missing(await ask_for(client, issuer, report, part))


@pytest.mark.parametrize(
    "part",
    [
        *("image?window=liver", "image?window=40", "image?window=40,0", "image?window=nan,80", "image?window=40,80%0A"),
        *("image?frame=0", "image?size=15", "image?size=2049", "overlay?opacity=1.1", "heatmap?colour_map=jet"),
    ],
)
async def test_a_picture_that_there_cannot_be_is_an_invalid_request(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, part: str
) -> None:
    response = await ask_for(client, issuer, report, part)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
