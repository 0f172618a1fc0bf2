"""What the frontend computes itself is what the services compute: asked of its modules, in the browser."""

import io
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Error, Page, expect

from radrelay_imaging import WINDOWS_HU, NamedWindow
from radrelay_imaging.intensity import apply_window
from support.browser import MakeVisitor

BINS = 20


@pytest.fixture
async def page(visitor: MakeVisitor) -> Page:
    """A page of the frontend that nobody is signed in to."""
    someone = await visitor()
    await someone.page.goto(someone.origin)
    await expect(someone.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    return someone.page


async def call(page: Page, module: str, function: str, *arguments: Any) -> Any:
    """What an exported function of a module returns."""
    return await page.evaluate(
        "([module, name, args]) => import(`/source/${module}`).then((it) => it[name](...args))",
        [module, function, list(arguments)],
    )


@pytest.mark.parametrize("name", list(NamedWindow))
async def test_a_window_gives_the_grey_levels_of_the_pictures(page: Page, name: NamedWindow) -> None:
    window = WINDOWS_HU[name]
    values_yx = np.arange(-1100, 2100, dtype=np.float32).reshape(1, -1)
    shown = await page.evaluate(
        """([values, window]) => import("/source/report/windows.js").then(({ applyWindow }) => {
            const pixels = new Uint8ClampedArray(4 * values.length);
            applyWindow(values, window, pixels);
            return [...pixels].filter((_, place) => place % 4 === 0);
        })""",
        [
            values_yx[0].tolist(),
            {"center": window.center, "width": window.width, "inverted": False, "isExact": True},
        ],
    )
    expected = apply_window(values_yx, window)[0].astype(int)
    assert np.abs(np.array(shown) - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
async def test_arrays_are_read_as_numpy_wrote_them(page: Page, dtype: type[np.generic]) -> None:
    array_yx = (np.arange(12) * 37 - 200).reshape(3, 4).astype(dtype)
    file = io.BytesIO()
    np.save(file, array_yx)
    script = """(content) => import("/source/report/npy.js").then(({ readNpy }) => {
        const { rows, columns, values } = readNpy(Uint8Array.from(atob(content), (each) => each.charCodeAt(0)).buffer);
        return [rows, columns, [...values]];
    })"""
    assert await page.evaluate(script, b64encode(file.getvalue()).decode()) == [3, 4, array_yx.ravel().tolist()]
    with pytest.raises(Error, match="not in NumPy's format"):
        await page.evaluate(script, b64encode(b"<html>no array</html>").decode())


@pytest.mark.parametrize(
    ("local", "zone", "moment"),
    [
        ("2026-03-29T00:00:00", "Europe/Vienna", "2026-03-28T23:00:00.000Z"),
        ("2026-03-30T00:00:00", "Europe/Vienna", "2026-03-29T22:00:00.000Z"),  # clocks went forward the day before
        ("2026-11-02T00:00:00", "America/New_York", "2026-11-02T05:00:00.000Z"),  # and back here
        ("2026-06-01T00:00:00", "Asia/Kolkata", "2026-05-31T18:30:00.000Z"),
    ],
)
async def test_a_day_begins_when_it_does_in_its_time_zone(page: Page, local: str, zone: str, moment: str) -> None:
    said = await page.evaluate(
        "([local, zone]) => import('/source/analytics/period.js').then((it) => it.momentOf(local, zone).toISOString())",
        [local, zone],
    )
    assert said == moment


async def test_the_period_before_is_as_long(page: Page) -> None:
    before = await call(page, "analytics/period.js", "periodBefore", {"first": "2026-03-01", "last": "2026-03-31"})
    assert before == {"first": "2026-01-29", "last": "2026-02-28"}


async def test_drift_is_the_population_stability_index_and_silent_on_few_cases(page: Page) -> None:
    now, before = np.arange(1, BINS + 1) * 10, np.arange(BINS, 0, -1) * 7

    def histogram(cases: Any) -> list[dict[str, int]]:
        return [{"cases": int(each)} for each in cases]

    p, q = now / now.sum(), before / before.sum()
    index = await call(page, "analytics/drift.js", "stabilityIndex", histogram(now), histogram(before))
    assert index == pytest.approx(float(((p - q) * np.log(p / q)).sum()))
    assert await call(page, "analytics/drift.js", "stabilityIndex", histogram(now), histogram(now)) == 0
    assert await call(page, "analytics/drift.js", "stabilityIndex", histogram(now), histogram([4] * BINS)) is None


COUNTED = "Days are counted from when an image was received. Its reports, reviews and pictures go with it, for good."


@pytest.mark.parametrize(
    ("days", "by_modality", "words"),
    [
        (None, {}, ["Nothing goes by itself: reports and their images are kept until somebody erases them."]),
        (1, {}, ["Reports and their images go by themselves after 1 day.", COUNTED]),
        (3650, {}, ["Reports and their images go by themselves after 3,650 days (about 10 years).", COUNTED]),
        (
            90,
            {"MG": 7300, "CT": 700},
            [
                "Reports and their images go by themselves after 90 days.",
                "Modalities with a time of their own: CT after 700 days, MG after 7,300 days (about 20 years).",
                COUNTED,
            ],
        ),
        (
            None,
            {"MG": 7300},
            [
                "Only reports and images of these modalities go by themselves: MG after 7,300 days (about 20 years).",
                "All others are kept until somebody erases them.",
                COUNTED,
            ],
        ),
    ],
)
async def test_a_retention_policy_is_told_in_words(
    page: Page, days: int | None, by_modality: dict[str, int], words: list[str]
) -> None:
    policy = {"days": days, "days_by_modality": by_modality}
    assert await call(page, "administration/retention.js", "retentionWords", policy) == words
