"""The committed schemas and examples are the contract: the models, the schemas and CloudEvents' own SDK must agree."""

import json
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

from radrelay_shared.events import EVENT_DATA, InvalidEvent, parse_event
from radrelay_shared.events.schemas import files

CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"
EXAMPLES = sorted(CONTRACTS.glob("*/examples/*.json"))


def test_every_event_has_its_schema_as_committed_and_an_example() -> None:
    for path, text in files(CONTRACTS).items():
        assert path.read_text() == text, f"{path}: run `make schemas`"
        assert list((path.parent / "examples").glob("*.json")), f"{path.parent} has no example"
    assert {path.parent.parent.name for path in EXAMPLES} == {path.parent.name for path in files(CONTRACTS)}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.parent.name)
def test_examples_fit_schema_and_model_and_survive_a_round_trip(example: Path) -> None:
    schema = json.loads((example.parent.parent / "schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    document = json.loads(example.read_text())
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)
    # Fields that came later are unset, not invented.
    assert json.loads(parse_event(example.read_bytes()).model_dump_json(exclude_unset=True)) == document


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.parent.name)
def test_examples_are_cloud_events_to_the_cloudevents_sdk(example: Path) -> None:
    message = HTTPMessage({"content-type": "application/cloudevents+json"}, example.read_bytes())
    event = from_structured_event(message, JSONFormat())
    assert event.get_type() in EVENT_DATA
    assert event.get_extension("tenant") == "north"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.parent.name)
def test_a_missing_field_fails_the_schema_and_the_model_alike(example: Path) -> None:
    schema = json.loads((example.parent.parent / "schema.json").read_text())
    required = next(iter(sorted(schema["$defs"][schema["properties"]["data"]["$ref"].split("/")[-1]]["required"])))
    document = json.loads(example.read_text())
    del document["data"][required]
    assert list(Draft202012Validator(schema).iter_errors(document))
    with pytest.raises(InvalidEvent, match=f"data.{required}: missing"):
        parse_event(json.dumps(document).encode())


def test_a_reader_passes_over_fields_it_does_not_know() -> None:
    document = json.loads(EXAMPLES[0].read_text())
    document["data"]["new_optional_field"] = 1
    schema = json.loads((EXAMPLES[0].parent.parent / "schema.json").read_text())
    assert not list(Draft202012Validator(schema).iter_errors(document))
    parse_event(json.dumps(document).encode())


def test_no_contract_has_a_field_that_could_hold_a_patients_name() -> None:
    for path in files(CONTRACTS):
        assert "patient" not in path.read_text().lower()
