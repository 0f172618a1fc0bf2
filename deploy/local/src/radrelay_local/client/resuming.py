"""A large file on its way out by the tus protocol 1.0.0: after a lost connection it goes on where the server stands.

Source: https://tus.io/protocols/resumable-upload.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import httpx

from radrelay_local.client import sending
from radrelay_local.client.connection import ATTEMPTS, BUSY, ApiError, Connection, delay_s
from radrelay_local.client.sending import OutgoingFile

_VERSION: Final = {"Tus-Resumable": "1.0.0"}
_CHUNK_BYTES: Final = 1 << 18
_TIMEOUT: Final = httpx.Timeout(30, read=120, write=120)
_ELSEWHERE: Final = "upload_offset_mismatch"


async def send_resumably(
    connection: Connection, uploads_url: str, file: OutgoingFile, tell: Callable[[int], None]
) -> None:
    """Send a file to where uploads are begun.

    Args:
        connection: to the API.
        uploads_url: of the batch.
        file: what to send.
        tell: called with how many bytes of it were read to be sent, after each chunk; less again after a loss.

    Raises:
        ApiError: the file was refused, or several attempts in a row brought nothing forward.
        OSError: the file cannot be read.
    """
    name = base64.b64encode(file.name.encode()).decode()
    headers = {**_VERSION, "Upload-Length": str(file.size_bytes), "Upload-Metadata": f"filename {name}"}
    begun = await connection.send("POST", uploads_url, headers=headers)
    url = str(begun.request.url.join(begun.headers["Location"]))
    offset = failures = 0
    while offset < file.size_bytes:
        try:
            offset = await _send_next(connection, url, file, offset, tell)
        except ApiError as error:
            failures += 1
            if failures == ATTEMPTS or not _may_pass(error):
                raise
            await asyncio.sleep(delay_s(failures))
            stands = await _offset(connection, url)
            failures = 0 if stands > offset else failures
            offset = stands


async def _send_next(
    connection: Connection, url: str, file: OutgoingFile, offset: int, tell: Callable[[int], None]
) -> int:
    """Send a piece, and return where the upload stands then.

    A server that refuses a request may say so only when all of it was sent: so much is sent in vain at most.
    """
    end = min(file.size_bytes, offset + sending.BYTES_PER_REQUEST)
    headers = {
        **_VERSION,
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(end - offset),
        "Upload-Offset": str(offset),
    }
    content = _Piece(file, offset, end, tell)
    answer = await connection.send("PATCH", url, headers=headers, content=content, timeout=_TIMEOUT, attempts=1)
    return int(answer.headers["Upload-Offset"])


async def _offset(connection: Connection, url: str) -> int:
    return int((await connection.send("HEAD", url, headers=_VERSION)).headers["Upload-Offset"])


def _may_pass(error: ApiError) -> bool:
    """Whether the server may take the rest of the file on another try."""
    return error.status is None or error.status in BUSY or error.code == _ELSEWHERE


class _Piece:
    """Bytes of a file, read anew each time that it is iterated over."""

    def __init__(self, file: OutgoingFile, offset: int, end: int, tell: Callable[[int], None]) -> None:
        self._file = file
        self._offset = offset
        self._end = end
        self._tell = tell

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks():
            yield chunk

    def _chunks(self) -> Iterator[bytes]:
        position = self._offset
        with self._file.path.open("rb") as stream:
            stream.seek(position)
            while position < self._end:
                chunk = stream.read(min(_CHUNK_BYTES, self._end - position))
                if not chunk:
                    raise OSError(f"{self._file.name} became shorter while it was sent")
                position += len(chunk)
                self._tell(position)
                yield chunk
