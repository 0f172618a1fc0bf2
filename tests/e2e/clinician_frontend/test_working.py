"""What a clinician does all day, in a real browser on the whole product."""

import re
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import Page, expect

from support.browser import MakeVisitor, Visitor, download, labelled, upload
from support.fhir import resources_of
from support.hospital import head, poison

SMOOTHED = 3
"""Grey levels that enlarging an image may differ by."""


async def open_most_urgent(page: Page) -> None:
    await page.get_by_role("link", name="Open the most urgent case").click()
    await expect(page.locator("canvas.image")).to_have_count(1)


async def pixels(page: Page) -> list[tuple[int, int, int]]:
    """A grid of what the first canvas shows, as RGB."""
    picture = Image.open(BytesIO(await page.locator("canvas.image").first.screenshot())).convert("RGB")
    width, height = picture.size
    places = [(width * x // 20, height * y // 20) for x in range(1, 20) for y in range(1, 20)]
    return [picture.getpixel(place) for place in places]  # type: ignore[misc]  # three bands, as it was converted


async def test_a_zip_is_sent_screened_read_and_reviewed_and_the_figures_follow(ada: Page, study: Path) -> None:
    await upload(ada, study, label="Emergency heads", priority="urgent")
    await expect(ada.get_by_role("heading", name="Emergency heads")).to_be_visible()
    await expect(ada.locator(".tile", has_text="Reported")).to_contain_text("3")
    await open_most_urgent(ada)
    await expect(ada.get_by_text("not for clinical use").first).to_be_visible()

    await labelled(ada, "Show").select_option("image")
    plain = await pixels(ada)
    assert all(red == green == blue for red, green, blue in plain), "an image alone is grey"
    await labelled(ada, "Window").select_option("bone")
    bone = await pixels(ada)
    assert bone != plain
    await ada.get_by_role("button", name="Invert").click()
    inverted = await pixels(ada)
    image = [one + other for (one, *_), (other, *_) in zip(bone, inverted, strict=True) if one + other]
    assert len(image) > 50
    assert all(abs(both - 255) <= SMOOTHED for both in image)
    await ada.get_by_role("button", name="Reset").click()
    await labelled(ada, "Show").select_option("overlay")
    await labelled(ada, "Heat").fill("1")
    strong = await pixels(ada)
    await labelled(ada, "Heat").fill("0")
    assert await pixels(ada) == plain
    assert strong != plain
    await labelled(ada, "Show").select_option("side")
    await expect(ada.locator("canvas.image")).to_have_count(2)

    await ada.keyboard.press("Escape")  # out of the field
    await ada.keyboard.press("a")
    await expect(ada.get_by_role("button", name="Save (Enter)")).to_be_focused()
    await ada.keyboard.press("Enter")
    await expect(ada.get_by_role("heading", name="Your review")).to_contain_text("Agreed")
    await expect(ada.locator(".history")).to_contain_text("by dr-ada")

    await ada.get_by_role("link", name="Analytics").click()
    await expect(ada.locator(".tile", has_text="Cases")).to_contain_text("3")
    await expect(ada.locator(".tile", has_text="Reviewed")).to_contain_text("1")
    await ada.locator("figure.chart", has_text="Cases by day").get_by_text("As a table").click()
    await ada.locator("figure.chart", has_text="Cases by day").get_by_role("link").last.click()
    await expect(ada.get_by_role("heading", name="Worklist")).to_be_visible()
    await expect(ada.locator("table.worklist tbody tr")).to_have_count(3)


async def test_refused_and_failed_files_are_named_with_their_reason(ada: Page, tmp_path: Path) -> None:
    (tmp_path / "letter.dcm").write_text("Dear colleague")
    (tmp_path / "whole.dcm").write_bytes(head(7100))
    (tmp_path / "poison.dcm").write_bytes(poison(7101))
    await upload(ada, tmp_path)
    rows = ada.get_by_role("region", name="Files of the batch").locator("tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.filter(has_text="letter.dcm")).to_contain_text("This is no DICOM file.")
    await expect(rows.filter(has_text="letter.dcm")).to_contain_text("Refused")
    await expect(rows.filter(has_text="poison.dcm")).to_contain_text("cannot be decoded")
    await expect(rows.filter(has_text="whole.dcm")).to_contain_text("Reported")


async def test_the_worklist_is_worked_through_by_keyboard(ada: Page, study: Path) -> None:
    await upload(ada, study)
    await ada.get_by_role("link", name="Worklist", exact=True).click()
    rows = ada.locator("table.worklist tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.nth(0)).to_have_class("here")
    await ada.keyboard.press("j")
    await expect(rows.nth(1)).to_have_class("here")
    await ada.keyboard.press("k")
    await ada.keyboard.press("d")
    await expect(ada.get_by_role("group", name="Review")).to_contain_text("Disagreed")
    await ada.keyboard.press("Escape")
    await expect(rows.filter(has_text="Not reviewed")).to_have_count(3)
    await ada.keyboard.press("d")
    await expect(ada.get_by_role("button", name="Save (Enter)")).to_be_focused()
    await ada.keyboard.press("Enter")
    await expect(rows.filter(has_text="Disagreed")).to_have_count(1)
    await ada.keyboard.press("Enter")
    await expect(ada).to_have_url(re.compile("/reports/"))
    await expect(ada.locator("canvas.image")).to_be_visible()
    await ada.keyboard.press("j")
    await expect(ada.get_by_role("button", name="Previous (k)")).to_be_enabled()


async def test_the_report_and_the_image_are_kept_as_files(ada: Page, study: Path) -> None:
    await upload(ada, study)
    await open_most_urgent(ada)
    for name, start, suffix in (("Report (PDF)", b"%PDF-", ".pdf"), ("Image (DICOM)", bytes(128) + b"DICM", ".dcm")):
        given, content = await download(ada, ada.get_by_role("button", name=name))
        assert given.endswith(suffix)
        assert content.startswith(start)
    given, content = await download(ada, ada.get_by_role("button", name="Report (FHIR)"))
    assert given.endswith(".fhir.json")
    (report,) = resources_of(content)["DiagnosticReport"]
    assert ada.url.endswith(report["id"])


async def test_two_people_of_a_tenant_see_their_own_and_their_administrator_both(
    visitor: MakeVisitor, tenant: str, study: Path, tmp_path: Path
) -> None:
    ada, bo, chief = await visitor(), await visitor(), await visitor()
    await ada.sign_in(tenant, "dr-ada")
    await bo.sign_in(tenant, "dr-bo")
    await chief.sign_in(tenant, "chief", "tenant_admin")
    await expect(chief.page.get_by_text("No case here.")).to_be_visible()
    (tmp_path / "other.dcm").write_bytes(head(7200))
    await upload(ada.page, study)
    await upload(bo.page, tmp_path / "other.dcm")

    async def rows(who: Visitor, number: int) -> None:
        await expect(who.page.locator("table.worklist tbody tr")).to_have_count(number)

    await rows(chief, 4)  # without a reload: the list is live
    for who, number in ((ada, 3), (bo, 1)):
        await who.page.get_by_role("link", name="Worklist", exact=True).click()
        await rows(who, number)
    address = await bo.page.locator("table.worklist a").first.get_attribute("href")
    await ada.page.goto(f"{ada.origin}{address}")
    await expect(ada.page.get_by_role("alert")).to_be_visible()
    await expect(ada.page.get_by_role("link", name="Administration")).to_have_count(0)
    await chief.page.get_by_role("link", name="Administration").click()
    await expect(chief.page.get_by_role("region", name="Audit records")).to_contain_text("reports.listed")


async def test_an_administrator_has_refused_files_looked_into_and_a_study_erased(
    visitor: MakeVisitor, tenant: str, tmp_path: Path
) -> None:
    chief = await (await visitor()).sign_in(tenant, "chief", "tenant_admin")
    (tmp_path / "letter.dcm").write_text("Dear colleague")
    (tmp_path / "whole.dcm").write_bytes(head(7300))
    await upload(chief, tmp_path / "letter.dcm", tmp_path / "whole.dcm")
    await open_most_urgent(chief)
    await chief.get_by_text("Model, image and times").click()
    async with chief.expect_response(re.compile("/v1/reports/")) as waiting:
        await chief.reload()
    study_uid = (await (await waiting.value).json())["study_instance_uid"]

    await chief.get_by_role("link", name="Administration").click()
    refused = chief.get_by_role("region", name="Refused files")
    await expect(refused).to_contain_text("This is no DICOM file.")
    _, content = await download(chief, refused.get_by_role("button", name="Download letter.dcm"))
    assert content == b"Dear colleague"
    await expect(chief.get_by_role("region", name="Retention")).to_contain_text("Nothing goes by itself")
    await refused.get_by_role("button", name="Check letter.dcm again").click()
    await expect(chief.get_by_text("It is refused again")).to_be_visible()

    await chief.get_by_label("Study Instance UID").fill(study_uid)
    await chief.get_by_role("button", name="Erase …").click()
    await chief.get_by_role("button", name="Erase for good").click()
    await expect(chief.get_by_text("being done")).to_be_visible()
    await chief.get_by_role("link", name="Worklist", exact=True).click()
    await expect(chief.get_by_text("No case here.")).to_be_visible()
