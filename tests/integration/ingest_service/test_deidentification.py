"""Tenants that de-identify: what reaches the stores, the events and the sender."""

import base64
import hashlib
import io
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pydicom
import pytest
from pydantic import SecretStr
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, UltrasoundImageStorage
from sqlalchemy import make_url, text

from ingest_service.deidentification.vault import Unreadable
from ingest_service.reidentify import reidentify
from ingest_service.settings import DeidentificationSettings, IngestSettings
from radrelay_shared.database import Database, DatabaseSettings, Scope
from radrelay_shared.objects import S3ObjectStore, keys
from support import tus
from support.dicom_files import dicom_file, encode, image, zip_of
from support.identified import CANARY, encode_identified, identified_image
from support.ingest_api import IngestUser
from support.stack import Infrastructure
from support.tenants import new_tenant
from support.tokens import TestIssuer

MakeUser = Callable[..., IngestUser]
Serving = Callable[..., AbstractAsyncContextManager[str]]
Profiles = dict[str, DeidentificationSettings]


def basic() -> DeidentificationSettings:
    """The profile under a key of its own."""
    return DeidentificationSettings(mode="basic", key=SecretStr(base64.b64encode(os.urandom(32)).decode()))


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return {
        new_tenant(): basic(),
        new_tenant(): basic(),
        new_tenant(): DeidentificationSettings(mode="off"),
    }


@pytest.fixture
async def make_user(serving: Serving, profiles: Profiles, issuer: TestIssuer) -> AsyncIterator[MakeUser]:
    """Makes users of an API whose tenants de-identify."""
    async with serving(deidentification=profiles) as address, httpx.AsyncClient(base_url=address, timeout=30) as client:
        yield lambda tenant: IngestUser(client, issuer.bearer(tenant, "dr-a"))


@pytest.fixture
async def rows_of(infra: Infrastructure, ingest_database: DatabaseSettings) -> AsyncIterator[Callable[[str], Any]]:
    """Reads all that the schema holds of a tenant, past row security, by table."""
    name = make_url(ingest_database.app_url.get_secret_value()).database
    address = make_url(infra.postgres_admin_url).set(database=name).render_as_string(hide_password=False)
    admin = await asyncpg.connect(address)

    async def read(tenant: str) -> dict[str, list[str]]:
        tables = await admin.fetch(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'ingest' AND column_name = 'tenant'"
        )
        return {
            table["table_name"]: [
                row["content"]
                for row in await admin.fetch(
                    f"SELECT row_to_json(t)::text AS content FROM ingest.{table['table_name']} t WHERE tenant = $1",
                    tenant,
                )
            ]
            for table in tables
        }

    try:
        yield read
    finally:
        await admin.close()


def payload_of(row: str) -> bytes:
    """An event as it waits in the outbox."""
    return bytes.fromhex(json.loads(row)["payload"].removeprefix("\\x"))


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def identified() -> bytes:
    return encode_identified(identified_image())


async def objects_of(store: S3ObjectStore, tenant: str, accepted: list[Mapping[str, Any]]) -> list[bytes]:
    return [await store.get(keys.instance(tenant, UUID(each["instance_id"]))) for each in accepted]


async def test_nothing_identifying_reaches_the_objects_the_database_or_the_events(
    make_user: MakeUser, profiles: Profiles, objects: S3ObjectStore, rows_of: Callable[[str], Any]
) -> None:
    tenant = next(iter(profiles))
    doctor = make_user(tenant)
    batch_id = await doctor.open_batch()
    entries = {f"{CANARY}/1.dcm": identified(), f"{CANARY}.txt": b"x" * 200, f"../{CANARY}": b"up"}
    outcome = await doctor.upload(
        batch_id, {f"{CANARY}.dcm": identified(), f"{CANARY}.doc": b"x" * 300, f"{CANARY}.zip": zip_of(entries)}
    )
    assert {each["name"] for each in outcome["accepted"]} == {"file-1", "file-3/entry-1"}
    assert {each["name"] for each in outcome["rejected"]} == {"file-2", "file-3/entry-2", "file-3/entry-3"}

    stored = await objects_of(objects, tenant, outcome["accepted"])
    held = await rows_of(tenant)
    events = [payload_of(row) for row in held["outbox"]]
    assert (len(stored), len(events), len(held["instance"]), len(held["pseudonym"])) == (2, 2, 2, 1)
    for content in (*stored, *events, *(row.encode() for rows in held.values() for row in rows)):
        assert CANARY.lower().encode() not in content.lower()
        assert CANARY.encode().hex().encode() not in content

    said = {json.loads(event)["data"]["sha256"]: json.loads(event)["data"] for event in events}
    for content in stored:
        data = said[hashlib.sha256(content).hexdigest()]
        assert data["size_bytes"] == len(content)
        assert data["sop_instance_uid"] == read(content).SOPInstanceUID


async def test_parts_of_a_resumable_upload_wait_sealed_and_without_their_name(
    make_user: MakeUser,
    profiles: Profiles,
    objects: S3ObjectStore,
    rows_of: Callable[[str], Any],
    working: Callable[..., AbstractAsyncContextManager[None]],
) -> None:
    tenant = next(iter(profiles))
    doctor = make_user(tenant)
    batch_id = await doctor.open_batch()
    await tus.send_all(doctor, batch_id, identified(), f"{CANARY}.dcm")
    (key,) = [key async for key in objects.list_keys(f"{tenant}/uploads/")]
    rows = [row.encode() for rows in (await rows_of(tenant)).values() for row in rows]
    for content in (await objects.get(key), *rows):
        assert CANARY.lower().encode() not in content.lower()
    async with working(deidentification=profiles, taking_in_interval_s=0.05):
        await doctor.wait_for(batch_id, lambda batch: batch["counts"]["received"] == 1)
    files = await doctor.files(batch_id)
    assert {name: file["status"] for name, file in files.items()} == {"file-1": "queued"}
    (stored,) = await objects_of(objects, tenant, list(files.values()))
    assert CANARY.lower().encode() not in stored.lower()


async def test_the_same_bytes_again_are_a_repeat_and_the_same_uid_with_others_a_conflict(
    make_user: MakeUser, profiles: Profiles, rows_of: Callable[[str], Any]
) -> None:
    tenant = list(profiles)[1]
    doctor = make_user(tenant)
    original = identified_image()
    content = encode_identified(original)
    batch_id = await doctor.open_batch()
    (first,) = (await doctor.upload(batch_id, {"a.dcm": content}))["accepted"]
    (again,) = (await doctor.upload(await doctor.open_batch(), {"b.dcm": content}))["accepted"]
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["instance_id"] == again["instance_id"]
    original.Modality = "MR"
    (other,) = (await doctor.upload(batch_id, {"a.dcm": encode_identified(original)}))["rejected"]
    assert other["reason"] == "conflicting_sop_instance"
    held = await rows_of(tenant)
    assert (len(held["instance"]), len(held["outbox"]), len(held["pseudonym"])) == (1, 1, 1)


async def test_a_lost_image_that_is_sent_again_is_de_identified_again(
    make_user: MakeUser, profiles: Profiles, objects: S3ObjectStore, database: Database
) -> None:
    tenant = next(iter(profiles))
    doctor = make_user(tenant)
    batch_id = await doctor.open_batch()
    content = identified()
    accepted = (await doctor.upload(batch_id, {"a.dcm": content}))["accepted"]
    (stored,) = await objects_of(objects, tenant, accepted)
    await objects.delete(keys.instance(tenant, UUID(accepted[0]["instance_id"])))
    query = text("UPDATE ingest.instance SET lost_at = now() WHERE instance_id = :instance_id")
    async with database.transaction(Scope.service(tenant)) as session:
        await session.execute(query, {"instance_id": UUID(accepted[0]["instance_id"])})
    (again,) = (await doctor.upload(batch_id, {"a.dcm": content}))["accepted"]
    assert (again["instance_id"], again["repeated"]) == (accepted[0]["instance_id"], True)
    assert await objects_of(objects, tenant, accepted) == [stored]


async def test_a_patient_is_one_pseudonym_in_a_tenant_and_another_in_the_next_and_stays_where_it_is_off(
    make_user: MakeUser, profiles: Profiles, objects: S3ObjectStore
) -> None:
    found = []
    for tenant in profiles:
        first, second = image(), image()
        first.PatientID = second.PatientID = "P-17"
        doctor = make_user(tenant)
        files = {"a.dcm": encode(first), "b.dcm": encode(second)}
        outcome = await doctor.upload(await doctor.open_batch(), files)
        stored = await objects_of(objects, tenant, outcome["accepted"])
        found.append({read(content).PatientID for content in stored})
    assert [len(each) for each in found] == [1, 1, 1]
    assert found[2] == {"P-17"}
    assert len(set.union(*found)) == 3


async def test_a_tenant_that_does_not_de_identify_gets_back_the_bytes_and_names_it_sent(
    make_user: MakeUser, profiles: Profiles, objects: S3ObjectStore
) -> None:
    for tenant in (list(profiles)[2], new_tenant()):
        doctor, content = make_user(tenant), dicom_file()
        outcome = await doctor.upload(await doctor.open_batch(), {"scan.dcm": content})
        assert [each["name"] for each in outcome["accepted"]] == ["scan.dcm"]
        assert await objects_of(objects, tenant, outcome["accepted"]) == [content]


async def test_pixels_that_may_name_the_patient_are_refused_and_nothing_of_them_is_kept(
    make_user: MakeUser, profiles: Profiles, rows_of: Callable[[str], Any]
) -> None:
    tenant = next(iter(profiles))
    doctor = make_user(tenant)
    said, unsaid = image(), image()
    said.BurnedInAnnotation = "YES"
    unsaid.SOPClassUID = UltrasoundImageStorage
    before = len((await rows_of(tenant))["instance"])
    outcome = await doctor.upload(await doctor.open_batch(), {"a.dcm": encode(said), "b.dcm": encode(unsaid)})
    assert [each["reason"] for each in outcome["rejected"]] == ["burned_in_annotation"] * 2
    assert len((await rows_of(tenant))["instance"]) == before


async def test_a_modality_hears_of_the_uids_that_it_sent_also_when_it_repeats(
    make_user: MakeUser, profiles: Profiles
) -> None:
    doctor, original = make_user(next(iter(profiles))), image()
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + encode(original) + b"\r\n--b--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'} | doctor.headers
    for _ in range(2):
        response = await doctor.client.post(
            f"/dicomweb/studies/{original.StudyInstanceUID}", content=body, headers=headers
        )
        assert response.status_code == 200, response.text
        (item,) = Dataset.from_json(response.json()).ReferencedSOPSequence
        assert item.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert item.ReferencedSOPClassUID == CTImageStorage


async def test_the_way_back_takes_the_tenants_key_and_is_audited(
    make_user: MakeUser,
    profiles: Profiles,
    objects: S3ObjectStore,
    settings: IngestSettings,
    database: Database,
    rows_of: Callable[[str], Any],
) -> None:
    tenant, other = list(profiles)[:2]
    doctor, original = make_user(tenant), image()
    original.PatientID = "P-4711"
    outcome = await doctor.upload(await doctor.open_batch(), {"a.dcm": encode(original)})
    (stored,) = await objects_of(objects, tenant, outcome["accepted"])
    pseudonym = read(stored).PatientID

    def with_profiles(changed: Profiles) -> IngestSettings:
        return settings.model_copy(update={"deidentification": changed})

    assert await reidentify(with_profiles(profiles), tenant, pseudonym) == "P-4711"
    assert sum("patient.reidentified" in row for row in (await rows_of(tenant))["audit"]) == 1
    with pytest.raises(Unreadable):
        await reidentify(with_profiles({tenant: basic()}), tenant, pseudonym)
    with pytest.raises(LookupError, match="no such pseudonym"):
        await reidentify(with_profiles(profiles), other, pseudonym)
    with pytest.raises(LookupError, match="no key"):
        await reidentify(settings, tenant, pseudonym)
    async with database.transaction(Scope.service(other)) as session:
        seen = (await session.connection()).exec_driver_sql("SELECT DISTINCT tenant FROM ingest.pseudonym")
        assert {row.tenant for row in await seen} <= {other}
