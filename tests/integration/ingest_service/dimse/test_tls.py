"""The intake over TLS, with certificates made here."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ingest_service.dimse.settings import TlsSettings
from support.certificates import Authority
from support.dicom_files import dicom_file
from support.dicom_network import Modality

Listening = Callable[..., AbstractAsyncContextManager[int]]
MakeModality = Callable[..., Modality]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
async def secured(listening: Listening, authority: Authority) -> AsyncIterator[int]:
    """The port of an intake that asks its peers for certificates."""
    certificate, key = authority.issue("localhost")
    tls = TlsSettings(certificate=certificate, key=key, client_ca=authority.certificate)
    async with listening(tls=tls) as port:
        yield port


def client_context(authority: Authority, identity: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.certificate)
    if identity is not None:
        context.load_cert_chain(*identity)
    return context


async def test_a_peer_with_a_certificate_stores_over_tls(
    secured: int, authority: Authority, modality: MakeModality
) -> None:
    context = client_context(authority, authority.issue("scanner"))
    assert await modality(port=secured, tls=context).send(dicom_file()) == [0x0000]


async def test_a_connection_that_says_nothing_keeps_nobody_waiting(
    secured: int, authority: Authority, modality: MakeModality
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", secured)
    context = client_context(authority, authority.issue("scanner"))
    assert await modality(port=secured, tls=context).send() == []
    writer.close()
    await writer.wait_closed()


async def hung_up(port: int, context: ssl.SSLContext | None, said: bytes = b"") -> None:
    """Connect, and return when the other side ends the connection; one that is served may stay for longer."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost" if context else None
        )
        writer.write(said)
        try:
            await reader.read()
        finally:
            writer.transport.abort()


async def test_a_peer_without_a_certificate_of_the_authority_is_not_served(
    secured: int, authority: Authority, tmp_path: Path
) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        await hung_up(secured, client_context(authority, None))
    stranger = Authority(tmp_path).issue("scanner")
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        await hung_up(secured, client_context(authority, stranger))


async def test_a_peer_without_tls_or_with_an_old_one_is_not_served(secured: int, authority: Authority) -> None:
    await hung_up(secured, None, b"\x01\x00\x00\x00\x00\xff" + bytes(255))
    old = client_context(authority, authority.issue("scanner"))
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await hung_up(secured, old)
