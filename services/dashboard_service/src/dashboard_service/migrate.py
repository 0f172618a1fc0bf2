"""`python -m dashboard_service.migrate`: bring the schema `dashboard` to the newest revision, as its owner."""

from dashboard_service.settings import DashboardSettings
from radrelay_shared.database.prepare import prepare_database
from radrelay_shared.observability import configure


def main() -> None:
    """Migrate the database that the environment names; make its roles and schema before, where `admin_url` is set.

    Raises:
        ValueError: an address that is needed is not set.
    """
    settings = DashboardSettings()
    configure("dashboard-migrate", settings.observability)
    prepare_database("dashboard", settings.database)


if __name__ == "__main__":
    main()
