"""The committed JSON Schemas: written from the models, and checked against them.

`python -m radrelay_shared.events.schemas --write DIR` writes one folder an event with its `schema.json`;
`--check DIR` fails where a committed schema is not what the models say now.
"""

import json
import sys
from pathlib import Path
from typing import Any

from radrelay_shared.committed import write_or_check
from radrelay_shared.events.envelope import EVENT_DATA, Event
from radrelay_shared.events.models import TYPE_PREFIX


def schema_of(event_type: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the whole envelope of one event type."""
    model = EVENT_DATA[event_type]
    schema: dict[str, Any] = Event[model].model_json_schema(mode="serialization")  # type: ignore[valid-type]  # by name
    schema["properties"]["type"] = {"const": event_type}
    schema["properties"]["dataschema"] = {"const": model.schema_uri()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": model.schema_uri(),
        **schema,
        "title": event_type,
        "description": model.__doc__,
    }


def files(directory: Path) -> dict[Path, str]:
    """Every schema file and the text it should hold."""
    return {
        directory / event_type.removeprefix(f"{TYPE_PREFIX}.") / "schema.json": json.dumps(
            schema_of(event_type), indent=2, sort_keys=True
        )
        + "\n"
        for event_type in EVENT_DATA
    }


def main() -> int:
    """Write or check; the exit status says whether all is as it should be."""
    return write_or_check(files, source="the models say", command="make schemas")


if __name__ == "__main__":
    sys.exit(main())
