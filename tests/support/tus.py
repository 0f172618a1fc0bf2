"""The tus protocol as its tests need it: each request by itself, also half of one."""

import asyncio
import base64
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import httpx
from tusclient.client import TusClient

from support.ingest_api import IngestUser

VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


async def ask_to_begin(
    doctor: IngestUser, batch_id: str, length_bytes: int, name: str = "night.zip", **headers: str
) -> httpx.Response:
    """Ask for a new upload."""
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    asked = VERSION | {"Upload-Length": str(length_bytes), "Upload-Metadata": metadata} | headers
    return await doctor.call("POST", f"/{batch_id}/uploads", headers=asked)


async def begin(doctor: IngestUser, batch_id: str, length_bytes: int, name: str = "night.zip") -> str:
    """The path of a new upload."""
    response = await ask_to_begin(doctor, batch_id, length_bytes, name)
    assert response.status_code == 201, response.text
    return response.request.url.join(response.headers["Location"]).path


async def send(doctor: IngestUser, path: str, offset: int, content: bytes | AsyncIterator[bytes]) -> httpx.Response:
    """Send bytes of an upload."""
    headers = VERSION | BYTES | {"Upload-Offset": str(offset)}
    return await doctor.request("PATCH", path, headers=headers, content=content)


async def send_all(doctor: IngestUser, batch_id: str, content: bytes, name: str = "night.zip") -> str:
    """Send a file in one piece, and return the path of its upload."""
    path = await begin(doctor, batch_id, len(content), name)
    response = await send(doctor, path, 0, content)
    assert response.status_code == 204, response.text
    return path


async def look(doctor: IngestUser, path: str) -> httpx.Response:
    """Ask where an upload stands."""
    return await doctor.request("HEAD", path, headers=VERSION)


async def offset_of(doctor: IngestUser, path: str) -> int:
    """Where an upload stands."""
    response = await look(doctor, path)
    assert response.status_code == 200, response.status_code
    return int(response.headers["Upload-Offset"])


async def offset_becomes(doctor: IngestUser, path: str, offset: int) -> None:
    """Return when an upload stands there."""
    async with asyncio.timeout(20):
        while await offset_of(doctor, path) != offset:
            await asyncio.sleep(0.02)


async def send_and_break_off(doctor: IngestUser, path: str, offset: int, content: bytes, announced: int) -> None:
    """Announce more bytes than are sent, and end the connection."""
    address = urlsplit(str(doctor.client.base_url))
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    headers = doctor.headers | VERSION | BYTES | {"Upload-Offset": str(offset), "Content-Length": str(announced)}
    lines = [f"PATCH {path} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def send_with_kept_client(doctor: IngestUser, batch_id: str, content: bytes, name: str, **options: Any) -> None:
    """Send a file with tuspy."""
    client = TusClient(f"{doctor.client.base_url}/v1/batches/{batch_id}/uploads", headers=doctor.headers)
    uploader = client.uploader(file_stream=BytesIO(content), metadata={"filename": name}, **options)
    await asyncio.to_thread(uploader.upload)
