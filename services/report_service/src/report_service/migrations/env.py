"""Alembic's entry point."""

from radrelay_shared.database.migrations import run_environment
from report_service.adapters.tables import Base

run_environment(Base.metadata)
