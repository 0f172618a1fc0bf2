"""The DICOM network intake against pynetdicom's own SCU."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID, CTImageStorage, DeflatedExplicitVRLittleEndian, MRImageStorage

from ingest_service.dimse.server import transfer_syntaxes
from ingest_service.domain.dicom import ENCAPSULATED_SYNTAXES
from ingest_service.settings import IngestSettings
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.objects import S3ObjectStore
from support.dicom_files import compressed, dicom_file, encode, image, set_pixels
from support.dicom_network import (
    STAT,
    TENANTS,
    Modality,
    batches_of,
    closed_batches,
    data_set_of,
    rejection_of,
    stored_bytes,
)
from support.ingest_api import IngestUser
from support.stack import Infrastructure

Listening = Callable[..., AbstractAsyncContextManager[int]]
MakeModality = Callable[..., Modality]


async def test_an_echo_is_answered(modality: MakeModality) -> None:
    async with modality().association() as association:
        answer = await asyncio.to_thread(association.send_c_echo)
    assert answer.Status == 0x0000


async def test_an_association_is_a_batch_of_its_owner_and_holds_what_was_sent(
    modality: MakeModality, doctor: Callable[[Modality], IngestUser], objects: S3ObjectStore, tmp_path: Path
) -> None:
    scanner = modality()
    sent = [dicom_file() for _ in range(3)]
    assert await scanner.send(*sent) == [0x0000] * 3
    owner = doctor(scanner)
    (batch,) = await closed_batches(owner)
    assert batch["label"] == f"C-STORE from {scanner.calling_ae}"
    assert batch["counts"]["queued"] == 3
    files = await owner.files(batch["batch_id"])
    for file in sent:
        uid = str(dcmread(BytesIO(file)).SOPInstanceUID)
        stored = await stored_bytes(objects, scanner, files[uid]["instance_id"])
        assert data_set_of(stored, tmp_path) == data_set_of(file, tmp_path)
        meta = dcmread(BytesIO(stored)).file_meta
        assert (meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID) == (uid, "1.2.840.10008.1.2.1")


async def test_the_called_ae_title_chooses_the_priority(
    modality: MakeModality, doctor: Callable[[Modality], IngestUser], titles: list[str]
) -> None:
    titles.remove(STAT.calling_ae)
    scanner = modality(calling_ae=STAT.calling_ae, called_ae="RADRELAY-STAT")
    await scanner.send(dicom_file())
    (batch,) = await closed_batches(doctor(scanner))
    assert batch["priority"] == "stat"


async def test_an_association_without_images_leaves_no_batch(
    modality: MakeModality, doctor: Callable[[Modality], IngestUser]
) -> None:
    scanner = modality()
    await scanner.send()
    await scanner.send(dicom_file())
    assert len(await closed_batches(doctor(scanner))) == 1


def file_in(syntax: UID) -> bytes:
    if syntax in ENCAPSULATED_SYNTAXES:
        return compressed([b"\xff\x4f\xff\x51"], syntax)
    return encode(image(), syntax)


async def test_every_transfer_syntax_is_stored_as_it_was_sent(
    modality: MakeModality, doctor: Callable[[Modality], IngestUser], objects: S3ObjectStore, tmp_path: Path
) -> None:
    scanner = modality()
    syntaxes = [UID(syntax) for syntax in transfer_syntaxes()]
    assert DeflatedExplicitVRLittleEndian in syntaxes
    sent = [file_in(syntax) for syntax in syntaxes]
    async with scanner.association(*syntaxes) as association:
        assert [await scanner.store(association, file) for file in sent] == [(0x0000, None)] * len(sent)
    owner = doctor(scanner)
    (batch,) = await closed_batches(owner)
    stored = [
        await stored_bytes(objects, scanner, file["instance_id"])
        for file in (await owner.files(batch["batch_id"])).values()
    ]
    assert sorted(data_set_of(file, tmp_path) for file in stored) == sorted(
        data_set_of(file, tmp_path) for file in sent
    )


async def test_the_same_bytes_again_are_a_success_and_other_bytes_under_the_same_uid_a_duplicate(
    modality: MakeModality, doctor: Callable[[Modality], IngestUser]
) -> None:
    scanner = modality()
    dataset = image()
    first = encode(dataset)
    set_pixels(dataset, b"\x01" * 48)
    other = encode(dataset)
    assert await scanner.send(first) == [0x0000]
    assert await scanner.send(first, other) == [0x0000, 0x0111]
    owner = doctor(scanner)
    batches = await closed_batches(owner, 2)
    files = [
        file for batch in batches for file in (await owner.call("GET", f"/{batch['batch_id']}/files")).json()["files"]
    ]
    assert len({file["instance_id"] for file in files if file["instance_id"]}) == 1
    assert [file["reason"] for file in files if file["reason"]] == ["conflicting_sop_instance"]


def without_pixels() -> bytes:
    dataset = image()
    del dataset.PixelData
    return encode(dataset)


def under_another_name() -> bytes:
    dataset = image()
    uid = str(dataset.SOPInstanceUID)
    other = uid[:-1] + ("1" if uid[-1] != "1" else "2")
    return encode(dataset).replace(uid.encode(), other.encode(), 1)


@pytest.mark.parametrize(
    ("file", "status", "reason"),
    [
        (without_pixels(), 0x0122, "no_pixel_data"),
        (under_another_name(), 0xA900, "sop_mismatch"),
        (dicom_file()[:-8], 0xC000, "truncated"),
        (dicom_file(rows=2048, columns=1024), 0xA700, "too_large"),
    ],
    ids=["without pixels", "under another name", "cut short", "too large"],
)
async def test_a_refusal_has_its_status_and_its_reason_and_the_next_image_is_taken(
    modality: MakeModality, doctor: Callable[[Modality], IngestUser], file: bytes, status: int, reason: str
) -> None:
    scanner = modality()
    async with scanner.association() as association:
        assert await scanner.store(association, file) == (status, reason)
        assert await scanner.store(association, dicom_file()) == (0x0000, None)
    owner = doctor(scanner)
    (batch,) = await closed_batches(owner)
    assert (batch["counts"]["rejected"], batch["counts"]["queued"]) == (1, 1)
    assert reason in [each["reason"] for each in (await owner.files(batch["batch_id"])).values()]


async def test_unknown_ae_titles_are_rejected(modality: MakeModality) -> None:
    stranger = await modality(calling_ae="STRANGER").associate()
    assert rejection_of(stranger) == (1, 1, 3)
    lost = await modality(calling_ae="SCANNER-1", called_ae="ELSEWHERE").associate()
    assert rejection_of(lost) == (1, 1, 7)
    not_stat = await modality(calling_ae="SCANNER-1", called_ae="RADRELAY-STAT").associate()
    assert rejection_of(not_stat) == (1, 1, 7)


async def test_an_image_of_another_class_than_its_context_is_not_supported(modality: MakeModality) -> None:
    scanner = modality()
    async with scanner.association() as association:
        context = next(each for each in association.accepted_contexts if each.abstract_syntax == CTImageStorage)
        dataset = image()
        dataset.SOPClassUID = MRImageStorage
        file = encode(dataset).replace(CTImageStorage.encode(), MRImageStorage.encode(), 1)
        context.abstract_syntax = MRImageStorage  # from here on this end believes that it was agreed on
        assert await scanner.store(association, file) == (0x0122, None)


async def test_other_services_and_transfer_syntaxes_are_not_accepted(modality: MakeModality) -> None:
    find = "1.2.840.10008.5.1.4.1.2.2.1"
    association = await modality().associate(sop_class=find)
    assert [context.abstract_syntax for context in association.rejected_contexts] == [find]
    await asyncio.to_thread(association.release)
    mpeg4 = UID("1.2.840.10008.1.2.4.102")
    association = await modality().associate(mpeg4)
    assert [context.transfer_syntax for context in association.rejected_contexts] == [[mpeg4]]
    await asyncio.to_thread(association.release)


async def test_a_peer_that_offers_a_choice_is_never_asked_to_compress(modality: MakeModality) -> None:
    scanner = modality()
    baseline, explicit = UID("1.2.840.10008.1.2.4.50"), UID("1.2.840.10008.1.2.1")
    association = await scanner.associate([baseline, explicit])  # type: ignore[arg-type]  # one context with both
    (accepted,) = [each for each in association.accepted_contexts if each.abstract_syntax != "1.2.840.10008.1.1"]
    assert accepted.transfer_syntax == [explicit]
    await asyncio.to_thread(association.release)


async def test_a_batch_that_its_owner_closes_meanwhile_is_followed_by_another(
    modality: MakeModality, doctor: Callable[[Modality], IngestUser]
) -> None:
    scanner = modality()
    owner = doctor(scanner)
    async with scanner.association() as association:
        assert await scanner.store(association, dicom_file()) == (0x0000, None)
        (batch,) = await batches_of(owner)
        await owner.call("POST", f"/{batch['batch_id']}/close")
        assert await scanner.store(association, dicom_file()) == (0x0000, None)
    batches = await closed_batches(owner, 2)
    assert [each["counts"]["queued"] for each in batches] == [1, 1]


@pytest.mark.parametrize("away", ["objects", "database"])
async def test_a_store_that_is_away_is_out_of_resources_and_nothing_is_recorded(
    settings: IngestSettings,
    listening: Listening,
    modality: MakeModality,
    doctor: Callable[[Modality], IngestUser],
    away: str,
) -> None:
    url = "postgresql+asyncpg://ingest_app:x@127.0.0.1:1/radrelay"
    change = {"endpoint": "127.0.0.1:1"} if away == "objects" else {"app_url": url}
    async with listening({away: getattr(settings, away).model_copy(update=change)}) as port:
        scanner = modality(port=port)
        async with scanner.association() as association:
            assert await scanner.store(association, dicom_file()) == (0xA700, "storage_unavailable")
    assert [batch["counts"]["queued"] for batch in await batches_of(doctor(scanner))] in ([], [0])


async def test_a_tenant_that_is_not_provisioned_is_not_authorized(
    infra: Infrastructure, modality: MakeModality, doctor: Callable[[Modality], IngestUser]
) -> None:
    scanner = modality()
    with TenantBuckets(infra.objects) as buckets:
        await asyncio.to_thread(buckets.remove, TENANTS[scanner.calling_ae], erase=False)
    async with scanner.association() as association:
        assert await scanner.store(association, dicom_file()) == (0x0124, "tenant_not_provisioned")
    assert [batch["counts"]["queued"] for batch in await batches_of(doctor(scanner))] == [0]
