"""Alembic's entry: see `radrelay_shared.database.migrations`."""

from ingest_service.adapters.tables import Base
from radrelay_shared.database.migrations import run_environment

run_environment(Base.metadata)
