"""Tenants of a test's own."""

from uuid import uuid4


def new_tenant() -> str:
    """A tenant that no other test has."""
    return f"t-{uuid4().hex[:12]}"
