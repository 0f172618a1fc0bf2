"""The OpenAPI document: `python -m report_service.document --write DIR` or `--check DIR`."""

import sys

from radrelay_shared.http import documents
from report_service.main import create_app
from report_service.settings import ReportSettings

if __name__ == "__main__":
    # Settings are read when the application starts, which it does not here.
    sys.exit(documents.main(create_app(ReportSettings.model_construct()), "report"))
