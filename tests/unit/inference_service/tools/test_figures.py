"""Figures are whole SVG files, the same for the same input, and leave nothing behind."""

import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from inference_service.bundles import Bundle, BundleManifest
from inference_service.tools.cases import Cases
from inference_service.tools.curves import trace_curves
from inference_service.tools.evaluation import evaluate_cases
from inference_service.tools.figures import Drawing, draw_figures

HOSTILE = r"$\frac{ <script>alert(1)</script> & \"quoted\" 出血"


def draw(manifest: BundleManifest, cases: Cases) -> dict[str, Drawing]:
    return draw_figures(manifest, evaluate_cases(manifest, cases, resamples=5), trace_curves(manifest, cases))


@pytest.fixture
def cases() -> Cases:
    random = np.random.default_rng(0)
    logits_n = random.normal(0.0, 2.0, 200)
    return Cases(logits_n, random.random(200) < 1.0 / (1.0 + np.exp(-logits_n)))


def texts(svg: str) -> str:
    return " ".join(" ".join(ET.fromstring(svg).itertext()).split())


def test_every_figure_repeats_what_the_bundle_is_and_is_for(small_bundle: Bundle, cases: Cases) -> None:
    figures = draw(small_bundle.manifest, cases)
    assert set(figures) == {"reliability", "roc", "histograms"}
    for figure in figures.values():
        assert "untrained. Shows how Radrelay works." in texts(figure.svg)
        assert "Not for clinical use." in texts(figure.svg)


def test_the_same_input_gives_the_same_bytes(small_bundle: Bundle, cases: Cases) -> None:
    first, again = draw(small_bundle.manifest, cases), draw(small_bundle.manifest, cases)
    assert first == again
    for figure in first.values():
        assert "<metadata" not in figure.svg


def test_settings_of_the_machine_change_nothing(small_bundle: Bundle, cases: Cases) -> None:
    plain = draw(small_bundle.manifest, cases)
    with mpl.rc_context({"lines.linewidth": 9.0, "axes.grid": True, "font.size": 20.0}):
        assert draw(small_bundle.manifest, cases) == plain


def test_drawing_leaves_the_settings_of_matplotlib_alone(small_bundle: Bundle, cases: Cases) -> None:
    before = dict(mpl.rcParams)
    draw(small_bundle.manifest, cases)
    assert dict(mpl.rcParams) == before


def test_words_of_the_bundle_are_text_and_nothing_else(small_bundle: Bundle, cases: Cases) -> None:
    manifest = small_bundle.manifest.model_copy(update={"label": HOSTILE})
    for figure in draw(manifest, cases).values():
        assert HOSTILE in texts(figure.svg)
        assert "<script" not in figure.svg


def test_an_inlined_figure_is_an_element_with_ids_of_its_own(small_bundle: Bundle, cases: Cases) -> None:
    seen: set[str] = set()
    for figure in draw(small_bundle.manifest, cases).values():
        root = ET.fromstring(figure.inline)
        ids = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
        links = set(re.findall(r'href="#([^"]+)|url\(#([^)]+)', figure.inline))
        assert links
        assert {href or url for href, url in links} <= ids
        assert not seen & ids
        seen |= ids
        assert "currentColor" in figure.inline


@pytest.mark.parametrize("logits", [(-1.0, 1.0), (0.0, 0.0)])
def test_two_cases_can_be_drawn(small_bundle: Bundle, logits: tuple[float, float]) -> None:
    for figure in draw(small_bundle.manifest, Cases(np.array(logits), np.array([False, True]))).values():
        assert ET.fromstring(figure.svg).tag.endswith("svg")


def test_thresholds_that_coincide_share_a_line(small_bundle: Bundle, cases: Cases) -> None:
    assert "positive, urgent 0.5" in texts(draw(small_bundle.manifest, cases)["histograms"].svg)
