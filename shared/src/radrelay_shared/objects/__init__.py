"""Object storage: the port, its S3 implementation and the keys."""

from radrelay_shared.objects import keys
from radrelay_shared.objects.store import ObjectNotFound, ObjectStat, ObjectStore, ObjectStoreSettings, S3ObjectStore

__all__ = ["ObjectNotFound", "ObjectStat", "ObjectStore", "ObjectStoreSettings", "S3ObjectStore", "keys"]
