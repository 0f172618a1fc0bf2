"""The committed JSON Schemas: written from the models, and checked against them.

`python -m radrelay_shared.events.schemas --write DIR` writes one folder an event with its `schema.json`;
`--check DIR` fails where a committed schema is not what the models say now.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

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
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", type=Path, metavar="DIR")
    mode.add_argument("--check", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.write:
        for path, text in files(options.write).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return 0
    stale = [path for path, text in files(options.check).items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        sys.stderr.write(f"{path}: not what the models say; run `make schemas` and read the difference\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
