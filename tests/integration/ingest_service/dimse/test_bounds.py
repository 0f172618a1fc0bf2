"""What a peer may not do: more, longer or slower than is allowed."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from io import BytesIO
from itertools import islice
from pathlib import Path

import pytest
from pydicom.uid import UID, CTImageStorage
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from support.dicom_files import dicom_file, new_uid
from support.dicom_network import Modality, closed_batches, nothing_left_in, rejection_of
from support.ingest_api import IngestUser

Listening = Callable[..., AbstractAsyncContextManager[int]]
MakeModality = Callable[..., Modality]


def begin_store(association: Association, *, size_bytes: int, fragments: int) -> None:
    """Send the first fragments of a C-STORE request, at most 16 kB each, and wait for no answer."""
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = UID(new_uid())
    request.Priority = 2
    request.DataSet = BytesIO(bytes(size_bytes))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    (context,) = [each for each in association.accepted_contexts if each.abstract_syntax == CTImageStorage]
    assert context.context_id is not None
    for fragment in islice(message.encode_msg(context.context_id, 16_000), fragments):
        association.dul.send_pdu(fragment)


async def ended(association: Association) -> None:
    async with asyncio.timeout(20):
        while association.is_established:
            await asyncio.sleep(0.02)


async def test_an_endless_data_set_is_aborted_and_leaves_nothing(modality: MakeModality, spool: Path) -> None:
    scanner = modality()
    association = await scanner.associate()
    status, _ = await scanner.store(association, dicom_file(rows=4096, columns=1024))
    assert status is None
    await nothing_left_in(spool)


async def test_a_peer_that_waits_for_no_answer_is_aborted(modality: MakeModality, spool: Path) -> None:
    association = await modality().associate()
    for _ in range(5):
        begin_store(association, size_bytes=1000, fragments=2)
    await ended(association)
    assert association.is_aborted
    await nothing_left_in(spool)


async def test_an_association_that_is_cut_off_keeps_what_was_accepted_and_leaves_nothing_else(
    modality: MakeModality, doctor: Callable[[Modality], IngestUser], spool: Path
) -> None:
    scanner = modality()
    association = await scanner.associate()
    assert await scanner.store(association, dicom_file()) == (0x0000, None)
    begin_store(association, size_bytes=200_000, fragments=5)
    await asyncio.to_thread(association.abort)
    owner = doctor(scanner)
    (batch,) = await closed_batches(owner)
    assert (batch["counts"]["queued"], batch["counts"]["rejected"]) == (1, 0)
    await nothing_left_in(spool)


@pytest.fixture
async def narrow(listening: Listening) -> AsyncIterator[int]:
    """The port of an intake that takes one association at a time."""
    async with listening(max_associations=1, network_timeout_s=2.0, dimse_timeout_s=1.9, acse_timeout_s=60.0) as port:
        yield port


async def accepted_again(scanner: Modality) -> None:
    async with asyncio.timeout(20):
        while not (association := await scanner.associate()).is_established:
            await asyncio.sleep(0.02)
    await asyncio.to_thread(association.release)


async def test_one_association_too_many_is_rejected_for_now(narrow: int, modality: MakeModality) -> None:
    scanner = modality(port=narrow)
    async with scanner.association():
        assert rejection_of(await scanner.associate()) == (2, 3, 2)
    await accepted_again(scanner)


async def test_peers_that_say_nothing_or_stop_in_the_middle_lose_their_place(
    narrow: int, modality: MakeModality
) -> None:
    for said in (b"", b"\x01\x00\x00", b"\x01\x00" + struct.pack(">L", 200) + bytes(100)):
        reader, writer = await asyncio.open_connection("127.0.0.1", narrow)
        writer.write(said)
        if said:
            async with asyncio.timeout(20):
                assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    await accepted_again(modality(port=narrow))


async def test_a_pdu_of_two_gigabytes_ends_the_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x01\x00" + struct.pack(">L", 1 << 31))
        connection.settimeout(20)
        assert await asyncio.to_thread(connection.recv, 1) == b""


async def test_a_silent_association_is_aborted(narrow: int, modality: MakeModality) -> None:
    association = await modality(port=narrow).associate()
    async with asyncio.timeout(20):
        while not association.is_aborted:
            await asyncio.sleep(0.02)
