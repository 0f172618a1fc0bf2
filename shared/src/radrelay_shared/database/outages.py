"""What a database that is away looks like from here."""

from typing import Final

from sqlalchemy import exc

OUTAGES: Final = (OSError, exc.DBAPIError, exc.TimeoutError)


def is_database_outage(error: BaseException) -> bool:
    """Whether the same request may well succeed later: nothing is wrong with it, nor with this program."""
    if isinstance(error, exc.IntegrityError | exc.DataError | exc.ProgrammingError):
        return False
    return isinstance(error, OUTAGES)
