"""The intake against DCMTK's tools."""

import asyncio
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from radrelay_shared.objects import S3ObjectStore
from support.dicom_files import dicom_file
from support.dicom_network import Modality, closed_batches, data_set_of, stored_bytes
from support.ingest_api import IngestUser

MakeModality = Callable[..., Modality]

FILES = 200
ASSOCIATIONS = 8

needs_dcmtk = pytest.mark.skipif(
    shutil.which("storescu") is None or shutil.which("echoscu") is None,
    reason="storescu and echoscu are not installed; they are in Debian's package dcmtk",
)


async def tool(name: str, calling_ae: str, port: int, *arguments: str) -> int:
    process = await asyncio.create_subprocess_exec(
        name, "-aet", calling_ae, "-aec", "RADRELAY", "127.0.0.1", str(port), *arguments
    )
    async with asyncio.timeout(60):
        return await process.wait()


@needs_dcmtk
async def test_dcmtk_stores_many_files_over_parallel_associations_each_once(
    port: int,
    modality: MakeModality,
    doctor: Callable[[Modality], IngestUser],
    objects: S3ObjectStore,
    tmp_path: Path,
) -> None:
    scanner = modality()
    sent: dict[str, bytes] = {}
    paths: list[str] = []
    for number in range(FILES):
        content = dicom_file()
        sent[str(dcmread(BytesIO(content)).SOPInstanceUID)] = content
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(content)
        paths.append(str(path))
    assert await tool("echoscu", scanner.calling_ae, port) == 0
    assert await tool("echoscu", "STRANGER", port) != 0
    shares = [paths[start::ASSOCIATIONS] for start in range(ASSOCIATIONS)]
    runs = [tool("storescu", scanner.calling_ae, port, *share) for share in shares]
    assert await asyncio.gather(*runs) == [0] * ASSOCIATIONS
    owner = doctor(scanner)
    batches = await closed_batches(owner, ASSOCIATIONS)
    assert [batch["counts"]["queued"] for batch in batches] == [FILES // ASSOCIATIONS] * ASSOCIATIONS
    files = {name: file for batch in batches for name, file in (await owner.files(batch["batch_id"])).items()}
    assert files.keys() == sent.keys()
    for uid, file in files.items():
        stored = await stored_bytes(objects, scanner, file["instance_id"])
        assert data_set_of(stored, tmp_path) == data_set_of(sent[uid], tmp_path)
