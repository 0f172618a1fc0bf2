"""The committed OpenAPI documents: written by each service's own `document` module, and checked against it."""

import argparse
import json
import sys
from pathlib import Path

from fastapi import FastAPI


def text_of(app: FastAPI) -> str:
    """The OpenAPI document of an application, as it is committed."""
    return json.dumps(app.openapi(), indent=2, sort_keys=True) + "\n"


def main(app: FastAPI, name: str) -> int:
    """Write or check `name`.json in the folder that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description="Write the OpenAPI document, or check the one that is committed.")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", type=Path, metavar="DIR")
    mode.add_argument("--check", type=Path, metavar="DIR")
    options = parser.parse_args()
    path = (options.write or options.check) / f"{name}.json"
    if options.write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(app))
        return 0
    if path.is_file() and path.read_text() == text_of(app):
        return 0
    sys.stderr.write(f"{path}: not what the routes say; run `make schemas` and read the difference\n")
    return 1
