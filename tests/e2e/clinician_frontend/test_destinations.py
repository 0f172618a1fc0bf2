"""An administrator has results sent to a system of the hospital, and sees that they arrive."""

import json

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.async_api import Locator, Page, expect
from standardwebhooks.webhooks import Webhook

from support.browser import MakeVisitor
from support.receivers import Answer, receiving_events


@pytest.fixture
async def chief(visitor: MakeVisitor, tenant: str) -> Page:
    """An administrator who looks at what administrators do."""
    someone = await visitor()
    await someone.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return await someone.sign_in(tenant, "chief", "tenant_admin", path="/administration")


async def leave_question(page: Page) -> None:
    """Answer nothing."""
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)


async def leave_out_erasures(destinations: Locator, url: str) -> None:
    """Change what the destination is told of."""
    await destinations.get_by_role("button", name="Change Hospital RIS").click()
    form = destinations.get_by_role("form", name="Change Hospital RIS")
    await expect(form.get_by_label("Address")).to_have_value(url)
    await form.get_by_label("Erasures").uncheck()
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)


async def test_a_destination_is_added_tested_paused_and_removed(chief: Page) -> None:
    destinations = chief.get_by_role("region", name="Destinations", exact=True)
    await expect(destinations).to_contain_text("Allowed hosts: http://127.0.0.1:*")
    with receiving_events() as receiver:
        await destinations.get_by_label("Name").fill("Hospital RIS")
        await destinations.get_by_label("Address").fill(receiver.url)
        await destinations.get_by_label("Reviews").uncheck()
        await destinations.get_by_role("button", name="Add").click()
        secret = await destinations.get_by_role("status").locator("code").text_content()
        assert secret is not None
        await destinations.get_by_role("button", name="Copy").click()
        await expect(destinations.get_by_role("button", name="Copied")).to_be_visible()
        assert await chief.evaluate("navigator.clipboard.readText()") == secret
        await destinations.get_by_role("button", name="I have kept it").click()
        await expect(destinations.get_by_text(secret)).to_have_count(0)
        row = destinations.get_by_role("row", name="Hospital RIS")
        await expect(row).to_contain_text("New reports, Erasures")
        await leave_out_erasures(destinations, receiver.url)
        await expect(row).not_to_contain_text("Erasures")

        await row.get_by_role("button", name="Send a test to Hospital RIS").click()
        deliveries = destinations.get_by_role("region", name="Deliveries to Hospital RIS")
        await expect(deliveries.get_by_role("row", name="Test")).to_contain_text("Delivered")
        (came,) = receiver.received
        Webhook(secret).verify(came.body, came.headers)
        assert json.loads(came.body)["type"] == "org.radrelay.destination.tested.v1"

        receiver.answer = lambda _: Answer(500)
        await row.get_by_role("button", name="Send a test to Hospital RIS").click()
        await expect(row).to_contain_text("Failing")
        await expect(deliveries.get_by_role("row", name="Test")).to_have_count(2)
        await expect(deliveries.get_by_role("row", name="Waiting")).to_contain_text("500")
        assert [each["id"] for each in (await Axe().run(chief)).response["violations"]] == []

    await row.get_by_role("button", name="New secret for Hospital RIS").click()
    await leave_question(chief)
    await expect(destinations.get_by_role("status")).to_have_count(0)
    await row.get_by_role("button", name="New secret for Hospital RIS").click()
    await chief.get_by_role("button", name="Make a new secret").click()
    await expect(destinations.get_by_role("status").locator("code")).not_to_have_text(secret)
    await destinations.get_by_role("button", name="I have kept it").click()
    await row.get_by_role("button", name="Pause Hospital RIS").click()
    await expect(row).to_contain_text("Paused")
    await expect(row.get_by_role("button", name="Send a test to Hospital RIS")).to_be_disabled()

    await row.get_by_role("button", name="Remove Hospital RIS").click()
    await leave_question(chief)
    await expect(row).to_be_visible()
    await row.get_by_role("button", name="Remove Hospital RIS").click()
    await chief.get_by_role("button", name="Remove it").click()
    await expect(destinations).to_contain_text("There is none yet.")


async def test_an_address_that_is_not_allowed_is_refused_in_words(chief: Page) -> None:
    destinations = chief.get_by_role("region", name="Destinations", exact=True)
    await destinations.get_by_label("Name").fill("Elsewhere")
    await destinations.get_by_label("Address").fill("https://elsewhere.example.org/")
    await destinations.get_by_role("button", name="Add").click()
    await expect(destinations.get_by_role("alert")).to_contain_text("has not allowed this host")
