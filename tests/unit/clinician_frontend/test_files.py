"""The frontend's files agree with each other and with the services."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest_service.domain.lifecycle import MAY_PASS, OBJECT_LOST
from ingest_service.domain.reasons import RejectReason
from radrelay_imaging import WINDOWS_HU, ColourMap, NamedWindow, RefusalReason
from radrelay_imaging.colours import colours_of

FRONTEND = Path("services/clinician_frontend")
PUBLIC = FRONTEND / "public"
SOURCES = sorted((PUBLIC / "source").rglob("*.js"))
STOPS = 17
MARKUP = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|new Function"


def import_map() -> str:
    found = re.search(r'<script type="importmap">(.*?)</script>', (PUBLIC / "index.html").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def wrong_libraries(folder: Path, listed: list[dict[str, Any]]) -> set[str]:
    """Files that are not as they are listed, not listed, or not there."""
    said = {name: digest for library in listed for name, digest in library["files"].items()}
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()}
    return {name for name in said.keys() | digests.keys() if said.get(name) != digests.get(name)}


def test_every_library_is_as_it_was_published_and_has_its_licence(tmp_path: Path) -> None:
    listed = json.loads((FRONTEND / "vendored.json").read_text())
    assert wrong_libraries(PUBLIC / "vendor", listed) == set()
    for library in listed:
        assert library["version"]
        assert library["licence"] in {"MIT", "Apache-2.0"}
        assert any(name.endswith("/LICENSE") for name in library["files"]), library["package"]
    (tmp_path / "new.js").write_text("planted")
    assert "new.js" in wrong_libraries(tmp_path, listed)


def test_the_policy_knows_the_import_map_and_nothing_else_inline() -> None:
    digest = base64.b64encode(hashlib.sha256(import_map().encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy "([^"]*)"', (FRONTEND / "frontend.caddy").read_text())
    assert policy is not None
    assert f"script-src 'self' 'sha256-{digest}'" in policy[1]
    assert "unsafe" not in policy[1]
    page = (PUBLIC / "index.html").read_text()
    assert re.findall(r"<script[^>]*>", page) == [
        '<script type="importmap">',
        '<script type="module" src="/source/main.js">',
    ]
    assert re.findall(r"<style|style=|\son[a-z]+=", page) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PUBLIC)))
def test_what_a_module_imports_is_there_and_it_makes_no_markup(path: Path) -> None:
    names = json.loads(import_map())["imports"]
    text = path.read_text()
    for target in re.findall(r'(?:\bfrom |\bimport\()"([^"]+)"', text):
        file = PUBLIC / names[target].lstrip("/") if target in names else (path.parent / target)
        assert target in names or target.startswith("."), target
        assert file.is_file(), target
    assert re.findall(MARKUP, text) == []
    assert len(text.splitlines()) <= 300


def test_every_reason_has_its_words() -> None:
    words = (PUBLIC / "source" / "parts" / "words.js").read_text()
    table = words[words.index("const REASONS") : words.index("};", words.index("const REASONS"))]
    said = set(re.findall(r"^  ([a-z_]+): ", table, re.MULTILINE))
    pictures_only = {RefusalReason.NOT_HOUNSFIELD}
    assert {*RejectReason, *MAY_PASS, OBJECT_LOST, *(set(RefusalReason) - pictures_only)} <= said


def test_windows_and_colours_are_those_of_the_pictures() -> None:
    windows = (PUBLIC / "source" / "report" / "windows.js").read_text()
    found = re.findall(r'^  ([a-z_]+): \{ words: "[^"]+", center: (-?\d+), width: (\d+) \},$', windows, re.MULTILINE)
    assert {name: (float(center), float(width)) for name, center, width in found} == {
        name.value: (WINDOWS_HU[name].center, WINDOWS_HU[name].width) for name in NamedWindow
    }
    heat = (PUBLIC / "source" / "report" / "heat.js").read_text()
    stops = dict(re.findall(r'^  ([a-z]+): \{ words: "[^"]+", stops: "([0-9a-f ]+)" \},$', heat, re.MULTILINE))
    assert set(stops) == set(ColourMap)
    for name, text in stops.items():
        colours = np.array([list(bytes.fromhex(stop)) for stop in text.split()], np.float32)
        np.testing.assert_array_equal(colours, colours_of(ColourMap(name), STOPS))
