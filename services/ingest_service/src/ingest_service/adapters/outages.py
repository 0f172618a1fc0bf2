"""What a database, a store or a disk that is away looks like from here."""

from typing import Final

from minio.error import MinioException
from sqlalchemy import exc
from urllib3.exceptions import HTTPError

OUTAGES: Final = (OSError, exc.DBAPIError, exc.TimeoutError, MinioException, HTTPError)


def is_outage(error: BaseException) -> bool:
    """Whether the same request may well succeed later: nothing is wrong with it, nor with this program."""
    if isinstance(error, exc.IntegrityError | exc.DataError | exc.ProgrammingError):
        return False
    return isinstance(error, OUTAGES)
