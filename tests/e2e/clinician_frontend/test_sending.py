"""Ways to send images from the browser, and to take them back."""

import re
from base64 import b64encode
from pathlib import Path

from playwright.async_api import Page, Route, expect

from support.browser import MakeVisitor, upload
from support.hospital import head, write_heads

DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name));
    const drop = (type) => document.querySelector(".drop").dispatchEvent(
        new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    drop("dragover");
    drop("drop");
}"""


async def test_a_folder_is_sent_with_the_paths_in_it(ada: Page, tmp_path: Path) -> None:
    write_heads(tmp_path / "ward" / "series-1", 2, first_seed=7600)
    (tmp_path / "ward" / "Thumbs.db").write_text("litter of another system")
    await ada.get_by_role("link", name="Uploads").click()
    await ada.get_by_label("A folder").set_input_files(tmp_path / "ward")
    await expect(ada.locator(".live.done")).to_be_visible()
    rows = ada.get_by_role("region", name="Files of the batch").locator("tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("ward/series-1/head-000.dcm")


async def test_a_file_is_dropped(ada: Page) -> None:
    await ada.get_by_role("link", name="Uploads").click()
    await expect(ada.get_by_text("Drop DICOM files")).to_be_visible()
    await ada.evaluate(DROP, ["dropped.dcm", b64encode(head(7610)).decode()])
    await expect(ada.locator(".live.done")).to_be_visible()
    await expect(ada.get_by_role("region", name="Files of the batch")).to_contain_text("dropped.dcm")


async def test_two_batches_are_sent_at_once_while_other_pages_are_looked_at(ada: Page, tmp_path: Path) -> None:
    paths = write_heads(tmp_path, 2, first_seed=7620)
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    await ada.route(re.compile("/v1/batches/[^/]+/files$"), hold)
    for number, path in enumerate(paths):
        await ada.get_by_role("link", name="Uploads", exact=True).first.click()
        await ada.get_by_label("Label").fill(f"Batch {number}")
        await ada.get_by_label("Files", exact=True).set_input_files(path)
        await expect(ada.get_by_role("heading", name=f"Batch {number}")).to_be_visible()
    await ada.get_by_role("link", name="Analytics").click()
    bar = ada.get_by_role("complementary", name="What this page sends")
    await expect(bar.get_by_role("button", name="Cancel")).to_have_count(2)
    for route in held:
        await route.continue_()
    await expect(bar).to_have_count(0)
    await expect(ada.locator(".tile", has_text="Cases")).to_contain_text("2")


async def test_what_is_cancelled_is_sent_no_further(ada: Page, tmp_path: Path) -> None:
    (path,) = write_heads(tmp_path, 1, first_seed=7630)
    await ada.get_by_role("link", name="Uploads").click()
    await ada.route(re.compile("/v1/batches/[^/]+/files$"), lambda route: route.abort())
    await ada.get_by_label("Files", exact=True).set_input_files(path)
    await expect(ada.get_by_text("Waiting for the connection")).to_be_visible()
    await ada.get_by_role("button", name="Cancel the rest").click()
    await expect(ada.locator(".live.done")).to_be_visible()
    await expect(ada.locator(".sending.cancelled")).to_contain_text("Cancelled")
    await ada.get_by_role("button", name="Dismiss the upload").click()
    await expect(ada.locator(".sending")).to_have_count(0)


async def test_a_new_stat_case_is_told_to_who_asked_for_it_and_looks_elsewhere(
    visitor: MakeVisitor, tenant: str, study: Path
) -> None:
    ada, chief, other = await visitor(), await visitor(), await visitor()
    for who in (chief, other):
        await who.sign_in(tenant, "chief", "tenant_admin")
        await expect(who.page.get_by_text("No case here.")).to_be_visible()
        await who.page.evaluate("document.hasFocus = () => false")
    await chief.page.get_by_label("Sound for new stat cases").check()
    await upload(await ada.sign_in(tenant, "dr-ada"), study)
    await expect(chief.page).to_have_title(re.compile(r"^\(\d+\) Radrelay$"))
    await expect(other.page.locator("table.worklist tbody tr")).to_have_count(3)
    await expect(other.page).to_have_title("Radrelay")
