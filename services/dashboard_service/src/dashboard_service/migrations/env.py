"""Alembic's entry point."""

from dashboard_service.adapters.tables import Base
from radrelay_shared.database.migrations import run_environment

run_environment(Base.metadata)
