"""A browser, and visitors whose pages must not complain."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from support.browser import PATIENCE_MS, MakeVisitor, Visitor, launch
from support.hospital import head, write_zip
from support.stack import RunningStack
from support.tenants import new_tenant


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


@pytest.fixture
async def visitor(browser: Browser, stack: RunningStack) -> AsyncIterator[MakeVisitor]:
    """Makes people with browsers of their own. None of their pages may have complained when the test is over."""
    made: list[Visitor] = []

    async def make(**options: Any) -> Visitor:
        context = await browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        context.set_default_timeout(PATIENCE_MS)
        made.append(Visitor(context, await context.new_page(), stack.base_url))
        return made[-1]

    yield make
    for each in made:
        await each.context.close()
    assert [complaint for each in made for complaint in each.complaints] == []


@pytest.fixture
def tenant() -> str:
    return new_tenant()


@pytest.fixture
async def ada(visitor: MakeVisitor, tenant: str) -> Page:
    """A clinician who is signed in and looks at the worklist."""
    return await (await visitor()).sign_in(tenant, "dr-ada")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A ZIP archive with three heads."""
    return write_zip(tmp_path / "study.zip", [(f"head/{n}.dcm", head(7000 + n)) for n in range(3)])
