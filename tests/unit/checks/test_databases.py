"""Rules of 0023: services take their databases from the settings, and hold nothing in a session."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for folder in ("shared", "services") for path in (ROOT / folder).glob("**/src/**/*.py"))
OF_A_SESSION = re.compile(
    r"\bpg_(try_)?advisory_(lock|unlock)\b|\bSET\s+(?!LOCAL\b)(SESSION\b|ROLE\b|search_path\b)|\bCREATE\s+TEMP|\bWITH\s+HOLD\b"
    r"|set_config\([^)]*,\s*false\)"
)


def databases_made(source: str) -> Iterator[int]:
    """Lines that make a `Database` by itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Database":
            yield node.lineno


def held_by_sessions(source: str) -> Iterator[int]:
    """Lines of SQL that need the session they run in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OF_A_SESSION.search(node.value):
            yield node.lineno


def test_services_make_their_databases_from_the_settings() -> None:
    assert len(SOURCES) > 100
    in_services = [path for path in SOURCES if (ROOT / "services") in path.parents]
    assert [path for path in in_services if any(databases_made(path.read_text()))] == []


def test_no_statement_holds_anything_in_a_session() -> None:
    assert [path for path in SOURCES if any(held_by_sessions(path.read_text()))] == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1)",
        "SET search_path TO report",
        "SET SESSION x = 1",
        "CREATE TEMPORARY TABLE t (a int)",
        "SELECT set_config('radrelay.tenant', :tenant, false)",
    ],
)
def test_a_planted_fault_is_found(sql: str) -> None:
    assert list(held_by_sessions(f"STATEMENT = {sql!r}")) == [1]


@pytest.mark.parametrize(
    "sql", ["SELECT pg_advisory_xact_lock(1)", "SELECT set_config('a', :b, true)", "UPDATE t SET a = 1"]
)
def test_what_ends_with_its_transaction_is_fine(sql: str) -> None:
    assert list(held_by_sessions(f"STATEMENT = {sql!r}")) == []


def test_a_planted_database_is_found() -> None:
    assert list(databases_made("opened = Database(settings.app_url)")) == [1]
