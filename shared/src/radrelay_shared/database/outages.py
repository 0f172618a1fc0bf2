"""What a database that is away looks like from here."""

from typing import Final

from sqlalchemy import exc

OUTAGES: Final = (OSError, exc.DBAPIError, exc.TimeoutError)


_OURS: Final = ("22", "23", "42")
"""Classes of errors (PostgreSQL, appendix A) that are in what was sent: data, constraints, and access or syntax."""


def is_database_outage(error: BaseException) -> bool:
    """Whether the same request may well succeed later: nothing is wrong with it, nor with this program."""
    if isinstance(error, exc.DBAPIError):
        # SQLAlchemy knows the kinds of few of asyncpg's errors.
        return not str(getattr(error.orig, "sqlstate", None) or "").startswith(_OURS)
    return isinstance(error, OUTAGES)
