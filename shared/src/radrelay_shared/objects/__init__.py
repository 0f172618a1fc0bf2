"""Object storage: the port, its S3 implementation and the keys."""

from radrelay_shared.objects import keys
from radrelay_shared.objects.store import (
    OUTAGES,
    ObjectNotFound,
    ObjectStat,
    ObjectStore,
    ObjectStoreSettings,
    S3ObjectStore,
)

__all__ = ["OUTAGES", "ObjectNotFound", "ObjectStat", "ObjectStore", "ObjectStoreSettings", "S3ObjectStore", "keys"]
