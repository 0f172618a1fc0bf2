"""The OpenAPI document: `python -m dashboard_service.document --write DIR` or `--check DIR`."""

import sys

from dashboard_service.main import create_app
from dashboard_service.settings import DashboardSettings
from radrelay_shared.http import documents

if __name__ == "__main__":
    # Settings are read when the application starts, which it does not here.
    sys.exit(documents.main(create_app(DashboardSettings.model_construct()), "dashboard"))
