import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import pytest
from nats.js import JetStreamContext
from pydicom.data import get_testdata_file

from ingest_service.domain.identity import instance_id_of
from radrelay_shared.events import InstanceStored, Urgency, parse_event
from radrelay_shared.messaging import durables
from radrelay_shared.objects import S3ObjectStore, keys
from support.dicom_files import dicom_file, encode, image, zip_of
from support.ingest_api import IngestUser
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
Working = Callable[..., AbstractAsyncContextManager[None]]


async def published(js: JetStreamContext, tenant: str) -> Counter[str]:
    """How many events lie on each of the tenant's instance subjects."""
    info = await js.stream_info(durables.INSTANCES.name, subjects_filter=f"radrelay.v1.{tenant}.instance.>")
    return Counter(info.state.subjects or {})


async def wait_for_events(js: JetStreamContext, tenant: str, number: int) -> Counter[str]:
    async with asyncio.timeout(20):
        while (found := await published(js, tenant)).total() < number:
            await asyncio.sleep(0.02)
    return found


async def test_files_and_archives_are_stored_recorded_and_announced(
    user: MakeUser, working: Working, js: JetStreamContext, objects: S3ObjectStore
) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    single, first, second = dicom_file(), dicom_file(), dicom_file()
    batch_id = await doctor.open_batch(priority="urgent", label="head scans")
    outcome = await doctor.upload(
        batch_id, {"a.dcm": single, "study.zip": zip_of({"x/1.dcm": first, "x/2.dcm": second})}, close=True
    )
    assert outcome["rejected"] == []
    assert {each["name"] for each in outcome["accepted"]} == {"a.dcm", "study.zip/x/1.dcm", "study.zip/x/2.dcm"}
    batch = await doctor.batch(batch_id)
    assert (batch["state"], batch["label"], batch["priority"]) == ("processing", "head scans", "urgent")
    assert batch["counts"] == {
        "received": 3, "queued": 3, "processing": 0, "reported": 0, "failed": 0, "cancelled": 0, "rejected": 0
    }  # fmt: skip
    by_name = {each["name"]: UUID(each["instance_id"]) for each in outcome["accepted"]}
    assert await objects.get(keys.instance(tenant, by_name["a.dcm"])) == single
    assert await objects.get(keys.instance(tenant, by_name["study.zip/x/2.dcm"])) == second

    async with working():
        assert await wait_for_events(js, tenant, 3) == {f"radrelay.v1.{tenant}.instance.stored.urgent": 3}
    message = await js.get_last_msg(durables.INSTANCES.name, f"radrelay.v1.{tenant}.instance.stored.urgent")
    event = parse_event(message.data or b"")
    assert isinstance(event.data, InstanceStored)
    assert event.data.batch_id == UUID(batch_id)
    assert event.data.priority is Urgency.URGENT
    assert event.data.object_key == keys.instance(tenant, event.data.instance_id)
    assert b"Doe" not in (message.data or b"")


async def test_each_bad_file_is_named_with_its_reason_and_its_neighbours_are_kept(user: MakeUser) -> None:
    doctor = user(new_tenant())
    good = dicom_file()
    batch_id = await doctor.open_batch()
    archive = zip_of({"ok.dcm": dicom_file(), "../up.dcm": dicom_file(), "inner.zip": b"PK", "note.txt": b"hello"})
    outcome = await doctor.upload(
        batch_id,
        {
            "good.dcm": good,
            "cut.dcm": dicom_file()[:-10],
            "letter.dcm": b"Dear colleague, " * 20,
            "empty.dcm": b"",
            "mixed.zip": archive,
            "broken.zip": archive[:-30],
            "huge.dcm": dicom_file(rows=1024, columns=2048),
        },
    )
    assert {each["name"] for each in outcome["accepted"]} == {"good.dcm", "mixed.zip/ok.dcm"}
    reasons = {each["name"]: each["reason"] for each in outcome["rejected"]}
    assert reasons == {
        "cut.dcm": "truncated",
        "letter.dcm": "not_dicom",
        "empty.dcm": "empty_file",
        "mixed.zip/../up.dcm": "unsafe_path",
        "mixed.zip/inner.zip": "nested_archive",
        "mixed.zip/note.txt": "not_dicom",
        "broken.zip": "malformed_archive",
        "huge.dcm": "too_large",
    }
    assert all(each["detail"] for each in outcome["rejected"])
    files = await doctor.files(batch_id)
    assert {name: file["reason"] for name, file in files.items() if file["status"] == "rejected"} == reasons
    assert Counter(file["status"] for file in files.values()) == {"queued": 2, "rejected": 8}
    assert (await doctor.batch(batch_id))["counts"]["rejected"] == 8


async def test_files_of_other_makers_are_taken_as_they_are(user: MakeUser, objects: S3ObjectStore) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    contents = {}
    for name in ("CT_small.dcm", "MR_small_RLE.dcm", "examples_jpeg2k.dcm", "image_dfl.dcm", "693_J2KI.dcm"):
        path = get_testdata_file(name)
        assert isinstance(path, str)
        with open(path, "rb") as file:  # noqa: PTH123, ASYNC230  # small, local, in a test
            contents[name] = file.read()
    outcome = await doctor.upload(await doctor.open_batch(), contents)
    assert outcome["rejected"] == []
    for each in outcome["accepted"]:
        assert await objects.get(keys.instance(tenant, UUID(each["instance_id"]))) == contents[each["name"]]


async def test_an_archive_disguised_by_its_name_is_found_by_its_content(user: MakeUser) -> None:
    doctor = user(new_tenant())
    inner = zip_of({"deep.dcm": dicom_file()})
    outcome = await doctor.upload(
        await doctor.open_batch(), {"study": zip_of({"image.dcm": inner, "fine.dcm": dicom_file()})}
    )
    assert [each["name"] for each in outcome["accepted"]] == ["study/fine.dcm"]
    assert [(each["name"], each["reason"]) for each in outcome["rejected"]] == [("study/image.dcm", "nested_archive")]


async def test_an_entry_whose_content_does_not_match_its_checksum_is_refused(user: MakeUser) -> None:
    doctor = user(new_tenant())
    content = bytearray(zip_of({"a.dcm": dicom_file(), "b.dcm": dicom_file()}, compression=0))
    content[400] ^= 0xFF
    outcome = await doctor.upload(await doctor.open_batch(), {"study.zip": bytes(content)})
    assert [(each["name"], each["reason"]) for each in outcome["rejected"]] == [
        ("study.zip/a.dcm", "malformed_archive")
    ]
    assert [each["name"] for each in outcome["accepted"]] == ["study.zip/b.dcm"]


async def test_the_same_bytes_again_are_one_image_and_one_event(
    user: MakeUser, working: Working, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    content = dicom_file()
    first, second = await doctor.open_batch(), await doctor.open_batch()
    (original,) = (await doctor.upload(first, {"a.dcm": content}))["accepted"]
    again = (await doctor.upload(second, {"b.dcm": content, "c.zip": zip_of({"d.dcm": content})}))["accepted"]
    assert not original["repeated"]
    assert all(each["repeated"] for each in again)
    assert {each["instance_id"] for each in again} == {original["instance_id"]}
    assert (await doctor.batch(second))["counts"]["queued"] == 2
    async with working():
        await wait_for_events(js, tenant, 1)
        await doctor.upload(second, {"e.dcm": content})
    assert (await published(js, tenant)).total() == 1


async def test_sending_an_upload_again_changes_nothing(user: MakeUser) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    files = {"a.dcm": dicom_file(), "bad.dcm": b"no", "s.zip": zip_of({"b.dcm": dicom_file(), "../c": b"x"})}
    await doctor.upload(batch_id, files)
    before = await doctor.files(batch_id)
    outcome = await doctor.upload(batch_id, files)
    assert all(each["repeated"] for each in outcome["accepted"])
    assert (await doctor.files(batch_id)).keys() == before.keys()
    assert (await doctor.batch(batch_id))["counts"]["received"] == 4


async def test_the_same_bytes_sent_at_the_same_time_are_one_image(
    user: MakeUser, working: Working, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    content = dicom_file()
    batches = [await doctor.open_batch() for _ in range(6)]
    outcomes = await asyncio.gather(
        *(doctor.upload(batch_id, {f"{n}.dcm": content for n in range(4)}) for batch_id in batches)
    )
    accepted = [each for outcome in outcomes for each in outcome["accepted"]]
    assert len(accepted) == 24
    assert {UUID(each["instance_id"]) for each in accepted} == {
        instance_id_of(tenant, "dr-a", hashlib.sha256(content).hexdigest())
    }
    assert [each["repeated"] for each in accepted].count(False) == 1
    async with working():
        await wait_for_events(js, tenant, 1)
    assert (await published(js, tenant)).total() == 1


async def test_the_same_sop_instance_with_other_content_is_a_conflict(user: MakeUser) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    dataset = image()
    original = encode(dataset)
    dataset.BodyPartExamined = "CHEST"
    altered = encode(dataset)
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {"a.dcm": original})
    outcome = await doctor.upload(batch_id, {"b.dcm": altered})
    assert [(each["name"], each["reason"]) for each in outcome["rejected"]] == [("b.dcm", "conflicting_sop_instance")]
    for other in (user(tenant, "dr-b"), user(new_tenant())):
        elsewhere = await other.upload(await other.open_batch(), {"b.dcm": altered})
        assert len(elsewhere["accepted"]) == 1


async def test_conflicting_files_sent_at_the_same_time_leave_one_image(user: MakeUser) -> None:
    doctor = user(new_tenant())
    dataset = image()
    versions = {}
    for part in ("HEAD", "CHEST", "ABDOMEN", "PELVIS"):
        dataset.BodyPartExamined = part
        versions[f"{part}.dcm"] = encode(dataset)
    outcome = await doctor.upload(await doctor.open_batch(), versions)
    assert len(outcome["accepted"]) == 1
    assert {each["reason"] for each in outcome["rejected"]} == {"conflicting_sop_instance"}


async def test_many_files_in_one_request_all_have_their_outcome(user: MakeUser) -> None:
    doctor = user(new_tenant())
    files = {f"{n}.dcm": dicom_file() if n % 3 else b"not dicom %d" % n for n in range(60)}
    batch_id = await doctor.open_batch()
    outcome = await doctor.upload(batch_id, files, close=True)
    assert (len(outcome["accepted"]), len(outcome["rejected"])) == (40, 20)
    assert (await doctor.batch(batch_id))["counts"]["received"] == 60


@pytest.mark.parametrize("kind", ["archive", "parts"])
async def test_a_name_is_shown_and_never_used_as_a_path(user: MakeUser, kind: str) -> None:
    doctor = user(new_tenant())
    name = "/etc/./Größe\u202e.dcm"
    files = {"s.zip": zip_of({name.lstrip("/"): dicom_file()})} if kind == "archive" else {name: dicom_file()}
    outcome = await doctor.upload(await doctor.open_batch(), files)
    (accepted,) = outcome["accepted"]
    assert accepted["name"].endswith("etc/./Größe\ufffd.dcm")
