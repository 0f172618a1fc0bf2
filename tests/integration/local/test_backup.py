"""Backups of a database, a store and a broker: what is copied, what is put back, and what is refused."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import URL, make_url

from radrelay_local.backup import database, taking
from radrelay_local.backup.folder import Backup, alone, finished
from radrelay_local.backup.places import Places, elsewhere
from radrelay_local.errors import StackError
from radrelay_local.programs import postgres_program
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_local.tenants.retention import Retention
from radrelay_shared.database.outbox import announce_again
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import S3ObjectStore
from support.databases import dsn, migrated, new_database, provisioned
from support.stack import Infrastructure
from support.tenants import new_tenant

KEY = "instances/image.dcm"
WHEEL = 18
"""The version of PostgreSQL whose programs are installed here."""
EVENT = (
    "INSERT INTO ingest.outbox (event_id, tenant, subject, payload, created_at, published_at)"
    " VALUES ($1, $2, $3, '\\x7b7d', $4, $4)"
)


async def places_of(infra: Infrastructure, prefix: str) -> Places:
    """An installation of its own on the shared servers: another database, and other buckets."""
    address = await new_database(infra.postgres_admin_url)
    await migrated(address, "ingest")
    for service in ("report", "dashboard"):
        await provisioned(address, service)
    broker = make_url(infra.nats_url)
    return Places(
        make_url(address),
        infra.objects.model_copy(update={"bucket_prefix": prefix}),
        NatsSettings(
            url=broker.set(username=None, password=None).render_as_string(),
            user=broker.username,
            password=SecretStr(str(broker.password)),
        ),
        postgres_program,
    )


@pytest.fixture(scope="module", autouse=True)
async def _programs_of_the_server(infra: Infrastructure) -> None:
    connection = await asyncpg.connect(infra.postgres_admin_url)
    try:
        server = connection.get_server_version().major
    finally:
        await connection.close()
    if server != WHEEL:
        pytest.skip(f"the server is PostgreSQL {server}, and pg_restore here is of {WHEEL}")


@pytest.fixture
async def source(infra: Infrastructure) -> Places:
    return await places_of(infra, f"from-{new_tenant()}"[:24].rstrip("-"))


@pytest.fixture
async def target(infra: Infrastructure) -> Places:
    return await places_of(infra, f"into-{new_tenant()}"[:24].rstrip("-"))


@pytest.fixture
async def connection(source: Places) -> AsyncIterator[asyncpg.Connection]:
    opened = await database.connect(source.database)
    yield opened
    await opened.close()


@pytest.fixture
def tenant(source: Places) -> Iterator[str]:
    name = new_tenant()
    with TenantBuckets(source.objects) as buckets:
        buckets.add(name, Retention(old_version_days=90))
    yield name
    with TenantBuckets(source.objects) as buckets:
        buckets.remove(name, erase=True)


async def put(places: Places, key: str, content: bytes) -> None:
    async with S3ObjectStore(places.objects) as store:
        await store.put(key, content, content_type="application/dicom")


async def take(places: Places, folder: Path) -> taking.Taken:
    return await taking.take(places, folder, lambda _: None)


async def put_back(places: Places, backup: Backup, *, over: bool = False) -> None:
    await taking.put_back(places, backup, over=over, again=timedelta(hours=2), tell=lambda _: None)


async def announce(connection: asyncpg.Connection, tenant: str, name: str, at: datetime) -> None:
    await connection.execute(EVENT, f"{name}-{tenant}", tenant, f"radrelay.v1.{tenant}.{name}", at)


async def test_rows_objects_and_lifecycles_come_back(
    source: Places, target: Places, connection: asyncpg.Connection, tenant: str, tmp_path: Path
) -> None:
    await put(source, f"{tenant}/{KEY}", b"pixels")
    await put(source, f"{tenant}/renderings/report/drawn.png", b"drawn again when asked for")
    await announce(connection, tenant, "instance.stored", datetime.now(UTC))
    taken = await take(source, tmp_path)
    assert taken.objects == 1
    await put_back(target, taken.backup)
    async with S3ObjectStore(target.objects) as store:
        assert [each.key async for each in store.list_objects(f"{tenant}/")] == [f"{tenant}/{KEY}"]
        assert await store.get(f"{tenant}/{KEY}") == b"pixels"
        found = await store.stat(f"{tenant}/{KEY}")
    assert found is not None
    assert found.content_type == "application/dicom"
    with TenantBuckets(target.objects) as buckets:
        assert [each.retention.old_version_days for each in buckets.all()] == [90]
        buckets.remove(tenant, erase=True)
    restored = await database.connect(target.database)
    try:
        assert await restored.fetchval("SELECT count(*) FROM ingest.outbox WHERE published_at IS NULL") == 1
        owner = "SELECT tableowner FROM pg_tables WHERE schemaname = 'ingest' AND tablename = 'outbox'"
        assert await restored.fetchval(owner) == "ingest_owner"
    finally:
        await restored.close()


async def test_a_second_backup_copies_what_is_new_and_forgets_what_no_backup_lists(
    source: Places, tenant: str, tmp_path: Path
) -> None:
    await put(source, f"{tenant}/instances/kept.dcm", b"kept")
    await put(source, f"{tenant}/instances/erased.dcm", b"erased")
    first = await take(source, tmp_path)
    kept, erased = (first.backup.file_of(f"{tenant}/instances/{name}.dcm") for name in ("kept", "erased"))
    copied_at = kept.stat().st_mtime_ns
    async with S3ObjectStore(source.objects) as store:
        await store.delete(f"{tenant}/instances/erased.dcm")
    await put(source, f"{tenant}/instances/new.dcm", b"new")
    second = await take(source, tmp_path)
    assert (second.objects, second.pruned) == (2, 0)
    assert kept.stat().st_mtime_ns == copied_at
    assert erased.is_file()  # the first backup still has it
    for path in first.backup.path.iterdir():
        path.unlink()
    first.backup.path.rmdir()
    third = await take(source, tmp_path)
    assert third.pruned == 1
    assert not erased.exists()
    assert [each.path for each in finished(tmp_path)] == [second.backup.path, third.backup.path]


async def test_an_object_that_changed_is_copied_anew(source: Places, tenant: str, tmp_path: Path) -> None:
    await put(source, f"{tenant}/{KEY}", b"damaged")
    await take(source, tmp_path)
    await put(source, f"{tenant}/{KEY}", b"whole, now")
    taken = await take(source, tmp_path)
    assert taken.backup.file_of(f"{tenant}/{KEY}").read_bytes() == b"whole, now"


async def test_rows_are_not_lost_unless_that_is_asked_for(
    source: Places, connection: asyncpg.Connection, tenant: str, tmp_path: Path
) -> None:
    await announce(connection, tenant, "instance.stored", datetime.now(UTC))
    taken = await take(source, tmp_path)
    await announce(connection, tenant, "after", datetime.now(UTC))
    with pytest.raises(StackError, match=r"ingest\.outbox has rows"):
        await put_back(source, taken.backup)
    assert await connection.fetchval("SELECT count(*) FROM ingest.outbox") == 2
    await put_back(source, taken.backup, over=True)
    assert await connection.fetchval("SELECT count(*) FROM ingest.outbox") == 1


async def test_nothing_is_put_back_under_a_service(
    infra: Infrastructure, source: Places, tenant: str, tmp_path: Path
) -> None:
    taken = await take(source, tmp_path)
    settings = await provisioned(source.database.render_as_string(hide_password=False), "ingest")
    service = await asyncpg.connect(dsn(settings.app_url))
    try:
        with pytest.raises(StackError, match="ingest_app are connected"):
            await put_back(source, taken.backup)
    finally:
        await service.close()


async def test_a_damaged_dump_or_object_is_found_before_a_row_is_changed(
    source: Places, target: Places, tenant: str, tmp_path: Path
) -> None:
    await put(source, f"{tenant}/{KEY}", b"pixels")
    taken = await take(source, tmp_path)
    copied = taken.backup.file_of(f"{tenant}/{KEY}")
    copied.write_bytes(b"pixelz")
    with pytest.raises(StackError, match="is damaged"):
        await put_back(target, taken.backup)
    copied.unlink()
    with pytest.raises(StackError, match="1 objects are missing"):
        await put_back(target, taken.backup)
    with TenantBuckets(target.objects) as buckets:
        buckets.remove(tenant, erase=True)
    content = bytearray(taken.backup.database.read_bytes())
    content[-1] ^= 1
    taken.backup.database.write_bytes(content)
    with pytest.raises(StackError, match=r"database\.dump is damaged"):
        await put_back(target, taken.backup)


async def test_another_servers_program_is_refused_before_anything_is_changed(
    source: Places, target: Places, tenant: str, tmp_path: Path
) -> None:
    taken = await take(source, tmp_path)
    older = tmp_path / "pg_restore"
    older.write_text("#!/bin/sh\necho 'pg_restore (PostgreSQL) 9.6'\n")
    older.chmod(0o755)
    with pytest.raises(StackError, match=f"pg_restore is of PostgreSQL 9, the server of {WHEEL}"):
        await put_back(replace(target, program=lambda _: str(older)), taken.backup)


async def test_an_unfinished_backup_is_none_and_goes_with_the_next(tmp_path: Path) -> None:
    with alone(tmp_path):
        begun = Backup.begin(tmp_path)
    assert finished(tmp_path) == []
    with pytest.raises(StackError, match="is no backup"):
        begun.manifest()
    with alone(tmp_path), pytest.raises(StackError, match="another backup"), alone(tmp_path):
        pass  # not reached
    assert not begun.path.exists()


async def test_nobody_else_may_read_a_backup(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with alone(folder):
        begun = Backup.begin(folder)
    assert {path.stat().st_mode & 0o077 for path in (folder, begun.path, folder / "objects")} == {0}


async def test_only_late_events_are_announced_again_and_no_heads(connection: asyncpg.Connection) -> None:
    tenant, now = new_tenant(), datetime.now(UTC)
    await announce(connection, tenant, "instance.stored", now)
    await announce(connection, tenant, "audit.head_published", now)
    await announce(connection, tenant, "report.created", now - timedelta(hours=3))
    assert await announce_again(connection, "ingest", now - timedelta(hours=2)) == 1
    waiting = await connection.fetch("SELECT event_id FROM ingest.outbox WHERE published_at IS NULL")
    assert [row["event_id"] for row in waiting] == [f"instance.stored-{tenant}"]
    assert await announce_again(connection, "dashboard", now) == 0  # has no outbox


@pytest.mark.parametrize("key", ["north/../../etc/passwd", "north//a", "../a", "."])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(StackError, match="cannot be the name of a file"):
        Backup(tmp_path / "one").file_of(key)


def test_three_servers_are_named_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert elsewhere(tmp_path) is None
    monkeypatch.setenv("RADRELAY_NATS__URL", "nats://broker:4222")
    with pytest.raises(StackError, match="RADRELAY_DATABASE__ADMIN_URL and RADRELAY_OBJECTS__ENDPOINT must be set"):
        elsewhere(tmp_path)
    monkeypatch.setenv("RADRELAY_DATABASE__ADMIN_URL", "postgresql+asyncpg://admin:pw@db:5432/radrelay?sslmode=require")
    for name, value in {"ENDPOINT": "store:9000", "ACCESS_KEY": "key", "SECRET_KEY": "secret"}.items():
        monkeypatch.setenv(f"RADRELAY_OBJECTS__{name}", value)
    places = elsewhere(tmp_path)
    assert places is not None
    assert isinstance(places.database, URL)
    assert (places.database.host, places.objects.endpoint) == ("db", "store:9000")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="pg_dump is not installed"):
        places.program("pg_dump")


def test_the_manifest_says_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "backup.json").write_text(json.dumps({"taken_at": "2026-11-30T08:00:00Z", "radrelay": "0.1.0"}))
    with pytest.raises(StackError, match="is no backup"):
        Backup(tmp_path).manifest()
