"""`python -m ingest_service.migrate`: bring the schema `ingest` to the newest revision, as its owner."""

from ingest_service.settings import IngestSettings
from radrelay_shared.database.prepare import prepare_database
from radrelay_shared.observability import configure


def main() -> None:
    """Migrate the database that the environment names; make its roles and schema before, where `admin_url` is set.

    Raises:
        ValueError: an address that is needed is not set.
    """
    settings = IngestSettings()
    configure("ingest-migrate", settings.observability)
    prepare_database("ingest", settings.database)


if __name__ == "__main__":
    main()
