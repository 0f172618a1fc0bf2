"""Which bucket holds what: one for each tenant, named by it.

A key is `<tenant>/<name>`; the object `<name>` lies in the bucket `<prefix>-<tenant>`.
Source: Amazon S3 User Guide, "General purpose bucket naming rules".
"""

import re
from dataclasses import dataclass
from typing import Final

from radrelay_shared.events import TENANT_PATTERN

_TENANT: Final = re.compile(TENANT_PATTERN)
_LONGEST: Final = 63
_RESERVED_ENDS: Final = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")


class NoBucketName(ValueError):
    """A tenant of this name cannot have a bucket; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object lies."""

    bucket: str
    name: str
    """What it is called there; for a listing, what names start with."""


def bucket_of(prefix: str, tenant: str) -> str:
    """The name of the tenant's bucket.

    Raises:
        NoBucketName: no bucket can be called so.
    """
    if not _TENANT.fullmatch(tenant):
        raise NoBucketName(f"{tenant!r} is no name of a tenant")
    bucket = f"{prefix}-{tenant}"
    if len(bucket) > _LONGEST:
        most = _LONGEST - len(prefix) - 1
        raise NoBucketName(f"{tenant!r} has {len(tenant)} characters; with the prefix {prefix!r} at most {most} can be")
    if tenant.endswith(("-", *_RESERVED_ENDS)):
        raise NoBucketName(f"{tenant!r} has an end that no bucket may have")
    return bucket


def tenant_of(prefix: str, bucket: str) -> str | None:
    """The tenant whose bucket this is; None where it is none of ours."""
    start, tenant = f"{prefix}-", bucket.removeprefix(f"{prefix}-")
    return tenant if bucket.startswith(start) and _TENANT.fullmatch(tenant) else None


def place_of(prefix: str, key: str) -> Place:
    """Where the object with this key lies.

    Raises:
        NoBucketName: its tenant cannot have a bucket.
        ValueError: the key names no tenant, or nothing of it.
    """
    tenant, slash, name = key.partition("/")
    if not slash:
        raise ValueError(f"the key {key!r} names nothing of a tenant")
    return Place(bucket_of(prefix, tenant), name)
