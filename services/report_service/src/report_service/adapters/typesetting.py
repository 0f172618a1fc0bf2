"""Visual reports as HTML pages and PDF files."""

import base64
import hashlib
from importlib.metadata import version
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from radrelay_shared.sandbox import Sandbox
from report_service.adapters.pdf import typeset_pdf
from report_service.documents import DocumentType
from report_service.domain.visual import VisualReport

_TEMPLATES: Final = files("report_service") / "templates"
_FORMS: Final = ("report.html", "report.css", "report.typ")
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
_PAGES: Final = Environment(
    loader=PackageLoader("report_service"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


class Typesetter:
    """The typesetting port. PDFs are made in a sandbox: one whose text cannot be set costs one call."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        forms = "".join((_TEMPLATES / name).read_text("utf-8") for name in _FORMS)
        self.version = hashlib.sha256(f"{version('typst')}{forms}".encode()).hexdigest()[:12]

    async def typeset(self, report: VisualReport, kind: DocumentType) -> bytes:
        """The report as a document.

        Raises:
            SandboxDied, SandboxTimeout: it could not be made.
        """
        if kind is DocumentType.HTML:
            return typeset_page(report)
        return await self._sandbox.run(typeset_pdf, report.texts(), report.pictures())


def typeset_page(report: VisualReport) -> bytes:
    """An HTML page that needs nothing else: its pictures are in it, its policy lets nothing be fetched or run."""
    style = (_TEMPLATES / "report.css").read_text("utf-8").replace("@NOTICE@", css_string(report.notice))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = _PAGES.get_template("report.html").render(
        report=report,
        style=Markup(style),  # noqa: S704  # our own text; the notice in it is escaped
        policy=_POLICY.format(style=digest),
        images={name: base64.b64encode(png).decode() for name, png in report.pictures().items()},
    )
    return page.encode()


def css_string(text: str) -> str:
    """Text as a CSS string: all but letters, digits and blanks by code point (CSS Syntax, section 4.3.7)."""
    return '"' + "".join(c if c.isascii() and (c.isalnum() or c == " ") else f"\\{ord(c):x} " for c in text) + '"'
