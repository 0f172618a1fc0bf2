"""A hospital for end-to-end tests: its people as API clients, and heads to scan."""

import zipfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless

from radrelay_local.client.answers import Batch
from radrelay_local.client.api import ApiClient
from radrelay_local.client.delivery import Delivery
from radrelay_local.client.sending import OutgoingFile
from radrelay_local.stack import RunningStack
from radrelay_phantoms import sample
from radrelay_phantoms.dicom import write_dicom

IMAGE_PX = 128


@asynccontextmanager
async def person(stack: RunningStack, tenant: str, name: str, role: str = "clinician") -> AsyncIterator[ApiClient]:
    """Someone signed in."""
    async with ApiClient(stack.base_url, partial(stack.issue_token, tenant, name, [role])) as client:
        yield client


def head(seed: int) -> bytes:
    """One phantom as a DICOM file."""
    file = BytesIO()
    write_dicom(sample(seed, size=IMAGE_PX), file)
    return file.getvalue()


def write_heads(folder: Path, count: int, *, first_seed: int) -> list[Path]:
    """Phantoms in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"head-{number:03d}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(head(first_seed + number))
    return paths


def write_zip(path: Path, entries: Iterable[tuple[str, bytes]]) -> Path:
    """An archive whose entries have just these names, whatever they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def poison(seed: int) -> bytes:
    """A phantom that is valid as far as intake can see and whose JPEG 2000 codestream is damaged."""
    dataset = dcmread(BytesIO(head(seed)))
    dataset.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    codestream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([bytes(64) + codestream[64:]])
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


async def finished(client: ApiClient, batch: Batch) -> Batch:
    """The batch once every file of it has its report or its failure."""
    return [seen async for seen in client.watch(batch.batch_id)][-1]


async def send(client: ApiClient, paths: list[Path], *, root: Path) -> Batch:
    """A closed batch of these files."""
    batch = await client.open_batch()
    await Delivery(client, batch.batch_id).send(OutgoingFile.under(root, path) for path in paths)
    return await client.close_batch(batch.batch_id)
