"""Object storage: the port, its S3 implementation, the buckets and the keys."""

from radrelay_shared.objects import keys
from radrelay_shared.objects.buckets import NoBucketName, bucket_of, tenant_of
from radrelay_shared.objects.client import ObjectStoreSettings, S3Clients, open_clients
from radrelay_shared.objects.errors import OUTAGES, ObjectNotFound, TenantNotProvisioned
from radrelay_shared.objects.store import ObjectEraser, ObjectStat, ObjectStore, S3ObjectStore

__all__ = [
    "OUTAGES",
    "NoBucketName",
    "ObjectEraser",
    "ObjectNotFound",
    "ObjectStat",
    "ObjectStore",
    "ObjectStoreSettings",
    "S3Clients",
    "S3ObjectStore",
    "TenantNotProvisioned",
    "bucket_of",
    "keys",
    "open_clients",
    "tenant_of",
]
