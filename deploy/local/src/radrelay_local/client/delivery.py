"""Files on their way into one batch, several requests at a time."""

import asyncio
from collections.abc import Iterable, Iterator
from uuid import UUID

from radrelay_local.client import sending
from radrelay_local.client.answers import Accepted, Rejected
from radrelay_local.client.api import ApiClient
from radrelay_local.client.sending import OutgoingFile, Sent, group_files


class Delivery:
    """Sends files to a batch and keeps what became of them, also when it ends early.

    Attributes:
        answered: how many of the files were in requests that were answered.
        accepted: files that are stored, as the server named them: an archive counts as the files in it. Of large files
            only the batch tells.
        rejected: files that were refused, and why.
        unreadable: files that could not be opened when their turn came.
    """

    def __init__(self, client: ApiClient, batch_id: UUID, *, sent: Sent = lambda _: None) -> None:
        self._client = client
        self._batch_id = batch_id
        self._sent = sent
        self.answered = 0
        self.accepted: list[Accepted] = []
        self.rejected: list[Rejected] = []
        self.unreadable: list[tuple[OutgoingFile, OSError]] = []

    async def send(self, files: Iterable[OutgoingFile], *, concurrency: int = 1) -> None:
        """Send files in requests of bounded size, at most `concurrency` at a time.

        Raises:
            ExceptionGroup: of ApiError, where a request was refused as a whole, and OSError, where reading broke off.
        """
        groups = iter(group_files(files))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(concurrency):
                tasks.create_task(self._send_groups(groups))

    async def _send_groups(self, groups: Iterator[list[OutgoingFile]]) -> None:
        for group in groups:
            if group[0].size_bytes > sending.BYTES_PER_REQUEST:
                await self._send_large(group[0])
            else:
                await self._send_group(group)

    async def _send_large(self, file: OutgoingFile) -> None:
        """Send a file that goes alone; the batch tells what became of it."""
        try:
            with file.path.open("rb"):
                pass
        except OSError as error:
            self.unreadable.append((file, error))
            return
        await self._client.upload_resumably(self._batch_id, file, sent=self._sent)
        self.answered += 1

    async def _send_group(self, group: list[OutgoingFile]) -> None:
        while group:
            try:
                receipt = await self._client.upload(self._batch_id, group, sent=self._sent)
            except OSError as error:
                lost = [file for file in group if str(file.path) == str(error.filename)]
                if not lost:
                    raise
                self.unreadable += [(file, error) for file in lost]
                group = [file for file in group if file not in lost]
            else:
                self.answered += len(group)
                self.accepted += receipt.accepted
                self.rejected += receipt.rejected
                return
