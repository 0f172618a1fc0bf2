"""Alembic migrations of the schema `dashboard`."""
