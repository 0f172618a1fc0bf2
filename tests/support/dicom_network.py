"""A peer of the DICOM network intake, on pynetdicom's own SCU."""

import asyncio
import socket
import ssl
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # the library makes its UIDs at run time

from ingest_service.dimse.settings import Peer
from radrelay_shared.events import Urgency
from radrelay_shared.objects import S3ObjectStore, keys
from support.ingest_api import IngestUser
from support.ingest_processes import left_in
from support.tenants import new_tenant

_config.STORE_SEND_CHUNKED_DATASET = True  # a data set goes out just as it is in its file

TENANTS = {f"SCANNER-{number}": new_tenant() for number in range(60)}
OWNER = "scanners"
PEERS = [Peer(calling_ae=title, tenant=tenant, owner_id=OWNER) for title, tenant in TENANTS.items()]
STAT = Peer(
    calling_ae="SCANNER-0",
    called_ae="RADRELAY-STAT",
    tenant=TENANTS["SCANNER-0"],
    owner_id=OWNER,
    priority=Urgency.STAT,
)


class Modality:
    """Something that sends images: a calling AE title, and the title and port that it calls."""

    def __init__(
        self,
        calling_ae: str,
        port: int,
        folder: Path,
        *,
        called_ae: str = "RADRELAY",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.calling_ae = calling_ae
        self._called_ae = called_ae
        self._port = port
        self._folder = folder
        self._tls = tls
        self._sockets: list[socket.socket] = []

    async def associate(self, *syntaxes: UID, sop_class: str = CTImageStorage) -> Association:
        """Ask for an association for images, with one context a transfer syntax, and for echoes."""
        entity = AE(self.calling_ae)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
        contexts = [build_context(sop_class, syntax) for syntax in syntaxes or (ExplicitVRLittleEndian,)]
        return await asyncio.to_thread(
            entity.associate,
            "127.0.0.1",
            self._port,
            contexts=[build_context(Verification), *contexts],
            ae_title=self._called_ae,
            evt_handlers=[(evt.EVT_CONN_OPEN, self._keep_socket)],
            tls_args=(self._tls, "localhost") if self._tls else None,
        )

    def _keep_socket(self, event: evt.Event) -> None:
        connection = event.assoc.dul.socket
        if connection is not None and connection.socket is not None:
            self._sockets.append(connection.socket)

    def close(self) -> None:
        """Close what the library leaves open where the other side was faster."""
        for each in self._sockets:
            each.close()

    @asynccontextmanager
    async def association(self, *syntaxes: UID) -> AsyncIterator[Association]:
        """An association that is accepted, and released after the block."""
        association = await self.associate(*syntaxes)
        assert association.is_established
        try:
            yield association
        finally:
            await asyncio.to_thread(association.release)

    async def store(self, association: Association, file: bytes) -> tuple[int | None, str | None]:
        """Send the data set of a Part 10 file; status and error comment of the answer, None where none came."""
        path = self._folder / uuid.uuid4().hex
        path.write_bytes(file)
        answer: Dataset = await asyncio.to_thread(association.send_c_store, path)
        path.unlink()
        return answer.get("Status"), answer.get("ErrorComment")

    async def send(self, *files: bytes) -> list[int | None]:
        """Send files over one association; the statuses of the answers."""
        async with self.association() as association:
            return [(await self.store(association, file))[0] for file in files]


def data_set_of(file: bytes, folder: Path) -> bytes:
    """The encoded data set of a Part 10 file, without preamble and file meta information."""
    path = folder / uuid.uuid4().hex
    path.write_bytes(file)
    _, offset = split_dataset(path)
    path.unlink()
    return file[offset:]


def rejection_of(association: Association) -> tuple[int, int, int]:
    """Result, source and diagnostic of the A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert answer is not None
    fields: Sequence[int | None] = (answer.result, answer.result_source, answer.diagnostic)
    result, source, diagnostic = (int(field or 0) for field in fields)
    return result, source, diagnostic


async def batches_of(doctor: IngestUser) -> list[dict[str, Any]]:
    """The batches of a user, newest first."""
    response = await doctor.call("GET", "")
    batches: list[dict[str, Any]] = response.json()["batches"]
    return batches


async def closed_batches(doctor: IngestUser, count: int = 1) -> list[dict[str, Any]]:
    """All batches, once there are so many and all of them are closed."""
    async with asyncio.timeout(20):
        while True:
            batches = await batches_of(doctor)
            if len(batches) == count and all(batch["closed_at"] for batch in batches):
                return batches
            await asyncio.sleep(0.02)


async def nothing_left_in(spool: Path) -> None:
    """Return when nothing is left in the spool folder."""
    async with asyncio.timeout(20):
        while left_in(spool):
            await asyncio.sleep(0.02)


async def stored_bytes(objects: S3ObjectStore, modality: Modality, instance_id: str) -> bytes:
    """The object that a modality's image became."""
    return await objects.get(keys.instance(TENANTS[modality.calling_ae], uuid.UUID(instance_id)))
