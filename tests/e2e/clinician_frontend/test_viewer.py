"""The image under the mouse, and the images of a series."""

import re
from pathlib import Path

from playwright.async_api import Page, Response, expect

from radrelay_phantoms import HaemorrhageKind, generate_series
from radrelay_phantoms.dicom import write_series
from support.browser import labelled, upload
from support.hospital import IMAGE_PX

SLICES = 4


async def open_series(page: Page, folder: Path) -> None:
    """The most urgent image of a series."""
    await upload(page, _scanned(folder))
    await page.get_by_role("link", name="Open the most urgent case").click()
    await expect(page.locator("canvas.image")).to_be_visible()


def _scanned(folder: Path) -> Path:
    slices = generate_series(31, haemorrhage=HaemorrhageKind.INTRAPARENCHYMAL, slices=SLICES, size=IMAGE_PX)
    folder.mkdir()
    write_series(slices, folder)
    return folder


async def drag(page: Page, dx: int, dy: int, *, button: str = "left") -> None:
    box = await page.locator("canvas.image").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await page.mouse.move(x, y)
    await page.mouse.down(button=button)  # type: ignore[arg-type]  # one of its literals
    await page.mouse.move(x + dx, y + dy, steps=4)
    await page.mouse.up(button=button)  # type: ignore[arg-type]


async def window(page: Page) -> tuple[float, float]:
    """Centre and width, as the fields say."""
    centre, width = [float(await labelled(page, words).input_value()) for words in ("Centre", "Width")]
    return centre, width


async def test_a_drag_changes_the_window_and_the_right_button_moves_the_image(ada: Page, tmp_path: Path) -> None:
    await open_series(ada, tmp_path / "series")
    await labelled(ada, "Window").select_option("brain")
    assert await window(ada) == (40.0, 80.0)
    await drag(ada, 100, 0)
    centre, width = await window(ada)
    assert centre == 40.0
    assert width > 100
    await drag(ada, 0, 60)
    assert (await window(ada))[0] > centre
    await expect(labelled(ada, "Window")).to_have_value("")
    before = await ada.locator("canvas.image").screenshot()
    at = await window(ada)
    await drag(ada, 80, 40, button="right")
    assert await window(ada) == at
    assert await ada.locator("canvas.image").screenshot() != before
    await ada.keyboard.press("0")
    await expect(labelled(ada, "Window")).to_have_value("own")
    await ada.keyboard.press("4")
    await expect(labelled(ada, "Window")).to_have_value("bone")


async def test_the_wheel_goes_through_the_series_and_the_key_images_are_marked(ada: Page, tmp_path: Path) -> None:
    await open_series(ada, tmp_path / "series")
    strip = ada.get_by_role("navigation", name="Images of the series")
    await expect(strip.get_by_role("link")).to_have_count(SLICES)
    await expect(strip.get_by_role("link", name=re.compile("key image")).first).to_be_visible()
    await strip.get_by_role("link").first.click()
    first = ada.url
    await expect(strip.get_by_role("link").first).to_have_attribute("aria-current", "true")
    asked: list[str] = []
    ada.on("request", lambda request: asked.append(request.url))
    await ada.locator("canvas.image").hover()
    await ada.mouse.wheel(0, 100)
    await expect(strip.get_by_role("link").nth(1)).to_have_attribute("aria-current", "true")
    assert ada.url != first
    assert any("/frame.npy" in url or "/v1/reports/" in url for url in asked)
    assert [url for url in asked if "/v1/studies/" in url] == [], "the series is known already"


async def test_a_series_is_in_the_order_of_its_instance_numbers(ada: Page, tmp_path: Path) -> None:
    def asks_for_series(response: Response) -> bool:
        return "/v1/worklist/search" in response.url and "series_instance_uid" in (response.request.post_data or "")

    async with ada.expect_response(asks_for_series) as asking:
        await open_series(ada, tmp_path / "series")
    reports = (await (await asking.value).json())["reports"]
    assert sorted(each["instance_number"] for each in reports) == [1, 2, 3, 4]
    by_number = sorted(reports, key=lambda each: each["instance_number"])
    assert by_number != sorted(reports, key=lambda each: each["sop_instance_uid"]), "another order would do as well"
    links = ada.get_by_role("navigation", name="Images of the series").get_by_role("link")
    await expect(links).to_have_count(SLICES)
    shown = [await link.get_attribute("href") for link in await links.all()]
    assert shown == [f"/reports/{each['report_id']}" for each in by_number]


async def test_the_model_card_says_what_the_model_is(ada: Page, tmp_path: Path) -> None:
    await open_series(ada, tmp_path / "series")
    await ada.get_by_text("Model, image and times").click()
    async with ada.context.expect_page() as opening:
        await ada.get_by_role("link", name="How it was made").click()
    card = await opening.value
    await expect(card.get_by_role("heading", level=1)).to_contain_text("head-ct-haemorrhage")
