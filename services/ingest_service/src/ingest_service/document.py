"""The OpenAPI document: `python -m ingest_service.document --write DIR` or `--check DIR`."""

import sys

from ingest_service.main import create_app
from ingest_service.settings import IngestSettings
from radrelay_shared.http import documents

if __name__ == "__main__":
    # Settings are read when the application starts, which it does not here.
    sys.exit(documents.main(create_app(IngestSettings.model_construct()), "ingest"))
