"""The pages of a visual report: everything is on them, for eyes and for screen readers, and nothing runs in them."""

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pypdf
import pytest
from pypdf.generic import DictionaryObject

from radrelay_shared.events import Verdict
from report_service.adapters.pdf import typeset_pdf
from report_service.adapters.typesetting import css_string, typeset_page
from report_service.domain.review import Label
from report_service.domain.visual import ShownReview, VisualReport
from support.events import RECEIVED_AT
from support.visual import a_report, head_dicom, heat_of, pages_of, visual

HOSTILE = '</style><script>alert(1)</script> "quoted" #let x = 1; *bold* & {{ 7 * 7 }} \\u{41}'


@pytest.fixture(scope="module")
def head() -> bytes:
    return head_dicom()


@pytest.fixture(scope="module")
def report(head: bytes) -> VisualReport:
    made = a_report()
    return visual(
        made, head, heat_of(made), ShownReview(Verdict.DISAGREE, Label.FINDING_ABSENT, HOSTILE, "dr-ada", RECEIVED_AT)
    )


@pytest.fixture(scope="module")
def page(report: VisualReport) -> str:
    return typeset_page(report).decode()


@pytest.fixture(scope="module")
def pdf(report: VisualReport) -> bytes:
    return typeset_pdf(report.texts(), report.pictures())


class Elements(HTMLParser):
    """The elements of a page in order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, *tags: str) -> list[dict[str, str]]:
        """The attributes of all elements with one of these names."""
        return [attributes for tag, attributes in self.elements if tag in tags]


def texts_of(report: VisualReport) -> Iterator[str]:
    """Everything that is to be read."""
    yield from (report.title, report.notice, report.statement, report.summary, report.urgency_words, *report.meaning)
    for table in (report.result, report.review, *report.tables):
        yield table.heading
        for row in table.rows:
            yield from (row.label, row.text)
    yield from (figure.caption for figure in report.figures)


def squeezed(text: str) -> str:
    """Text without blanks: lines are broken, and words hyphenated nowhere."""
    return re.sub(r"\s+", "", text)


def test_everything_is_on_the_page_and_in_the_pdf(report: VisualReport, page: str, pdf: bytes) -> None:
    on_page = squeezed(Elements(page).text)
    in_pdf = squeezed("".join(each.extract_text() for each in pypdf.PdfReader(io.BytesIO(pdf)).pages))
    for text in texts_of(report):
        assert squeezed(text) in on_page
        assert squeezed(text) in in_pdf


def test_the_page_is_made_for_screen_readers(report: VisualReport, page: str) -> None:
    found = Elements(page)
    assert found.named("html") == [{"lang": "en"}]
    assert [len(found.named(tag)) for tag in ("title", "main", "header", "footer", "h1")] == [1, 1, 1, 1, 1]
    assert [attributes["alt"] for attributes in found.named("img")] == [figure.alt for figure in report.figures]
    for table in ("table", "section"):
        labels = {attributes["id"] for attributes in found.named("h2")}
        assert all(attributes["aria-labelledby"] in labels for attributes in found.named(table))
    rows = sum(len(table.rows) for table in (report.result, report.review, *report.tables))
    assert len([each for each in found.named("th") if each["scope"] == "row"]) == rows
    identifiers = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)


def test_the_page_needs_nothing_and_its_policy_lets_nothing_run(page: str) -> None:
    found = Elements(page)
    assert not found.named("script", "link", "iframe", "form", "object")
    assert all(attributes["src"].startswith("data:image/png;base64,") for attributes in found.named("img"))
    (policy,) = [each["content"] for each in found.named("meta") if "http-equiv" in each]
    style = page[page.index("<style>") + len("<style>") : page.index("</style>")]
    assert "url(" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:3] == ["default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'"]


def test_what_somebody_wrote_stays_text(head: bytes) -> None:
    made = a_report(finding=HOSTILE, model=a_report().model.model_copy(update={"intended_use": HOSTILE}))
    shown = visual(made, head, heat_of(made))
    page = typeset_page(shown).decode()
    assert page.count("</style>") == 1
    assert "<script" not in page
    assert HOSTILE in Elements(page).text
    pdf = pypdf.PdfReader(io.BytesIO(typeset_pdf(shown.texts(), shown.pictures())))
    assert squeezed(HOSTILE) in squeezed(pdf.pages[0].extract_text())


def test_a_css_string_holds_any_text() -> None:
    assert css_string('a "b"') == '"a \\22 b\\22 "'


def structure(node: Any) -> Iterator[tuple[str, str]]:
    """The elements of a tagged PDF and their texts, in reading order (ISO 32000-1, section 14.7)."""
    found = node.get_object()
    for each in found if isinstance(found, list) else [found]:
        element = each.get_object()
        if isinstance(element, DictionaryObject):
            if "/S" in element:
                yield str(element["/S"]), str(element.get("/Alt", ""))
            if "/K" in element:
                yield from structure(element["/K"])


def test_the_pdf_is_tagged_and_says_that_it_is_pdf_ua(report: VisualReport, pdf: bytes) -> None:
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    root: Any = reader.root_object
    assert (root["/MarkInfo"]["/Marked"], root["/Lang"]) == (True, "en")
    assert bool(root["/ViewerPreferences"]["/DisplayDocTitle"])
    assert reader.metadata is not None
    assert reader.metadata.title == report.title
    assert b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_object().get_data()
    elements = list(structure(root["/StructTreeRoot"]))
    kinds = [kind for kind, _ in elements]
    assert [alt for kind, alt in elements if kind == "/Figure"] == [figure.alt for figure in report.figures]
    assert kinds.count("/Table") == 2 + len(report.tables)
    assert kinds.count("/TH") == 2 * kinds.count("/Table")
    assert kinds[:2] == ["/Document", "/Title"]
    assert kinds.count("/H1") == kinds.count("/Table") + 2


def test_the_notice_is_on_every_page_of_the_pdf(report: VisualReport, head: bytes) -> None:
    long = ShownReview(Verdict.UNSURE, Label.NOT_ASSESSABLE, "A long note. " * 600, "dr-ada", RECEIVED_AT)
    made = a_report()
    shown = visual(made, head, heat_of(made), long)
    reader = pypdf.PdfReader(io.BytesIO(typeset_pdf(shown.texts(), shown.pictures())))
    assert len(reader.pages) > 2
    for number, each in enumerate(reader.pages, start=1):
        assert report.notice in each.extract_text()
        assert f"Page {number} of {len(reader.pages)}" in each.extract_text()


def test_the_same_report_gives_the_same_pdf(report: VisualReport, pdf: bytes) -> None:
    assert typeset_pdf(report.texts(), report.pictures()) == pdf


def test_a_character_that_no_font_has_is_written_by_its_code_point(head: bytes) -> None:
    made = a_report()
    review = ShownReview(Verdict.UNSURE, Label.NOT_ASSESSABLE, "ok \ue000 \ufffe", "dr-ada", RECEIVED_AT)
    shown = visual(made, head, heat_of(made), review)
    reader = pypdf.PdfReader(io.BytesIO(typeset_pdf(shown.texts(), shown.pictures())))
    assert "ok [U+E000] [U+FFFE]" in "".join(each.extract_text() for each in reader.pages)
    assert "ok \ue000 \ufffe" in Elements(typeset_page(shown).decode()).text


def test_a_picture_that_cannot_be_shown_is_said_in_its_place(report: VisualReport) -> None:
    gone = replace(report.figures[0], png=None, alt="The object store no longer has the image of this image.")
    shown = replace(report, figures=(gone, report.figures[1]))
    found = Elements(typeset_page(shown).decode())
    assert len(found.named("img")) == 1
    assert gone.alt in found.text
    text = pypdf.PdfReader(io.BytesIO(typeset_pdf(shown.texts(), shown.pictures()))).pages[0].extract_text()
    assert squeezed(gone.alt) in squeezed(text)


def test_the_pdf_keeps_its_margins(pdf: bytes) -> None:
    for each in pages_of(pdf):
        ink_yx = np.asarray(each.convert("L")) < 250
        rows, columns = np.nonzero(ink_yx)
        assert columns.min() > 0.06 * each.width
        assert columns.max() < 0.94 * each.width
        assert rows.min() > 0.03 * each.height
        assert rows.max() < 0.98 * each.height


def test_everything_shown_changes_the_digest(report: VisualReport) -> None:
    other = replace(report.figures[0], png=b"another")
    changed = [replace(report, notice="other"), replace(report, figures=(other, report.figures[1]))]
    assert len({each.digest() for each in (report, *changed)}) == 3
