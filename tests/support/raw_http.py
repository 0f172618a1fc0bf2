"""Requests that no HTTP client would send: unfinished, wrong in their lengths, or none at all."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx


@asynccontextmanager
async def open_request(
    service: str, path: str, headers: Mapping[str, str], body: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A POST of which no more than `body` is sent while the block runs: the usual clients send all, then read."""
    url = httpx.URL(service)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in ({"Host": "x"} | dict(headers)).items())
    try:
        writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        await writer.drain()
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> httpx.Response:
    """What the server says, also before the request has ended."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.strip().split("\r\n")
        headers = httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
        length = headers.get("content-length")
        content = await reader.read() if length is None else await reader.readexactly(int(length))
    return httpx.Response(int(status.split()[1]), headers=headers, content=content)
