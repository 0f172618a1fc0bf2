"""`python -m dashboard_service.migrate`: bring the schema `dashboard` to the newest revision, as its owner."""

from dashboard_service.settings import DashboardSettings
from radrelay_shared.database.migrations import migrate
from radrelay_shared.observability import configure


def main() -> None:
    """Migrate the database that the environment names.

    Raises:
        RuntimeError: no owner address is set.
    """
    settings = DashboardSettings()
    configure("dashboard-migrate", settings.observability)
    if settings.database.owner_url is None:
        raise RuntimeError("RADRELAY_DASHBOARD_DATABASE__OWNER_URL is not set")
    migrate("dashboard_service", settings.database.owner_url.get_secret_value(), tls=settings.database.tls())


if __name__ == "__main__":
    main()
