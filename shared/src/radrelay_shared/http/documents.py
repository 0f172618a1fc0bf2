"""The committed OpenAPI documents: written by each service's own `document` module, and checked against it."""

import json

from fastapi import FastAPI

from radrelay_shared.committed import write_or_check


def text_of(app: FastAPI) -> str:
    """The OpenAPI document of an application, as it is committed."""
    return json.dumps(app.openapi(), indent=2, sort_keys=True) + "\n"


def main(app: FastAPI, name: str) -> int:
    """Write or check `name`.json in the folder that the command line names; return the exit status."""
    return write_or_check(
        lambda directory: {directory / f"{name}.json": text_of(app)}, source="the routes say", command="make schemas"
    )
