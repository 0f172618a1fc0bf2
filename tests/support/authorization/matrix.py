"""The authorization matrix: what docs/authorization.md expects, and which routes the OpenAPI documents publish."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROLES: Final = ("clinician", "tenant_admin", "service")
RELATIONS: Final = ("own", "other owner", "other tenant")
NOT_ASKED: Final = "-"
SERVICES: Final = ("ingest", "report", "dashboard")

_DOCS: Final = Path(__file__).parents[3] / "docs"
_HEADER: Final = ["route", *ROLES, "no token"]


@dataclass(frozen=True)
class Row:
    """One row: who gets which answer from a route."""

    service: str
    method: str
    path: str
    """As in the OpenAPI document."""
    query: str
    cells: tuple[tuple[str, ...], ...]
    """[role, relation], in the order of `ROLES` and `RELATIONS`."""
    no_token: str

    @property
    def route(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    def __str__(self) -> str:
        return f"{self.service} {self.route}{'?' if self.query else ''}{self.query}"


def published_routes() -> dict[str, set[str]]:
    """Method and path of each route by service, from docs/api."""
    return {
        service: {
            f"{method.upper()} {path}"
            for path, operations in json.loads((_DOCS / "api" / f"{service}.json").read_text())["paths"].items()
            for method in operations
        }
        for service in SERVICES
    }


def expected_rows() -> list[Row]:
    """The rows of docs/authorization.md."""
    return parse((_DOCS / "authorization.md").read_text())


def parse(text: str) -> list[Row]:
    """The rows of the tables in a document, each table under its service's heading.

    Raises:
        ValueError: a line of a table is not as it must be.
    """
    service, rows = "", []
    for line in text.splitlines():
        if line.startswith("## "):
            service = line.removeprefix("## ").strip()
        elif line.startswith("|") and not line.startswith("|---"):
            fields = [field.strip() for field in line.strip("|").split("|")]
            if fields != _HEADER:
                rows.append(_row(service, fields))
    return rows


def _row(service: str, fields: list[str]) -> Row:
    cells = tuple(tuple(field.split()) for field in fields[1:-1])
    method, _, target = fields[0].partition(" ")
    if len(cells) != len(ROLES) or any(len(cell) != len(RELATIONS) for cell in cells) or not target:
        raise ValueError(f"in the table of {service!r}: {fields} has not {len(RELATIONS)} cells for each role")
    path, _, query = target.partition("?")
    return Row(service, method, path, query, cells, fields[-1])


def differences(routes: dict[str, set[str]], rows: Iterable[Row]) -> list[str]:
    """Routes without a row, and rows without a route."""
    published = {(service, route) for service, of_service in routes.items() for route in of_service}
    expected = {(row.service, row.route) for row in rows}
    return sorted(
        [f"{service}: {route} has no row" for service, route in published - expected]
        + [f"{service}: {route} has a row and is no route" for service, route in expected - published]
    )
