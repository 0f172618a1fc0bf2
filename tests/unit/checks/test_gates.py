"""Every gate of `make check` is proved by a planted fault: a gate that lets it pass is no gate."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = [
    "shared/src",
    "phantoms/src",
    "training/src",
    "imaging/src",
    "deploy/local/src",
    "services/ingest_service/src",
    "services/inference_service/src",
    "services/report_service/src",
    "services/dashboard_service/src",
]
FAULTS = {
    "ingest_service/planted.py": ("import report_service\n", "No service imports another service"),
    "radrelay_shared/planted.py": ("import ingest_service\n", "The libraries know no service"),
    "radrelay_shared/objects/planted.py": ("import torch\n", "The shared library holds no machine learning"),
    "report_service/domain/planted.py": ("import sqlalchemy\n", "Domain code does no I/O and knows no framework"),
    "dashboard_service/domain/planted.py": (
        "import dashboard_service.adapters\n",
        "Domain code does no I/O and knows no framework",
    ),
    "inference_service/domain/planted.py": ("import torch\n", "Domain code does no I/O and knows no framework"),
    "inference_service/imaging/planted.py": (
        "import radrelay_phantoms\n",
        "Nothing that is served imports phantoms or training",
    ),
    "radrelay_local/planted.py": (
        "import inference_service\n",
        "The local stack reaches services only over HTTP and as processes",
    ),
}


SERVICES = ["ingest", "report", "dashboard"]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", *map(str, command)]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copied_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sources")
    for source in SOURCES:
        shutil.copytree(ROOT / source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def lint_imports(sources: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(sys.argv[1], no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "pyproject.toml")],
        cwd=sources,
        env=os.environ | {"PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_rules_pass_without_a_fault(copied_sources: Path) -> None:
    result = lint_imports(copied_sources)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("place", FAULTS)
def test_a_forbidden_import_breaks_its_rule(copied_sources: Path, place: str) -> None:
    fault, contract = FAULTS[place]
    planted = copied_sources / place
    planted.write_text(fault)
    try:
        result = lint_imports(copied_sources)
    finally:
        planted.unlink()
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("F401", '"""A module."""\n\nimport os\n'),
        ("E722", '"""A module."""\n\ntry:\n    value = 1\nexcept:\n    value = 2\n'),
        ("BLE001", '"""A module."""\n\ntry:\n    value = 1\nexcept Exception:\n    value = 2\n'),
        ("D103", '"""A module."""\n\n\ndef public() -> None:\n    return None\n'),
        ("T201", '"""A module."""\n\nprint("left over")\n'),
        ("ERA001", '"""A module."""\n\n# value = compute(1)\n'),
    ],
)
def test_a_lint_fault_is_found(tmp_path: Path, rule: str, fault: str) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(fault)
    result = run("ruff", "check", "--no-cache", "--config", ROOT / "pyproject.toml", planted)
    assert result.returncode == 1
    assert rule in result.stdout


def test_a_file_that_is_not_formatted_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("value={'a':1}\n")
    assert run("ruff", "format", "--check", "--no-cache", "--config", ROOT / "pyproject.toml", planted).returncode == 1


def test_a_type_fault_and_an_untyped_function_are_found(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text('def untyped(x):\n    return x\n\n\nnumber: int = "text"\n')
    result = run("mypy", "--config-file", ROOT / "pyproject.toml", "--cache-dir", tmp_path / "cache", planted)
    assert result.returncode == 1
    assert "[no-untyped-def]" in result.stdout
    assert "[assignment]" in result.stdout


def test_a_schema_that_is_not_what_the_models_say_is_found(tmp_path: Path) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(ROOT / "shared" / "contracts", contracts)
    assert run("radrelay_shared.events.schemas", "--check", contracts).returncode == 0
    schema = contracts / "report.created.v1" / "schema.json"
    schema.write_text(schema.read_text().replace('"urgency"', '"hurry"', 1))
    result = run("radrelay_shared.events.schemas", "--check", contracts)
    assert result.returncode == 1
    assert "report.created.v1" in result.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_an_openapi_document_that_is_not_what_the_routes_say_is_found(tmp_path: Path, service: str) -> None:
    documents = tmp_path / "api"
    shutil.copytree(ROOT / "docs" / "api", documents)
    document = documents / f"{service}.json"
    document.write_text(document.read_text().replace('"429"', '"418"', 1))
    result = run(f"{service}_service.document", "--check", documents)
    assert result.returncode == 1
    assert f"{service}.json" in result.stderr
