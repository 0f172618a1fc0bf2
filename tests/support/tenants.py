"""Tenants of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.objects import ObjectStoreSettings

_stores: list[TenantBuckets] = []
_early: list[str] = []
"""Made before there was any store, as by modules of tests when they are imported."""


def new_tenant() -> str:
    """A tenant that no other test has, added to every object store that runs for tests."""
    tenant = f"t-{uuid4().hex[:12]}"
    if not _stores:
        _early.append(tenant)
    for store in _stores:
        store.add(tenant)
    return tenant


@contextmanager
def tenants_on(settings: ObjectStoreSettings) -> Iterator[None]:
    """While the block runs, each new tenant is added to a store, which also has those made early."""
    with TenantBuckets(settings) as store:
        for tenant in _early:
            store.add(tenant)
        _stores.append(store)
        try:
            yield
        finally:
            _stores.remove(store)
