"""Making, looking at and removing the buckets of tenants, on any S3 server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, TypeVar

from minio.commonconfig import ENABLED
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.sseconfig import AES256, Rule, SSEConfig
from minio.versioningconfig import VersioningConfig

from radrelay_local.tenants.retention import DEFAULT, UNCHANGED, Retention, lifecycle, retention_in
from radrelay_shared.objects import ObjectStoreSettings, bucket_of, open_clients, tenant_of

T = TypeVar("T")

_NOT_OFFERED: Final = {"NotImplemented", "MethodNotAllowed"}
_THERE_ALREADY: Final = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


class State(StrEnum):
    """How a setting of a bucket is."""

    ON = "on"
    OFF = "off"
    NOT_OFFERED = "not offered"
    """The server does not know the setting. One that can be asked for but not set is `off`."""


@dataclass(frozen=True, slots=True)
class TenantBucket:
    """A tenant's bucket and its settings."""

    tenant: str
    bucket: str
    versioning: State
    encryption: State
    """Whether the server encrypts new objects, with its own keys (SSE-S3)."""
    lifecycle: State
    """On where all rules of `retention` are there."""
    retention: Retention

    @property
    def is_as_wanted(self) -> bool:
        """Whether everything is on."""
        return {self.versioning, self.encryption, self.lifecycle} == {State.ON}


class NotProvisioned(LookupError):
    """The tenant has no bucket."""


class NotEmpty(Exception):
    """The bucket holds objects, or old versions of some."""


class NotErased(Exception):
    """The server did not delete an object; the message has its reason."""


class TenantBuckets:
    """The tenants of one S3 server. Use as a context manager: leaving it closes its connections.

    Every method raises the store's own errors (`radrelay_shared.objects.OUTAGES`) where it is away or refuses us, and
    NoBucketName where the tenant cannot have a bucket.
    """

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self._prefix = settings.bucket_prefix
        clients = open_clients(settings)
        self._client, self._http = clients.minio, clients.http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.clear()

    def add(self, tenant: str, retention: Retention = UNCHANGED) -> tuple[TenantBucket | None, TenantBucket]:
        """Make the tenant's bucket, and set what is not set as it should be; return it as it was and as it is.

        Times that are not given stay as they are, or become the default. Rules of others stay.
        """
        bucket = bucket_of(self._prefix, tenant)
        before = None if self._make(bucket) else self._look(tenant, bucket)
        if before is None or before.versioning is not State.ON:
            versioning = VersioningConfig(ENABLED)
            self._if_offered(lambda: self._client.set_bucket_versioning(bucket_name=bucket, config=versioning))
        if before is None or before.encryption is not State.ON:
            encryption = SSEConfig(Rule.new_sse_s3_rule())
            self._if_offered(lambda: self._client.set_bucket_encryption(bucket_name=bucket, config=encryption))
        kept = before.retention if before else UNCHANGED
        wanted = retention.over(kept).over(DEFAULT)
        if wanted != kept:
            self._if_offered(lambda: self._set_lifecycle(bucket, wanted))
        return before, self._look(tenant, bucket)

    def _make(self, bucket: str) -> bool:
        if self._client.bucket_exists(bucket_name=bucket):
            return False
        try:
            self._client.make_bucket(bucket_name=bucket)
        except S3Error as error:
            if error.code in _THERE_ALREADY:
                return False  # somebody else was faster
            raise
        return True

    def _set_lifecycle(self, bucket: str, wanted: Retention) -> None:
        present = self._client.get_bucket_lifecycle(bucket_name=bucket)
        self._client.set_bucket_lifecycle(bucket_name=bucket, config=lifecycle(wanted, beside=present))

    def all(self) -> list[TenantBucket]:
        """All tenants, by name."""
        names = [bucket.name for bucket in self._client.list_buckets()]
        tenants = sorted((tenant, name) for name in names if (tenant := tenant_of(self._prefix, name)) is not None)
        return [self._look(tenant, name) for tenant, name in tenants]

    def _look(self, tenant: str, bucket: str) -> TenantBucket:
        versioning, _ = self._if_offered(lambda: self._client.get_bucket_versioning(bucket_name=bucket))
        encryption, _ = self._if_offered(lambda: self._client.get_bucket_encryption(bucket_name=bucket))
        rules, has_rules = self._if_offered(lambda: self._client.get_bucket_lifecycle(bucket_name=bucket))
        retention = retention_in(rules)
        return TenantBucket(
            tenant,
            bucket,
            versioning=State.NOT_OFFERED if versioning is None else _state(on=versioning.status == ENABLED),
            # None where nothing is set, too.
            encryption=_state(on=encryption is not None and encryption.rule.sse_algorithm == AES256),
            lifecycle=_state(on=retention.over(DEFAULT) == retention) if has_rules else State.NOT_OFFERED,
            retention=retention,
        )

    def _if_offered(self, call: Callable[[], T]) -> tuple[T | None, bool]:
        """What the call gives, and whether the server knows it."""
        try:
            return call(), True
        except S3Error as error:
            if error.code in _NOT_OFFERED:
                return None, False
            raise

    def remove(self, tenant: str, *, erase: bool) -> int:
        """Remove the tenant's bucket; return how many objects went with it, every version counted.

        Raises:
            NotProvisioned: there is none.
            NotEmpty: it holds something, and `erase` is not asked for; nothing was removed.
            NotErased: the server kept an object; others are gone.
        """
        bucket = bucket_of(self._prefix, tenant)
        if not self._client.bucket_exists(bucket_name=bucket):
            raise NotProvisioned(tenant)
        # Not left to the server: some remove a bucket with all that is in it.
        if not erase and next(self._contents(bucket), None) is not None:
            raise NotEmpty(tenant)
        erased = 0

        def counted() -> Iterator[DeleteObject]:
            nonlocal erased
            for each in self._contents(bucket):
                erased += 1
                yield each

        for error in self._client.remove_objects(bucket_name=bucket, delete_object_list=counted()):
            raise NotErased(f"{error.code}: {error.message}")
        self._client.remove_bucket(bucket_name=bucket)
        return erased

    def _contents(self, bucket: str) -> Iterator[DeleteObject]:
        """Every version of every object, marks of deleted ones too."""
        for each in self._client.list_objects(bucket_name=bucket, recursive=True, include_version=True):
            yield DeleteObject(str(each.object_name), each.version_id)


def _state(*, on: bool) -> State:
    return State.ON if on else State.OFF
