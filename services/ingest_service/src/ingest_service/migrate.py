"""Brings the schema up to date: `python -m ingest_service.migrate`. Runs as the role that owns the schema."""

from ingest_service.settings import IngestSettings
from radrelay_shared.database.migrations import migrate
from radrelay_shared.observability import configure


def main() -> None:
    """Upgrade to the newest revision."""
    settings = IngestSettings()
    configure("ingest-migrate", settings.observability)
    if settings.database.owner_url is None:
        raise ValueError("RADRELAY_INGEST_DATABASE__OWNER_URL is not set")
    migrate("ingest_service", settings.database.owner_url.get_secret_value(), tls=settings.database.tls())


if __name__ == "__main__":
    main()
