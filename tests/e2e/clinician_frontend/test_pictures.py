"""The pictures of the frontend in README and docs, made by looking at it."""

import os
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from radrelay_phantoms import HaemorrhageKind, generate_series, sample
from radrelay_phantoms.dicom import write_dicom, write_series
from support.browser import MakeVisitor, labelled, upload

SIZE_PX = 512
SEED = 20


@pytest.fixture
async def ada(visitor: MakeVisitor) -> Page:
    """The clinician of the demo's first tenant, with the screen of a workstation."""
    return await (await visitor(device_scale_factor=1, color_scheme="dark")).sign_in("north", "dr-ada")


async def take(page: Page, name: str) -> None:
    """A picture of what the page shows; kept where FRONTEND_PICTURES says so."""
    await expect(page.get_by_text("Loading …")).to_have_count(0)
    await expect(page.locator(".sendings")).to_have_count(0)  # it goes by itself once everything is sent
    picture = await page.screenshot()
    image = Image.open(BytesIO(picture))
    assert len(image.convert("RGB").getcolors(1 << 24) or []) > 100, "the page shows something"
    if folder := os.environ.get("FRONTEND_PICTURES"):
        image.save(Path(folder, f"frontend-{name}.png"), optimize=True)


async def test_pictures_of_every_page(ada: Page, tmp_path: Path) -> None:
    folder = tmp_path / "heads"
    folder.mkdir()
    for number in range(8):
        write_dicom(sample(SEED + number, size=SIZE_PX), folder / f"head-{number}.dcm")
    series = generate_series(SEED, haemorrhage=HaemorrhageKind.INTRAPARENCHYMAL, slices=6, size=SIZE_PX)
    (tmp_path / "series").mkdir()
    write_series(series, tmp_path / "series")
    (folder / "letter.dcm").write_text("Dear colleague, this is a text file with a DICOM name.\n")
    await upload(ada, folder, label="Emergency heads", priority="urgent")
    await take(ada, "batch")
    await upload(ada, tmp_path / "series", label="Head CT, one series", priority="stat")
    await ada.get_by_role("link", name="Open the most urgent case").click()
    await expect(ada.locator("canvas.image")).to_be_visible()
    await expect(ada.get_by_role("navigation", name="Images of the series")).to_be_visible()
    await labelled(ada, "Window").select_option("brain")
    await labelled(ada, "Show").select_option("side")
    await take(ada, "report")
    await ada.keyboard.press("Escape")
    await ada.keyboard.press("a")
    await ada.keyboard.press("Enter")
    await expect(ada.get_by_role("heading", name="Your review")).to_contain_text("Agreed")
    await ada.get_by_role("link", name="Worklist", exact=True).first.click()
    await expect(ada.locator("table.worklist tbody tr").first).to_be_visible()
    await take(ada, "worklist")
    await ada.get_by_role("link", name="Analytics").click()
    await expect(ada.locator("figure.chart")).to_have_count(2)
    await take(ada, "analytics")
