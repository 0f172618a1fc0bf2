"""Alembic migrations of the schema `report`."""
