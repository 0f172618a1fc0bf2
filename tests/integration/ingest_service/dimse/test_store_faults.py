"""An object store that fails or says nothing while an association brings images."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ingest_service.adapters.records import PostgresRecords
from ingest_service.handlers.reconciling import Reconciler
from ingest_service.settings import IngestSettings
from radrelay_shared.objects import S3ObjectStore
from support.dicom_files import dicom_file
from support.dicom_network import TENANTS, Modality, closed_batches, nothing_left_in
from support.faulty_proxy import Fault, faulty_proxy
from support.ingest_api import IngestUser

Listening = Callable[..., AbstractAsyncContextManager[int]]
MakeModality = Callable[..., Modality]


@pytest.fixture
def reconciler(records: PostgresRecords, objects: S3ObjectStore, tmp_path: Path) -> Reconciler:
    return Reconciler(records, objects, lambda: tmp_path / "read", grace_s=-60, verify=True)


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.CUT_ANSWER, Fault.STALL], ids=lambda fault: fault.name.lower())
async def test_an_image_is_out_of_resources_and_stored_when_it_is_sent_again(
    settings: IngestSettings,
    listening: Listening,
    modality: MakeModality,
    doctor: Callable[[Modality], IngestUser],
    reconciler: Reconciler,
    spool: Path,
    fault: Fault,
) -> None:
    sent = [dicom_file() for _ in range(2)]
    async with faulty_proxy(f"http://{settings.objects.endpoint}") as proxy:
        changes = {"endpoint": proxy.address.removeprefix("http://"), "timeout_s": 120.0}
        objects_settings = settings.objects.model_copy(update=changes)
        async with listening({"objects": objects_settings}, dimse_timeout_s=5.0) as port:
            scanner = modality(port=port)
            async with scanner.association() as association:
                assert await scanner.store(association, sent[0]) == (0x0000, None)
                proxy.lasting = ("PUT", fault)
                assert await scanner.store(association, sent[1]) == (0xA700, "storage_unavailable")
                await proxy.heal()
                assert [await scanner.store(association, each) for each in sent] == [(0x0000, None)] * 2
            assert fault in proxy.struck
            await nothing_left_in(spool)
    (batch,) = await closed_batches(doctor(scanner))
    assert (batch["counts"]["queued"], batch["counts"]["rejected"]) == (2, 0)
    result = await reconciler.find(TENANTS[scanner.calling_ae], 100)
    assert (result.records, result.findings) == (2, [])
