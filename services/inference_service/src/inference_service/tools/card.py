"""The model card (Mitchell et al. 2019): what a bundle is, what it is for, and how well it does that."""

import hashlib
import re
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from inference_service.bundles import Bundle
from inference_service.tools.cases import read_cases
from inference_service.tools.curves import trace_curves
from inference_service.tools.describing import describe_calibration, interval
from inference_service.tools.errors import ToolError
from inference_service.tools.evaluation import BOOTSTRAP_SEED, RESAMPLES, evaluate_cases
from inference_service.tools.examples import read_examples
from inference_service.tools.figures import draw_figures

HTML_FILE = "card.html"
MARKDOWN_FILE = "card.md"
_MARKDOWN_MARKS = re.compile(r"([\\`*_\[\]|~$])")


def write_card(bundle: Bundle, cases: Path, out: Path, *, examples: Path | None = None) -> None:
    """Write `card.html`, one file that asks for nothing else, and `card.md` with its pictures beside it.

    The same input gives the same bytes. Other files in `out` are left alone; nothing is written if anything fails
    before the first file.

    Args:
        bundle: what the card is of.
        cases: for `read_cases`.
        out: made where it does not exist.
        examples: for `read_examples`.

    Raises:
        ToolError: cases or examples are not what is asked for, or `out` cannot be written.
    """
    pictures = () if examples is None else read_examples(examples)
    measured = read_cases(cases)
    evaluation = evaluate_cases(bundle.manifest, measured)
    curves = trace_curves(bundle.manifest, measured)
    figures = draw_figures(bundle.manifest, evaluation, curves)
    content = {
        "bundle": bundle,
        "manifest": bundle.manifest,
        "calibration": describe_calibration(bundle.manifest.calibration),
        "cases_name": cases.name,
        "cases_sha256": hashlib.sha256(cases.read_bytes()).hexdigest(),
        "evaluation": evaluation,
        "bins": curves.after_calibration,
        "figures": figures,
        "examples": pictures,
        "resamples": RESAMPLES,
        "seed": BOOTSTRAP_SEED,
        "tool_version": version("radrelay-inference"),
    }
    files = {f"{name}.svg": figure.svg.encode() for name, figure in figures.items()}
    files |= {example.name: example.png for example in pictures}
    templates = _templates()
    for name in (HTML_FILE, MARKDOWN_FILE):
        files[name] = templates.get_template(f"{name}.jinja").render(content).encode()
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (out / name).write_bytes(data)
    except OSError as error:
        raise ToolError(f"{out}: cannot be written: {error.strerror}") from error


def _templates() -> Environment:
    """Everything that is not a template is escaped, in Markdown too, which may hold HTML."""
    environment = Environment(
        loader=PackageLoader("inference_service.tools"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["interval"] = interval
    environment.filters["md"] = _markdown
    return environment


def _markdown(text: object) -> Markup:
    """Text that Markdown shows as it is, on one line, so that after other text it opens no block or table cell."""
    marked = _MARKDOWN_MARKS.sub(r"\\\1", " ".join(str(text).split()))
    return escape(marked)
