"""A network between a client and a server that fails when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

_CHUNK_BYTES = 1 << 16
_SLOW_BYTES = 1 << 12
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Fault(StrEnum):
    """What happens to a request."""

    BUSY = "503"
    """It is answered 503 with Retry-After, and never reaches the server."""
    BROKEN = "500"
    """It is answered 500, and never reaches the server."""
    CUT_BODY = "body cut off"
    """The connection is lost when its first bytes have reached the server."""
    CUT_ANSWER = "answer lost"
    """The server does what it is asked for, and the connection is lost before the client hears of it."""
    STALL = "stalled"
    """Its head reaches the server, and then nothing moves."""
    SLOW = "slow"
    """It, and what follows on its connection, moves at `slow_bytes_per_s`."""


_ANSWERS = {Fault.BUSY: _BUSY, Fault.BROKEN: _BROKEN}


class FaultyProxy:
    """Passes on what comes, but for the faults: each strikes one of the requests whose first line has its word.

    Attributes:
        address: what clients connect to.
        faults: what is still to happen.
        lasting: what happens to every such request, until it is None.
        slow_bytes_per_s: how fast a slow request moves.
        struck: the faults that have happened.
        stalled: set when a request stalls.
    """

    def __init__(self, upstream: str, faults: Sequence[tuple[str, Fault]]) -> None:
        self.address = ""
        self.struck: list[Fault] = []
        self.stalled = asyncio.Event()
        self._upstream = urlsplit(upstream)
        self.faults = list(faults)
        self.lasting: tuple[str, Fault] | None = None
        self.slow_bytes_per_s = 64 << 10
        self.connections: set[asyncio.Task[None]] = set()

    async def heal(self) -> None:
        """Let no fault happen any more, and lose the connections that suffer from one."""
        self.faults, self.lasting = [], None
        for task in self.connections:
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection of a client, in a task that `heal` ends."""
        task = asyncio.create_task(self._serve(reader, writer))
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        answering = asyncio.create_task(_copy(from_server, writer))
        slow = False
        try:
            with suppress(ConnectionError):
                while chunk := await reader.read(_CHUNK_BYTES):
                    fault = self._fault_of(chunk)
                    if fault in _ANSWERS:
                        writer.write(_ANSWERS[fault])
                        await _discard(reader)
                        return
                    if fault is Fault.CUT_ANSWER:
                        answering.cancel()
                        answering = asyncio.create_task(_cut(from_server, writer))
                    slow = fault is Fault.SLOW or (slow and fault is None)
                    await (self._trickle if slow else _send)(to_server, chunk)
                    if fault is Fault.CUT_BODY:
                        writer.transport.abort()
                        return
                    if fault is Fault.STALL:
                        answering.cancel()
                        self.stalled.set()
                        await _discard(reader)
                        return
        finally:
            answering.cancel()
            to_server.close()
            writer.close()

    def _fault_of(self, chunk: bytes) -> Fault | None:
        first_line = chunk.split(b"\r\n", 1)[0]
        if not first_line.endswith(b"HTTP/1.1"):
            return None
        for number, (word, fault) in enumerate(self.faults):
            if word.encode() in first_line:
                del self.faults[number]
                self.struck.append(fault)
                return fault
        if self.lasting is not None and self.lasting[0].encode() in first_line:
            self.struck.append(self.lasting[1])
            return self.lasting[1]
        return None

    async def _trickle(self, to_server: asyncio.StreamWriter, chunk: bytes) -> None:
        for start in range(0, len(chunk), _SLOW_BYTES):
            part = chunk[start : start + _SLOW_BYTES]
            await asyncio.sleep(len(part) / self.slow_bytes_per_s)
            await _send(to_server, part)


@asynccontextmanager
async def faulty_proxy(upstream: str, *faults: tuple[str, Fault]) -> AsyncIterator[FaultyProxy]:
    """Serve on a free loopback port while the block runs."""
    proxy = FaultyProxy(upstream, faults)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.heal()


async def _send(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    writer.write(chunk)
    await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            await _send(writer, chunk)
        writer.close()


async def _cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(_CHUNK_BYTES):
        pass
