"""What a database or a store that is away looks like from here."""

from typing import Final

from radrelay_shared import database, objects

OUTAGES: Final = (*database.OUTAGES, *objects.OUTAGES)


def is_outage(error: BaseException) -> bool:
    """Whether the same request may well succeed later: nothing is wrong with it, nor with this program."""
    return isinstance(error, objects.OUTAGES) or database.is_database_outage(error)
