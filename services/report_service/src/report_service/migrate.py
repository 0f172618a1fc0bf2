"""`python -m report_service.migrate`: bring the schema `report` to the newest revision, as its owner."""

from radrelay_shared.database.migrations import migrate
from radrelay_shared.observability import configure
from report_service.settings import ReportSettings


def main() -> None:
    """Migrate the database that the environment names.

    Raises:
        RuntimeError: no owner address is set.
    """
    settings = ReportSettings()
    configure("report-migrate", settings.observability)
    if settings.database.owner_url is None:
        raise RuntimeError("RADRELAY_REPORT_DATABASE__OWNER_URL is not set")
    migrate("report_service", settings.database.owner_url.get_secret_value(), tls=settings.database.tls())


if __name__ == "__main__":
    main()
