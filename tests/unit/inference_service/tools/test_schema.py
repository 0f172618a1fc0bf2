"""The committed schema is the one of the code, and it takes and refuses what the code does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from typer.testing import Result

from inference_service.bundles import Bundle

COMMITTED = Path(__file__).parents[4] / "docs" / "bundle.schema.json"


@pytest.fixture
def content(small_bundle: Bundle) -> dict[str, Any]:
    """What a real `bundle.yaml` says."""
    loaded: dict[str, Any] = yaml.safe_load((small_bundle.directory / "bundle.yaml").read_text())
    return loaded


@pytest.fixture
def validator() -> Draft202012Validator:
    """Of the committed schema."""
    return Draft202012Validator(json.loads(COMMITTED.read_text()))


def test_the_committed_schema_is_what_the_command_prints(radrelay_bundle: Callable[..., Result]) -> None:
    printed = radrelay_bundle("schema").stdout
    assert COMMITTED.read_text() == printed, "run: radrelay-bundle schema > docs/bundle.schema.json"


def test_a_real_manifest_is_valid(validator: Draft202012Validator, content: dict[str, Any]) -> None:
    validator.check_schema(validator.schema)
    validator.validate(content)


def test_a_reference_is_valid(validator: Draft202012Validator, content: dict[str, Any]) -> None:
    histogram = {"edges": [0.0, 0.5, 1.0], "shares": [0.25, 0.75]}
    validator.validate(content | {"reference": {"cases": 100, "probability": histogram}})
    validator.validate(content | {"reference": {"cases": 100, "probability": histogram, "levels": [histogram]}})


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"colour": "red"},
        {"name": "No Capitals"},
        {"thresholds": {"positive": 0.5}},
        {"reference": {"cases": 0, "probability": {"edges": [0.0, 1.0], "shares": [1.0]}}},
        {"reference": {"cases": 100, "probability": {"edges": [0.0, 1.0], "shares": [-1.0]}}},
    ],
)
def test_what_the_code_refuses_is_not_valid(
    validator: Draft202012Validator, content: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        validator.validate(content | change)
