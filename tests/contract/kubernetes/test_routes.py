"""Every path that a service's OpenAPI document names can be reached from outside, and nothing else of the service."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.k8s.checks.rules.routes import INSIDE, arriving_at
from radrelay_local.parts import edge
from support.manifests import FULL_CPU, overlay, rendered

DOCUMENTS = Path(__file__).parents[3] / "docs" / "api"
PREFIXES = {process: path for path, process in edge.ROUTES.items()}


def reached(rules: list[dict[str, Any]], path: str) -> tuple[str, str]:
    """The service that answers, and the path that it sees: the longest prefix, by whole elements, wins."""
    best: tuple[int, str, str] = (-1, "", "")
    for rule in rules:
        for match in rule.get("matches", [{"path": {"type": "PathPrefix", "value": "/"}}]):
            prefix = match["path"]["value"].rstrip("/")
            if path == prefix or path.startswith(f"{prefix}/"):
                seen = arriving_at(match, rule).rstrip("/") + path.removeprefix(prefix)
                best = max(best, (len(prefix), rule["backendRefs"][0]["name"], seen or "/"))
    return best[1], best[2]


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    (route,) = [each for each in rendered(*FULL_CPU).of_kind("HTTPRoute") if each["metadata"]["name"] == "radrelay"]
    found: list[dict[str, Any]] = route["spec"]["rules"]
    return found


@pytest.mark.parametrize("process", ["ingest-api", "report-api", "dashboard-api"])
def test_what_a_document_names_arrives_and_the_inside_does_not(rules: list[dict[str, Any]], process: str) -> None:
    document = json.loads((DOCUMENTS / f"{process.removesuffix('-api')}.json").read_text("utf-8"))
    for path in [*document["paths"], "/docs", "/openapi.json"]:
        assert reached(rules, f"{PREFIXES[process]}{path}") == (process, path)
    for path in INSIDE:
        assert reached(rules, f"{PREFIXES[process]}{path}")[0] == "frontend"


def test_pages_are_the_frontends(rules: list[dict[str, Any]]) -> None:
    for path in ("/", "/batches", "/signed-in", "/source/main.js", "/api", "/metrics"):
        assert reached(rules, path) == ("frontend", path)


def test_the_development_issuer_is_reached_as_at_the_local_edge() -> None:
    (route,) = [each for each in overlay("dev").of_kind("HTTPRoute") if each["metadata"]["name"] == "issuer"]
    assert reached(route["spec"]["rules"], "/auth/authorize") == ("issuer", "/authorize")
    assert PREFIXES["issuer"] == "/auth"
