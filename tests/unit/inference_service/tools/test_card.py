"""A card says what the evaluation found, asks for nothing else, and takes words as words."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from PIL import Image
from typer.testing import Result

from inference_service.bundles import Bundle, load_bundle, write_bundle
from inference_service.tools.card import write_card
from inference_service.tools.cases import read_cases
from inference_service.tools.describing import interval
from inference_service.tools.evaluation import evaluate_cases
from support.untrained import describe_untrained

Command = Callable[..., Result]

HOSTILE = (
    "</p><script>alert(1)</script> [click](javascript:alert(2)) ![](http://example.org/x.png) "
    "| `code` **bold** $x$ &amp;"
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Text, tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of what the tests share and leave as it is."""
    return tmp_path_factory.mktemp("card")


@pytest.fixture(scope="module")
def cases(folder: Path) -> Path:
    """200 cases with every column."""
    random = np.random.default_rng(0)
    lines = ["logit,label,group,heat_hit,heat_inside"]
    for logit in random.normal(0.0, 2.0, 200).tolist():
        if random.random() < 1.0 / (1.0 + np.exp(-logit)):
            kind = random.choice(["subdural", "epidural"])
            lines.append(f"{logit},1,{kind}," + (f"{random.integers(2)},{random.random()}" if logit >= 0 else ","))
        else:
            lines.append(f"{logit},0,,,")
    path = folder / "test.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def few_cases(folder: Path) -> Path:
    """Logits and labels alone."""
    path = folder / "few.csv"
    path.write_text("logit,label\n" + "-2,0\n1,1\n2,1\n3,0\n" * 5)
    return path


@pytest.fixture(scope="module")
def examples(folder: Path) -> Path:
    """One picture with a hostile caption."""
    directory = folder / "examples"
    directory.mkdir()
    Image.fromarray(np.full((8, 8), 128, np.uint8)).save(directory / "overlay.png")
    (directory / "examples.csv").write_text(f'file,caption\noverlay.png,"{HOSTILE}"\n')
    return directory


@pytest.fixture(scope="module")
def card(small_bundle: Bundle, cases: Path, examples: Path, folder: Path) -> Path:
    """Folder of a card with every section."""
    write_card(small_bundle, cases, folder / "card", examples=examples)
    return folder / "card"


@pytest.fixture
def hostile_bundle(tmp_path: Path) -> Bundle:
    """Every free text in it is hostile."""
    description = describe_untrained(timm_name="test_efficientnet", size_px=64, seed=0)
    description |= {"label": HOSTILE, "intended_use": HOSTILE, "finding": HOSTILE}
    description["provenance"] = {"data": HOSTILE, "method": HOSTILE, "code_version": HOSTILE}
    description["image"]["channels"]["windows"][0]["name"] = HOSTILE
    return write_bundle(tmp_path / "hostile", description, {"weight": np.zeros(2, np.float32)})


def rendered(path: Path) -> Page:
    return Page(MarkdownIt("gfm-like", {"linkify": False}).render(path.read_text()))


def test_both_cards_say_what_the_evaluation_found(small_bundle: Bundle, cases: Path, card: Path) -> None:
    evaluation = evaluate_cases(small_bundle.manifest, read_cases(cases))
    assert evaluation.explanation is not None
    assert evaluation.explanation.hit_rate is not None
    assert evaluation.explanation.heat_inside is not None
    figures = [
        interval(evaluation.auroc),
        interval(evaluation.auprc),
        *(interval(each.sensitivity) for each in evaluation.at_thresholds),
        *(interval(each.specificity) for each in evaluation.at_thresholds),
        *(interval(each.sensitivity) for each in evaluation.subgroups),
        interval(evaluation.explanation.hit_rate.estimate),
        interval(evaluation.explanation.heat_inside.estimate),
        *(f"{value:.4f}" for value in (evaluation.before_calibration.ece, evaluation.after_calibration.nll)),
    ]
    for page in (Page((card / "card.html").read_text()), rendered(card / "card.md")):
        for said in (*figures, small_bundle.digest, "subdural", "200 cases", "test.csv"):
            assert said in page.text


def test_every_section_with_results_repeats_label_and_intended_use(small_bundle: Bundle, card: Path) -> None:
    said = f"{small_bundle.manifest.label}. {small_bundle.manifest.intended_use}"
    titles = {
        "How well it tells cases apart",
        "Thresholds",
        "Calibration",
        "Subgroups",
        "Explanation",
        "Examples",
        "How to read the probability",
    }
    html = (card / "card.html").read_text()
    markdown = (card / "card.md").read_text().replace("**", "")
    sections = re.split(r"<h2[^>]*>", html)[1:]
    parts = re.split(r"^## ", markdown, flags=re.MULTILINE)[1:]
    for found, end in ((sections, "</h2>"), (parts, "\n")):
        by_title = dict(section.split(end, 1) for section in found)
        assert titles <= set(by_title)
        for title in titles:
            assert said in by_title[title].replace("<strong>", "").replace("</strong>", "")


def test_the_page_is_one_file_without_scripts_or_requests(card: Path) -> None:
    html = (card / "card.html").read_text()
    page = Page(html)
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href"}:
                assert (value or "").startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"url\((?!#)|@import", html)
    assert "default-src 'none'" in html


def test_the_page_can_be_read_aloud(card: Path) -> None:
    page = Page((card / "card.html").read_text())
    assert page.named("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in page.named("img"))
    assert len([each for each in page.named("div") if each.get("role") == "img" and each["aria-label"]]) == 3
    assert len(page.named("caption")) == len(page.named("table"))
    assert {each.get("scope") for each in page.named("th")} == {"col", "row"}
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for section in page.named("section"):
        assert section["aria-labelledby"] in ids


def test_words_of_the_bundle_and_captions_are_words(
    radrelay_bundle: Command, hostile_bundle: Bundle, cases: Path, examples: Path, tmp_path: Path
) -> None:
    hostile_cases = tmp_path / "cases.csv"
    hostile_cases.write_text(cases.read_text().replace("subdural", HOSTILE))
    result = radrelay_bundle(
        "card", hostile_bundle.directory, "--cases", hostile_cases, "--examples", examples, "--out", tmp_path / "card"
    )
    assert result.exit_code == 0, result.stderr
    for page in (Page((tmp_path / "card" / "card.html").read_text()), rendered(tmp_path / "card" / "card.md")):
        assert not {"script", "a", "em"} & {tag for tag, _ in page.tags}
        assert page.text.count(HOSTILE) >= 15
        sources = [image["src"] or "" for image in page.named("img")]
        assert not [source for source in sources if "example.org" in source]
    markdown = rendered(tmp_path / "card" / "card.md")
    assert len(markdown.named("code")) == 1  # the commands
    assert [image["src"] for image in markdown.named("img")] == [
        "roc.svg",
        "histograms.svg",
        "reliability.svg",
        "example-1.png",
    ]


def test_what_the_markdown_links_lies_beside_it(card: Path, examples: Path) -> None:
    links = [image["src"] or "" for image in rendered(card / "card.md").named("img")]
    assert {*links, "card.html", "card.md"} == {path.name for path in card.iterdir()}
    assert (card / "example-1.png").read_bytes() == (examples / "overlay.png").read_bytes()


def test_the_command_writes_the_same_bytes_for_the_same_input(
    radrelay_bundle: Command, small_bundle: Bundle, cases: Path, examples: Path, card: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    result = radrelay_bundle("card", small_bundle.directory, "--cases", cases, "--examples", examples, "--out", out)
    assert (result.exit_code, result.stdout) == (0, f"{out / 'card.html'}\n{out / 'card.md'}\n")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in card.iterdir()
    }


def test_sections_without_anything_to_say_are_left_out(small_bundle: Bundle, few_cases: Path, tmp_path: Path) -> None:
    write_card(small_bundle, few_cases, tmp_path)
    for name in ("card.html", "card.md"):
        text = (tmp_path / name).read_text()
        assert "Thresholds" in text
        for title in ("Subgroups", "Explanation", "Examples"):
            assert title not in text


def test_nothing_is_written_where_cases_or_examples_cannot_be_used(
    radrelay_bundle: Command, small_bundle: Bundle, cases: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "one-class.csv").write_text("logit,label\n1,1\n")
    for options, said in (
        (("--cases", tmp_path / "missing.parquet"), "missing.parquet: cannot be read"),
        (("--cases", tmp_path / "one-class.csv"), "needs both classes"),
        (("--cases", cases, "--examples", tmp_path / "empty"), "examples.csv: cannot be read"),
    ):
        result = radrelay_bundle("card", small_bundle.directory, *options, "--out", tmp_path / "card")
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
        assert not (tmp_path / "card").exists()


def test_a_folder_that_cannot_be_written_is_named(
    radrelay_bundle: Command, small_bundle: Bundle, few_cases: Path, tmp_path: Path
) -> None:
    (tmp_path / "card").write_text("a file")
    result = radrelay_bundle("card", small_bundle.directory, "--cases", few_cases, "--out", tmp_path / "card")
    assert result.exit_code == 1
    assert f"{tmp_path / 'card'}: cannot be written: File exists" in result.stderr


def test_a_bundle_with_the_images_own_window_has_a_card(
    radrelay_bundle: Command, few_cases: Path, tmp_path: Path
) -> None:
    description = describe_untrained(timm_name="test_efficientnet", size_px=64, seed=0)
    description["image"] |= {"accepts": {"modalities": ["DX"]}, "channels": {"kind": "voi"}}
    write_bundle(tmp_path / "voi", description, {"weight": np.zeros(2, np.float32)})
    assert load_bundle(tmp_path / "voi").manifest.image.channels.count == 1
    assert radrelay_bundle("card", tmp_path / "voi", "--cases", few_cases, "--out", tmp_path / "card").exit_code == 0
    for name in ("card.html", "card.md"):
        assert "VOI LUT" in (tmp_path / "card" / name).read_text()
