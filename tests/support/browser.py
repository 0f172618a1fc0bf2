"""A real browser, and people who are signed in with it."""

import os
import re
import shutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Playwright, expect

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS: Final = 60_000
"""How long a condition is awaited. A page is never judged by how fast it is."""
# A request that is refused on purpose is reported by the browser itself.
_OF_THE_NETWORK: Final = "Failed to load resource"


def chromium_program() -> str:
    """The browser's program. Skips the test where there is none, but fails it where CI runs it."""
    found = next((path for path in map(shutil.which, _PROGRAMS) if path), None)
    if found is None:
        reason = "Chromium is not installed: `make browser` installs it on Debian, as root"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


async def launch(playwright: Playwright) -> Browser:
    """The browser, without a window."""
    # Its own sandbox needs a user namespace, which containers and root do not have.
    return await playwright.chromium.launch(executable_path=chromium_program(), args=["--no-sandbox"])


@dataclass
class Visitor:
    """Someone with a browser of their own; what its pages complain about is kept."""

    context: BrowserContext
    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and _OF_THE_NETWORK not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    async def sign_in(self, tenant: str, user: str, role: str = "clinician", *, path: str = "/") -> Page:
        """Sign in by the development issuer's page, and see the page that was asked for."""
        await self.page.goto(self.origin + path)
        await self.page.get_by_role("button", name="Sign in", exact=True).click()
        await self.at_the_issuer(tenant, user, role)
        return self.page

    async def at_the_issuer(self, tenant: str, user: str, role: str = "clinician") -> None:
        """Fill in the issuer's form, and come back."""
        form = self.page.locator("form", has=self.page.get_by_label("User"))
        await form.get_by_label("Tenant").fill(tenant)
        await form.get_by_label("User").fill(user)
        await form.get_by_label("Role").select_option(role)
        await form.get_by_role("button").click()
        await expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()
        await expect(self.page).not_to_have_url(re.compile("signed-in"))


MakeVisitor = Callable[..., Awaitable[Visitor]]


def labelled(page: Page, words: str) -> Locator:
    """The field whose label begins so; the options of a field in its label are text of the label too."""
    return page.locator("label", has_text=re.compile(rf"^\s*{re.escape(words)}")).locator("select, input")


async def upload(page: Page, *paths: Path, label: str = "", priority: str = "routine") -> None:
    """Send files as a batch, and see it done. Of a folder, what is in it is sent."""
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Uploads").click()
    await page.get_by_label("Label").fill(label)
    await labelled(page, "Priority").select_option(priority)
    await page.get_by_label("Files", exact=True).set_input_files(_files(paths))
    await expect(page.locator(".live.done")).to_be_visible()


async def download(page: Page, button: Locator) -> tuple[str, bytes]:
    """The name and content of the file that a button gives."""
    async with page.expect_download() as waiting:
        await button.click()
    given = await waiting.value
    return given.suggested_filename, _content(await given.path())


def _files(paths: Iterable[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]


def _content(path: Path) -> bytes:
    return path.read_bytes()
