"""What goes wrong with objects, apart from a store that is away."""

from typing import Final

import urllib3
from minio.error import MinioException

OUTAGES: Final = (MinioException, urllib3.exceptions.HTTPError)
"""What a store that is away, or refuses us, raises."""


class ObjectNotFound(LookupError):
    """No object has this key."""


class TenantNotProvisioned(ObjectNotFound):
    """The tenant has no bucket: nothing of it is stored, and nothing can be until it is added."""
