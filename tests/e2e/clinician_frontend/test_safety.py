"""Hostile text, the policy of the pages, their weight, and whether everybody can use them."""

import re
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.async_api import Page, expect
from pydicom import dcmread
from pydicom.datadict import dictionary_VR

from support.browser import MakeVisitor, labelled, upload
from support.hospital import head
from support.stack import RunningStack

ATTACK = '"><img src=x onerror="window.hit=1"><script>window.hit=1</script>'
TEXT_VRS = {"LO", "LT", "PN", "SH", "ST", "UT"}
MOST_COMPRESSED_BYTES = 300 * 1024
FILES = ("/source/", "/vendor/", "/styles/", "/icon.svg", "/config.json")
NAMES = ("Worklist", "Uploads", "Analytics", "Administration")
PAGES = ("/", "/batches", "/analytics", "/administration")


def hostile_head(seed: int) -> bytes:
    """A phantom with an attack in every text that it has, and in those that people are named by."""
    dataset = dcmread(BytesIO(head(seed)))
    for keyword in (
        "PatientName",
        "PatientID",
        "StudyDescription",
        "SeriesDescription",
        "InstitutionName",
        "ImageComments",
    ):
        dataset.add_new(keyword, dictionary_VR(keyword), ATTACK[:64])
    for element in dataset:
        if element.VR in TEXT_VRS and element.keyword != "RescaleType":  # without it no model here is meant for it
            element.value = ATTACK[:64]
    dataset.BodyPartExamined = "HEAD"
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


async def go_to(page: Page, name: str) -> None:
    """See a page with all that it fetches."""
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
    await expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    await expect(page.get_by_text("Loading …")).to_have_count(0)


@pytest.mark.filterwarnings("ignore:.*(maximum|Invalid value for VR).*:UserWarning")
async def test_text_of_an_attacker_is_only_ever_text(visitor: MakeVisitor, tenant: str, tmp_path: Path) -> None:
    chief = await (await visitor()).sign_in(tenant, "chief<script>window.hit=1</script>", "tenant_admin")
    path = tmp_path / "<img src=x onerror=window.hit=1>.dcm"
    path.write_bytes(hostile_head(7500))
    (tmp_path / "<b onmouseover=window.hit=1>.txt").write_text(ATTACK)
    await upload(chief, tmp_path, label=ATTACK)
    await expect(chief.get_by_role("heading", level=1)).to_have_text(ATTACK)
    await expect(chief.get_by_role("region", name="Files of the batch")).to_contain_text(
        "<img src=x onerror=window.hit=1>.dcm"
    )
    await chief.get_by_role("link", name="Open the most urgent case").click()
    await expect(chief.locator("canvas.image")).to_be_visible()
    await chief.keyboard.press("u")
    await chief.get_by_label("Note").fill(ATTACK)
    await chief.get_by_role("button", name="Save (Enter)").click()
    await expect(chief.locator("blockquote")).to_have_text(ATTACK)
    for name in NAMES:
        await go_to(chief, name)
    assert await chief.evaluate("window.hit") is None


async def test_nothing_is_asked_of_others_and_nothing_of_a_patient_is_in_an_address(
    visitor: MakeVisitor, tenant: str, study: Path
) -> None:
    someone = await visitor()
    asked: list[str] = []
    someone.page.on("request", lambda request: asked.append(request.url))
    chief = await someone.sign_in(tenant, "chief", "tenant_admin")
    await upload(chief, study)
    await chief.get_by_role("link", name="Worklist", exact=True).click()
    await chief.get_by_label("Patient ID").fill("PAT-7301")
    await chief.get_by_role("button", name="Find").click()
    await expect(chief.get_by_role("button", name="One patient")).to_be_visible()
    for name in NAMES:
        await go_to(chief, name)
    assert {url for url in asked if not url.startswith((someone.origin, "blob:"))} == set()
    assert [url for url in asked if "PAT-7301" in url] == []
    assert "PAT-7301" not in await chief.evaluate(
        "location.href + JSON.stringify([{...localStorage}, {...sessionStorage}])"
    )


async def test_the_page_is_light_and_its_policy_strict(stack: RunningStack, visitor: MakeVisitor, tenant: str) -> None:
    someone = await visitor()
    asked: set[str] = set()
    someone.page.on("request", lambda request: asked.add(request.url.removeprefix(someone.origin)))
    await someone.sign_in(tenant, "dr-ada")
    await expect(someone.page.get_by_text("No case here.")).to_be_visible()
    files = [each for each in asked if each.startswith(FILES)]
    assert len(files) > 20
    compressed = {"Accept-Encoding": "gzip"}
    async with httpx.AsyncClient(base_url=stack.base_url, trust_env=False, headers=compressed) as client:
        answers = [await client.get(each) for each in ("/batches", *files)]
        assert {answer.status_code for answer in answers} == {200}
        assert sum(answer.num_bytes_downloaded for answer in answers) < MOST_COMPRESSED_BYTES
        page = answers[0]
        assert page.headers["content-encoding"] == "gzip"
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/source/nothing.js")).status_code == 404
        assert (await client.get("/api/nothing")).status_code == 404


async def test_planted_markup_and_styles_do_nothing(visitor: MakeVisitor, tenant: str) -> None:
    someone = await visitor()
    ada = await someone.sign_in(tenant, "dr-ada")
    with pytest.raises(Exception, match=r"TrustedHTML|TrustedScript"):
        await ada.evaluate("document.body.insertAdjacentHTML('beforeend', '<b>x</b>')")
    await ada.evaluate("""() => {
        const style = document.createElement("style");
        style.textContent = "body { display: none }";
        document.head.append(style);
    }""")
    assert await ada.evaluate("getComputedStyle(document.body).display") == "block"
    said = " ".join(someone.complaints)
    assert "requires 'TrustedHTML'" in said
    assert "violates the following Content Security Policy directive 'style-src" in said
    someone.complaints.clear()


async def findings(page: Page) -> list[str]:
    results = await Axe().run(page)
    return [
        f"{each['id']}: {node['html'][:120]}"
        for each in results.response["violations"]
        for node in each["nodes"]
        if each["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("theme", ["light", "dark", "dim"])
async def test_axe_has_no_serious_findings(
    visitor: MakeVisitor, tenant: str, study: Path, tmp_path: Path, theme: str
) -> None:
    # Axe is put into the pages by the debugger, which their policy would not let in.
    chief = await (await visitor(bypass_csp=True)).sign_in(tenant, "chief", "tenant_admin")
    (tmp_path / "letter.dcm").write_text("Dear colleague")
    await upload(chief, study, tmp_path / "letter.dcm")
    await labelled(chief, "Theme").select_option(theme)
    assert await findings(chief) == []
    await chief.evaluate("document.querySelector('.brand img').removeAttribute('alt')")
    assert len(await findings(chief)) == 1, "a planted fault is found"
    await chief.get_by_role("link", name="Open the most urgent case").click()
    await expect(chief.locator("canvas.image")).to_be_visible()
    await chief.evaluate("document.querySelector('.brand img').setAttribute('alt', '')")
    await chief.keyboard.press("d")
    assert await findings(chief) == []
    for name in NAMES:
        await go_to(chief, name)
        assert await findings(chief) == [], name


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 720), (3840, 2160)])
async def test_every_page_fits_a_phone_and_a_wall(
    visitor: MakeVisitor, tenant: str, study: Path, width: int, height: int
) -> None:
    chief = await (await visitor()).sign_in(tenant, "chief", "tenant_admin")
    await upload(chief, study)
    await chief.set_viewport_size({"width": width, "height": height})
    await chief.get_by_role("link", name="Open the most urgent case").click()
    await expect(chief.locator("canvas.image")).to_be_visible()
    addresses = [re.sub("^https?://[^/]+", "", chief.url), *PAGES]
    for address in addresses:
        await chief.goto((await visitor()).origin + address)
        await expect(chief.get_by_role("heading", level=1)).to_be_visible()
        beyond = await chief.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond <= 0, address
