"""Visual reports as PDF files, set by Typst. It needs little, for processes of the sandbox to start fast."""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import typst

_TEMPLATE: Final = files("report_service") / "templates" / "report.typ"
_STANDARD: Final = "ua-1"
"""PDF/UA-1 (ISO 14289-1): tagged, with a language, a title and texts for pictures; the compiler checks it."""
_NO_GLYPH: Final = re.compile(r"[^\t\n\u0020-\u007e\u00a0-\u017f\u0370-\u03ff\u0400-\u045f\u2010-\u2026]")
"""What the fonts that come with Typst may lack."""


def typeset_pdf(texts: Mapping[str, Any], pictures: Mapping[str, bytes]) -> bytes:
    """A tagged PDF (PDF/UA-1) of a visual report's texts and PNG pictures.

    The text is data of the template and never markup. A character that no font here has is written by its code point,
    since a document that leaves out what somebody wrote must not look whole.
    """
    with TemporaryDirectory() as folder:
        for name, png in pictures.items():
            (Path(folder) / f"{name}.png").write_bytes(png)
        try:
            return _compile(folder, json.dumps(texts))
        except typst.TypstError:
            return _compile(folder, json.dumps(_by_code_point(texts)))


def _compile(folder: str, texts: str) -> bytes:
    compiler = typst.Compiler(_TEMPLATE.read_bytes(), root=folder, font_paths=_fonts(), sys_inputs={"report": texts})
    made = compiler.compile(format="pdf", pdf_standards=[_STANDARD])
    if not isinstance(made, bytes):
        raise TypeError("a PDF is one file")
    return made


@cache
def _fonts() -> typst.Fonts:
    """Those that come with Typst, and for what they lack those of the system."""
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True)


def _by_code_point(value: Any) -> Any:
    if isinstance(value, str):
        return _NO_GLYPH.sub(lambda found: f"[U+{ord(found[0]):04X}]", value)
    if isinstance(value, dict):
        return {key: _by_code_point(each) for key, each in value.items()}
    return [_by_code_point(each) for each in value] if isinstance(value, list | tuple) else value
