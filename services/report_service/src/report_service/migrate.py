"""`python -m report_service.migrate`: bring the schema `report` to the newest revision, as its owner."""

from radrelay_shared.database.prepare import prepare_database
from radrelay_shared.observability import configure
from report_service.settings import ReportSettings


def main() -> None:
    """Migrate the database that the environment names; make its roles and schema before, where `admin_url` is set.

    Raises:
        ValueError: an address that is needed is not set.
    """
    settings = ReportSettings()
    configure("report-migrate", settings.observability)
    prepare_database("report", settings.database)


if __name__ == "__main__":
    main()
