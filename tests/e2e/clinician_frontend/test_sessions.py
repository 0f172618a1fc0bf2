"""Signing in and out, sessions that end, and services that are away."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Page, Route, expect

from support.browser import PATIENCE_MS, MakeVisitor, upload
from support.hospital import head

NONE_IS_LEFT = "Sign in again to go on where you were."


async def test_a_reload_keeps_who_is_signed_in_and_where_and_stores_no_token(ada: Page) -> None:
    await ada.get_by_role("link", name="Analytics").click()
    await expect(ada.get_by_role("heading", name="Analytics")).to_be_visible()
    await ada.reload()
    await expect(ada.get_by_role("heading", name="Analytics")).to_be_visible()
    assert ada.url.endswith("/analytics")
    stored = await ada.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert stored == '[{},{},""]'


async def test_who_signs_out_is_not_signed_in_by_a_reload(visitor: MakeVisitor, tenant: str) -> None:
    ada = await (await visitor()).sign_in(tenant, "dr-ada")
    await ada.get_by_role("button", name="Sign out").click()
    await expect(ada.get_by_text("You are signed out.")).to_be_visible()
    await ada.reload()
    await expect(ada.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


async def test_an_expired_token_is_renewed_without_a_word(ada: Page) -> None:
    refused = 0

    async def refuse_once(route: Route) -> None:
        nonlocal refused
        refused += 1
        if refused == 1:
            await route.fulfill(status=401, json={"code": "invalid_token", "detail": "The token has expired."})
        else:
            await route.fallback()

    await ada.route("**/api/ingest/v1/batches?*", refuse_once)
    async with ada.expect_response(re.compile("/auth/token")) as renewal:
        await ada.get_by_role("link", name="Uploads").click()
    assert (await renewal.value).status == 200
    await expect(ada.get_by_text("Nothing was sent yet.")).to_be_visible()
    assert refused == 2


async def test_a_session_that_cannot_be_renewed_ends_with_a_word_and_goes_on_where_it_was(
    visitor: MakeVisitor, tenant: str
) -> None:
    someone = await visitor()
    ada = await someone.sign_in(tenant, "dr-ada", path="/analytics")
    await ada.route("**/auth/token", lambda route: route.fulfill(status=400, json={"error": "invalid_grant"}))
    await ada.route("**/api/ingest/**", lambda route: route.fulfill(status=401, json={"code": "invalid_token"}))
    await ada.get_by_role("link", name="Uploads").click()
    await expect(ada.get_by_text(NONE_IS_LEFT)).to_be_visible()
    await ada.unroute_all()
    await ada.get_by_role("button", name="Sign in", exact=True).click()
    await expect(ada.get_by_role("heading", name="Uploads")).to_be_visible()


def with_idle_minutes(minutes: float) -> Callable[[Route], Awaitable[None]]:
    """The installation's own settings with another time until somebody who does nothing is signed out."""

    async def answer(route: Route) -> None:
        settings = await (await route.fetch()).json()
        await route.fulfill(json={**settings, "idle_sign_out_minutes": minutes})

    return answer


async def test_who_does_nothing_is_warned_and_then_signed_out(visitor: MakeVisitor, tenant: str) -> None:
    someone = await visitor()
    # Shorter than a token lives: the issuer's clock does not run ahead with the browser's.
    await someone.page.route("**/config.json", with_idle_minutes(1.5))
    await someone.page.clock.install()
    ada = await someone.sign_in(tenant, "dr-ada")
    await ada.clock.fast_forward("00:40")
    await ada.clock.run_for(2000)
    await expect(ada.get_by_role("heading", name="Are you still there?")).to_be_visible()
    await ada.get_by_role("button", name="Stay signed in").click()
    await expect(ada.get_by_role("heading", name="Are you still there?")).to_be_hidden()
    await ada.clock.fast_forward("01:35")
    await ada.clock.run_for(2000)
    await expect(ada.get_by_text("nothing was done for a while")).to_be_visible()


async def test_a_lost_connection_is_said_and_the_upload_goes_on_when_it_is_back(ada: Page, tmp_path: Path) -> None:
    (tmp_path / "head.dcm").write_bytes(head(7400))
    await ada.get_by_role("link", name="Uploads").click()
    await ada.route(re.compile("/v1/batches/[^/]+/files$"), lambda route: route.abort())
    await ada.get_by_label("Files", exact=True).set_input_files(tmp_path / "head.dcm")
    await expect(ada.get_by_text("Waiting for the connection")).to_be_visible()
    await ada.unroute_all()
    await ada.evaluate("dispatchEvent(new Event('online'))")
    await expect(ada.locator(".live.done")).to_be_visible()
    await expect(ada.locator(".tile", has_text="Reported")).to_contain_text("1")


async def test_a_large_archive_goes_on_where_it_broke_off(ada: Page, tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    path.write_bytes(head(7401) + bytes(33 * 1024 * 1024))
    await ada.get_by_role("link", name="Uploads").click()
    pieces: list[int] = []

    async def lose_the_second(route: Route) -> None:
        pieces.append(int(route.request.headers["upload-offset"]))
        await (route.abort() if len(pieces) == 2 else route.fallback())

    await ada.route(
        "**/v1/uploads/*", lambda route: lose_the_second(route) if route.request.method == "PATCH" else route.fallback()
    )
    await ada.get_by_label("Files", exact=True).set_input_files(path)
    await expect(ada.get_by_text("Being taken in")).to_be_visible()
    # Whoever takes it in looks now and then, and writes it to the disk first.
    await expect(ada.locator(".live.done")).to_be_visible(timeout=2 * PATIENCE_MS)
    assert pieces == sorted(pieces)
    assert pieces.count(0) == 1
    await expect(ada.get_by_role("region", name="Files of the batch")).to_contain_text("large.dcm")


async def test_a_service_that_fails_is_said_and_asked_again(ada: Page) -> None:
    problem = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "code": "database_unavailable",
        "detail": "The database is away.",
    }
    await ada.route("**/api/ingest/**", lambda route: route.fulfill(status=503, json=problem))
    await ada.get_by_role("link", name="Uploads").click()
    await expect(ada.get_by_role("alert")).to_contain_text("The database is away.")
    await ada.unroute_all()
    await ada.get_by_role("button", name="Try again").click()
    await expect(ada.get_by_text("Nothing was sent yet.")).to_be_visible()


async def test_a_review_that_comes_too_late_is_not_lost_and_not_forced(
    visitor: MakeVisitor, tenant: str, study: Path
) -> None:
    ada = await (await visitor()).sign_in(tenant, "dr-ada")
    await upload(ada, study)
    await ada.get_by_role("link", name="Open the most urgent case").click()
    await expect(ada.get_by_role("heading", name="Your review")).to_contain_text("Not reviewed")
    chief = await (await visitor()).sign_in(
        tenant, "chief", "tenant_admin", path=ada.url.removeprefix((await visitor()).origin)
    )
    await expect(chief.get_by_role("heading", name="Your review")).to_be_visible()
    await chief.keyboard.press("u")
    await chief.get_by_role("button", name="Save (Enter)").click()
    await expect(chief.get_by_role("heading", name="Your review")).to_contain_text("Unsure")
    await ada.keyboard.press("a")
    await ada.get_by_label("Note").fill("Seen at the console.")
    await ada.get_by_role("button", name="Save (Enter)").click()
    await expect(ada.get_by_role("alert")).to_contain_text("Somebody else reviewed this case meanwhile.")
    await ada.get_by_role("button", name="See what they said").click()
    await expect(ada.locator(".history")).to_contain_text("by chief")
    assert await ada.get_by_label("Note").input_value() == "Seen at the console."
