"""Objects that no row refers to, and rows whose object is gone or is another."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from ingest_service.adapters.records import PostgresRecords
from ingest_service.adapters.survey import PostgresSurvey
from ingest_service.domain.archive import ArchivePlan, plan_archive
from ingest_service.domain.dicom import DicomFacts, validate_dicom
from ingest_service.domain.identity import instance_id_of
from ingest_service.domain.limits import ArchiveLimits, DicomLimits
from ingest_service.domain.model import Accepted
from ingest_service.domain.reconciling import Fault, Finding, FindingKind, Shelf
from ingest_service.handlers.batches import own_batch
from ingest_service.handlers.intake import SpooledFile, receive_file
from ingest_service.handlers.progress import apply_report
from ingest_service.handlers.reconciling import RECONCILER, Reconciler
from ingest_service.reconcile import main
from ingest_service.settings import IngestSettings
from radrelay_shared.database import Database, Scope
from radrelay_shared.objects import ObjectStat, ObjectStore, ObjectStoreSettings, S3ObjectStore, keys
from support.dicom_files import dicom_file
from support.events import report_created
from support.ingest_api import IngestUser
from support.ingest_processes import environment_of
from support.intake import make_intake
from support.stack import Infrastructure
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
TYPE = "application/dicom"
MOST = 100


@pytest.fixture
def tenant() -> str:
    return new_tenant()


@pytest.fixture
def doctor(user: MakeUser, tenant: str) -> IngestUser:
    return user(tenant)


@pytest.fixture
def reconciler(records: PostgresRecords, objects: S3ObjectStore, tmp_path: Path) -> Reconciler:
    """One that takes every object without a row for an orphan, and reads two rows at once."""
    return Reconciler(records, objects, lambda: tmp_path / "read", grace_s=-60, verify=False, page=2)


class Image:
    """An image `a.dcm` of a batch that is open."""

    def __init__(self, tenant: str, doctor: IngestUser, batch_id: str, content: bytes) -> None:
        self.doctor = doctor
        self.batch_id = batch_id
        self.content = content
        self.instance_id = instance_id_of(tenant, "dr-a", hashlib.sha256(content).hexdigest())
        self.key = keys.instance(tenant, self.instance_id)

    async def send(self) -> dict[str, Any]:
        (accepted,) = (await self.doctor.upload(self.batch_id, {"a.dcm": self.content}))["accepted"]
        return dict(accepted)

    async def file(self) -> dict[str, Any]:
        return (await self.doctor.files(self.batch_id))["a.dcm"]


@pytest.fixture
async def image(tenant: str, doctor: IngestUser) -> Image:
    made = Image(tenant, doctor, await doctor.open_batch(), dicom_file())
    await made.send()
    return made


async def mended(reconciler: Reconciler, tenant: str) -> list[tuple[FindingKind, Fault | None]]:
    """Mend all that is found, and say what that was."""
    findings = (await reconciler.find(tenant, MOST)).findings
    assert [await reconciler.mend(each) for each in findings] == [True] * len(findings)
    return [(each.kind, each.fault) for each in findings]


async def acts(database: Database, tenant: str) -> list[tuple[str, UUID | None, str | None]]:
    """What the reconciler's records in the audit chain say."""
    query = text("SELECT action, instance_id, reason FROM ingest.audit WHERE actor = :actor ORDER BY sequence")
    async with database.transaction(Scope.service(tenant)) as session:
        return [
            (row.action, row.instance_id, row.reason) for row in await session.execute(query, {"actor": RECONCILER})
        ]


async def submission(database: Database, tenant: str) -> int:
    async with database.transaction(Scope.service(tenant)) as session:
        return int((await session.execute(text("SELECT submission FROM ingest.instance"))).scalar_one())


async def test_where_all_is_in_order_nothing_is_found(tenant: str, doctor: IngestUser, reconciler: Reconciler) -> None:
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {f"{n}.dcm": dicom_file() for n in range(5)} | {"x.dcm": b"no", "y.dcm": b"nor this"})
    result = await reconciler.find(tenant, MOST)
    assert (result.objects, result.records, result.given_up, result.findings) == (7, 7, 0, [])


async def test_orphans_are_found_among_what_is_in_order_and_removed_alone(
    tenant: str, doctor: IngestUser, reconciler: Reconciler, objects: S3ObjectStore, database: Database
) -> None:
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {f"{n}.dcm": dicom_file() for n in range(3)} | {"x.dcm": b"no"})
    before = [key async for key in objects.list_keys(f"{tenant}/")]
    orphan_id = uuid4()
    orphans = [
        keys.instance(tenant, orphan_id),
        keys.rejected(tenant, uuid4()),
        f"{tenant}/instances/{uuid4()}.DCM",
        f"{tenant}/instances/zzz",
    ]
    for key in orphans:
        await objects.put(key, b"abc", content_type=TYPE)
    result = await reconciler.find(tenant, MOST)
    assert {(each.key, each.kind) for each in result.findings} == {(key, FindingKind.ORPHAN) for key in orphans}
    assert [key async for key in objects.list_keys(f"{tenant}/")] == sorted([*before, *orphans])
    await mended(reconciler, tenant)
    assert [key async for key in objects.list_keys(f"{tenant}/")] == before
    assert ("object.removed", orphan_id, None) in await acts(database, tenant)
    assert (await reconciler.find(tenant, MOST)).findings == []


async def test_an_object_that_is_younger_than_the_grace_time_is_left_alone(
    tenant: str, records: PostgresRecords, objects: S3ObjectStore, tmp_path: Path
) -> None:
    key = keys.instance(tenant, uuid4())
    await objects.put(key, b"abc", content_type=TYPE)
    reconciler = Reconciler(records, objects, lambda: tmp_path / "read", grace_s=3600, verify=False)
    assert (await reconciler.find(tenant, MOST)).findings == []
    old = Finding(tenant, FindingKind.ORPHAN, Shelf.INSTANCES, key, uuid4(), None, 3)
    assert not await reconciler.mend(old)  # as where somebody put it anew since it was found
    assert await objects.stat(key) is not None


@pytest.mark.parametrize(
    ("content", "fault"), [(None, Fault.MISSING), (b"short", Fault.SIZE)], ids=["gone", "of another size"]
)
async def test_a_lost_image_is_failed_and_sending_the_same_bytes_again_heals_it(
    tenant: str,
    image: Image,
    reconciler: Reconciler,
    objects: S3ObjectStore,
    database: Database,
    content: bytes | None,
    fault: Fault,
) -> None:
    await objects.delete(image.key)
    if content is not None:
        await objects.put(image.key, content, content_type=TYPE)
    assert await mended(reconciler, tenant) == [(FindingKind.DANGLING, fault)]
    file = await image.file()
    assert (file["status"], file["reason"], fault in file["detail"]) == ("failed", "object_lost", True)
    assert (await image.doctor.batch(image.batch_id))["counts"]["failed"] == 1
    assert (await image.doctor.call("POST", f"/{image.batch_id}/retry")).json()["retried"] == 0
    assert await acts(database, tenant) == [("instance.lost", image.instance_id, fault)]
    assert await objects.stat(image.key) is None
    result = await reconciler.find(tenant, MOST)
    assert (result.given_up, result.findings) == (1, [])  # once it is known it is no finding

    assert (await image.send())["repeated"]
    assert await objects.get(image.key) == image.content
    assert ((await image.file())["status"], await submission(database, tenant)) == ("queued", 2)
    result = await reconciler.find(tenant, MOST)
    assert (result.given_up, result.findings) == (0, [])


async def test_a_reported_image_that_is_lost_stays_reported_and_is_healed_without_being_screened_again(
    tenant: str,
    image: Image,
    reconciler: Reconciler,
    records: PostgresRecords,
    objects: S3ObjectStore,
    database: Database,
) -> None:
    await apply_report(records, report_created(tenant=tenant, instance_id=image.instance_id), consumer="test")
    await objects.delete(image.key)
    assert await mended(reconciler, tenant) == [(FindingKind.DANGLING, Fault.MISSING)]
    assert (await image.file())["status"] == "reported"
    await image.send()
    assert await objects.get(image.key) == image.content
    assert ((await image.file())["status"], await submission(database, tenant)) == ("reported", 1)
    assert (await reconciler.find(tenant, MOST)).given_up == 0


async def test_an_image_whose_object_a_worker_missed_is_healed_by_sending_it_again(
    tenant: str, image: Image, records: PostgresRecords, objects: S3ObjectStore, database: Database
) -> None:
    await objects.delete(image.key)
    query = "UPDATE ingest.instance SET status = 'failed', reason = 'object_missing', detail = 'no such object'"
    async with database.transaction(Scope.service(tenant)) as session:
        await session.execute(text(query))
    await image.send()
    assert await objects.get(image.key) == image.content
    assert ((await image.file())["status"], await submission(database, tenant)) == ("queued", 2)


async def test_changed_bytes_of_the_same_size_are_found_by_reading_them(
    tenant: str, image: Image, records: PostgresRecords, objects: S3ObjectStore, tmp_path: Path
) -> None:
    changed = image.content[:-1] + bytes([image.content[-1] ^ 1])
    await objects.delete(image.key)
    await objects.put(image.key, changed, content_type=TYPE)

    def reconciler(*, verify: bool) -> Reconciler:
        return Reconciler(records, objects, lambda: tmp_path / "read", grace_s=-60, verify=verify)

    assert (await reconciler(verify=False).find(tenant, MOST)).findings == []
    assert await mended(reconciler(verify=True), tenant) == [(FindingKind.DANGLING, Fault.SHA256)]
    await image.send()
    assert await objects.get(image.key) == image.content
    assert (await reconciler(verify=True).find(tenant, MOST)).findings == []
    assert not (tmp_path / "read").exists()


async def test_a_rejected_file_whose_bytes_are_gone_is_forgotten(
    tenant: str, doctor: IngestUser, reconciler: Reconciler, objects: S3ObjectStore, database: Database
) -> None:
    await doctor.upload(await doctor.open_batch(), {"a.dcm": b"no", "b.dcm": b"nor this"})
    listed = (await doctor.request("GET", "/v1/rejected-files")).json()["rejected_files"]
    gone = next(each for each in listed if each["name"] == "a.dcm")
    await objects.delete(keys.rejected(tenant, UUID(gone["rejected_id"])))
    assert await mended(reconciler, tenant) == [(FindingKind.DANGLING, Fault.MISSING)]
    left = (await doctor.request("GET", "/v1/rejected-files")).json()["rejected_files"]
    assert [each["name"] for each in left] == ["b.dcm"]
    assert await acts(database, tenant) == [("rejected.lost", None, "missing")]
    assert (await reconciler.find(tenant, MOST)).findings == []


async def test_an_object_that_was_brought_back_is_noticed_and_its_image_screened(
    tenant: str, image: Image, reconciler: Reconciler, objects: S3ObjectStore, database: Database
) -> None:
    await objects.delete(image.key)
    await mended(reconciler, tenant)
    await objects.put(image.key, image.content, content_type=TYPE)
    assert await mended(reconciler, tenant) == [(FindingKind.RESTORED, None)]
    assert ((await image.file())["status"], await submission(database, tenant)) == ("queued", 2)
    assert [action for action, *_ in await acts(database, tenant)] == ["instance.lost", "instance.restored"]
    assert (await reconciler.find(tenant, MOST)).given_up == 0


class InProcess:
    """The validator without its processes."""

    async def validate(self, path: Path) -> DicomFacts:
        return validate_dicom(path, DicomLimits())

    async def plan(self, path: Path) -> ArchivePlan:
        return plan_archive(path, ArchiveLimits())


class Interrupted(S3ObjectStore):
    """A store in which something else happens right after a put, or before somebody is told what is there."""

    after_put: Callable[[], Awaitable[object]] | None = None
    before_stat: Callable[[], Awaitable[object]] | None = None

    async def put_file(self, key: str, path: Path, *, sha256: str, content_type: str) -> bool:
        is_new = await super().put_file(key, path, sha256=sha256, content_type=content_type)
        hook, self.after_put = self.after_put, None
        if hook is not None:
            await hook()
        return is_new

    async def stat(self, key: str) -> ObjectStat | None:
        hook, self.before_stat = self.before_stat, None
        if hook is not None:
            await hook()
        return await super().stat(key)


class Race:
    """Bytes that lie in the store as an orphan, which the reconciler has found, and that somebody sends again."""

    def __init__(self, image: Image, finding: Finding, receive: Callable[[ObjectStore], Awaitable[object]]) -> None:
        self.image = image
        self.finding = finding
        self.receive = receive


@pytest.fixture
async def race(
    tenant: str,
    doctor: IngestUser,
    records: PostgresRecords,
    objects: S3ObjectStore,
    reconciler: Reconciler,
    tmp_path: Path,
) -> Race:
    image = Image(tenant, doctor, await doctor.open_batch(), dicom_file())
    path = tmp_path / "spooled"
    path.write_bytes(image.content)
    await objects.put(image.key, image.content, content_type=TYPE)
    (finding,) = (await reconciler.find(tenant, MOST)).findings
    caller = Scope(tenant, "dr-a", "clinician")
    batch = await own_batch(records, caller, UUID(image.batch_id))
    file = SpooledFile("a.dcm", path, len(image.content), hashlib.sha256(image.content).hexdigest())

    async def receive(store: ObjectStore) -> object:
        return await receive_file(make_intake(records, store, InProcess(), tmp_path), caller, batch, file)

    return Race(image, finding, receive)


async def test_an_orphan_that_is_removed_between_put_and_record_of_the_same_bytes_is_put_again(
    race: Race, reconciler: Reconciler, objects: S3ObjectStore, infra: Infrastructure
) -> None:
    outcomes: list[bool] = []

    async def remove() -> None:
        outcomes.append(await reconciler.mend(race.finding))

    async with Interrupted(infra.objects) as store:
        store.after_put = remove
        assert isinstance(await race.receive(store), Accepted)
    assert outcomes == [True]
    assert await objects.get(race.image.key) == race.image.content


async def test_the_removal_of_an_orphan_waits_for_who_is_recording_it_and_then_leaves_it(
    race: Race, reconciler: Reconciler, objects: S3ObjectStore, infra: Infrastructure, system: Database
) -> None:
    removals: list[asyncio.Task[bool]] = []

    async def remove_meanwhile() -> None:
        removals.append(asyncio.create_task(reconciler.mend(race.finding)))
        query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while True:
            async with system.system_transaction() as session:
                if (await session.execute(query)).scalar_one():
                    return

    async with Interrupted(infra.objects) as store:
        store.before_stat = remove_meanwhile
        assert isinstance(await race.receive(store), Accepted)
    assert [await each for each in removals] == [False]
    assert await objects.get(race.image.key) == race.image.content


async def test_a_row_that_was_written_while_the_store_was_listed_is_no_finding(
    tenant: str, image: Image, records: PostgresRecords, infra: Infrastructure, tmp_path: Path
) -> None:
    class ListedBefore(S3ObjectStore):
        """Its listings are from before the upload."""

        async def list_objects(self, prefix: str) -> AsyncIterator[ObjectStat]:
            none: tuple[ObjectStat, ...] = ()
            for each in none:
                yield each

    async with ListedBefore(infra.objects) as store:
        reconciler = Reconciler(records, store, lambda: tmp_path / "read", grace_s=-60, verify=False)
        result = await reconciler.find(tenant, MOST)
    assert await image.file()
    assert (result.objects, result.records, result.findings) == (0, 1, [])


async def test_every_tenant_that_has_a_batch_is_known_by_name(
    user: MakeUser, tenant: str, doctor: IngestUser, system: Database
) -> None:
    other = new_tenant()
    await doctor.open_batch()
    await doctor.open_batch()
    await user(other).open_batch()
    known = await PostgresSurvey(system).tenants()
    assert {tenant, other} <= set(known)
    assert known == sorted(set(known))


@pytest.fixture
def run(
    settings: IngestSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Awaitable[tuple[int, str, str]]]:
    """Runs the command for a tenant: exit status, output and errors."""

    async def command(tenant: str, *options: str, objects: ObjectStoreSettings | None = None) -> tuple[int, str, str]:
        chosen = settings.model_copy(update={"objects": objects or settings.objects})
        for name, value in environment_of(chosen, tmp_path).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["reconcile", "--tenant", tenant, *options])
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main)  # it runs an event loop of its own
        return int(ended.value.code or 0), *capsys.readouterr()

    return command


async def test_the_command_says_what_it_finds_and_mends_only_when_told_and_no_more_than_expected(
    tenant: str, image: Image, objects: S3ObjectStore, run: Callable[..., Awaitable[tuple[int, str, str]]]
) -> None:
    await objects.delete(image.key)
    orphan = keys.instance(tenant, uuid4())
    await objects.put(orphan, b"abc", content_type=TYPE)
    status, out, _ = await run(tenant, "--grace-s", "0")
    assert status == 1
    assert f"dangling instance {image.key}: missing" in out
    assert f"orphan instance {orphan}" in out
    assert "--mend" in out.splitlines()[-1]
    status, out, _ = await run(tenant, "--grace-s", "0", "--mend", "--most", "1")
    assert (status, "too many to mend" in out) == (1, True)
    assert await objects.stat(orphan) is not None
    status, out, _ = await run(tenant, "--grace-s", "0", "--mend", "--json")
    assert status == 0
    document = json.loads(out)
    (result,) = document["tenants"]
    assert (document["settled"], result["counts"]) == (True, {"orphan": 1, "dangling": 1, "restored": 0})
    assert (result["mended"], {each["key"] for each in result["findings"]}) == (2, {orphan, image.key})
    assert await objects.stat(orphan) is None
    assert (await image.file())["reason"] == "object_lost"
    status, out, _ = await run(tenant, "--grace-s", "0")
    assert (status, out) == (0, f"{tenant}: 0 objects, 1 records (1 given up); 0 orphan, 0 dangling, 0 restored\n")


async def test_a_store_that_is_away_is_no_finding(
    tenant: str, settings: IngestSettings, run: Callable[..., Awaitable[tuple[int, str, str]]]
) -> None:
    away = settings.objects.model_copy(update={"endpoint": "127.0.0.1:1"})
    status, out, err = await run(tenant, objects=away)
    assert (status, out) == (2, "")
    assert "a store is away" in err
    assert "Traceback" not in err
