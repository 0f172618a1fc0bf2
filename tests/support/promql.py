"""The rule files and dashboards of deploy/observability, and which metrics their queries name."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser
import yaml

FOLDER: Final = Path("deploy/observability")
_DOCUMENTED: Final = re.compile(r"^\| `(radrelay_\w+)` \| ([\w, ]*) ?\|", re.MULTILINE)
_VARIABLES: Final = re.compile(r"\$\{?\w+\}?")


def rules() -> list[dict[str, Any]]:
    """Every recording and alerting rule."""
    groups = [group for path in _rule_files() for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def _rule_files() -> list[Path]:
    return sorted((FOLDER / "rules").glob("*.yaml"))


def alerts() -> dict[str, dict[str, Any]]:
    """Alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def dashboards() -> dict[str, dict[str, Any]]:
    """Dashboards by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}


def documented_metrics() -> list[tuple[str, str]]:
    """Names and labels of the metrics in the table of docs/observability.md."""
    rows = _DOCUMENTED.findall(Path("docs/observability.md").read_text())
    return [(name, labels.strip()) for name, labels in rows]


def queries() -> dict[str, str]:
    """Every query, by where it is."""
    found = {f"rule {rule.get('alert') or rule['record']}": rule["expr"] for rule in rules()}
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                found[f"{name}: {panel['title']}: {target['refId']}"] = target["expr"]
    return found


@dataclass(frozen=True)
class Selector:
    """Series that a query selects."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator and value of each."""

    def takes(self, labels: Mapping[str, str], ignoring: frozenset[str]) -> bool:
        """Whether it selects a series of its metric with these labels; some labels are not looked at."""
        return all(_matches(labels.get(name, ""), *rest) for name, *rest in self.matchers if name not in ignoring)


def selectors_in(query: str) -> list[Selector]:
    """What a query selects. Variables of a dashboard are any text.

    Raises:
        ValueError: it is no PromQL.
    """
    return list(_selectors(promql_parser.parse(_VARIABLES.sub(".*", query))))


def _matcher(matcher: promql_parser.Matcher) -> tuple[str, str, str]:
    operator = str(matcher).removeprefix(matcher.name).split('"', 1)[0]
    return matcher.name, operator, matcher.value


def _matches(value: str, operator: str, wanted: str) -> bool:
    equal = value == wanted if operator in {"=", "!="} else re.fullmatch(wanted, value) is not None
    return equal is not operator.startswith("!")


def _selectors(expression: Any) -> Iterator[Selector]:
    match expression:
        case promql_parser.VectorSelector():
            yield Selector(expression.name or "", tuple(map(_matcher, expression.matchers.matchers)))
        case promql_parser.MatrixSelector():
            yield from _selectors(expression.vector_selector)
        case promql_parser.Call():
            for argument in expression.args:
                yield from _selectors(argument)
        case promql_parser.BinaryExpr():
            yield from _selectors(expression.lhs)
            yield from _selectors(expression.rhs)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            yield from _selectors(expression.expr)
