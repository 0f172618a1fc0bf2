"""A client of Radrelay's public HTTP API: upload images, follow a batch, read reports and figures.

It retries what may be retried: uploads are recognised by their content, so sending a file twice stores it once.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing
from types import TracebackType
from typing import Final, Self, TypeVar
from uuid import UUID

import httpx
from httpx_sse import SSEError
from pydantic import BaseModel, ValidationError

from radrelay_local.client.answers import Batch, BatchFile, BatchState, DashboardSummary, Receipt, Report
from radrelay_local.client.connection import ApiError, Connection, IssueToken, delay_s
from radrelay_local.client.resuming import send_resumably
from radrelay_local.client.sending import Highest, Meter, MeteredFile, OutgoingFile, Sent
from radrelay_shared.events import Urgency

FILES_PER_PAGE = 1000
REPORTS_PER_PAGE = 100

_INGEST_AT_EDGE: Final = "/api/ingest"
_UPLOAD_TIMEOUT: Final = httpx.Timeout(30, read=900, write=120)
"""The answer to an upload comes when the last image of its last archive is stored."""
_UPLOADS_PENDING: Final = "uploads_pending"
_LOOK_AGAIN_S: Final = 1.0
_FIRST_ATTEMPTS: Final = 2
"""An address that never answered may be wrong: it is not waited for as long as one that did."""

_log = logging.getLogger(__name__)
AnswerT = TypeVar("AnswerT", bound=BaseModel)


class ApiClient:
    """One user's access to the API, through the one origin that all services share or to the ingest API alone.

    Args:
        base_url: the origin, such as `http://127.0.0.1:8080`; see `find_ingest` for that of the ingest API.
        issue_token: gives a bearer token; called again when a token has expired.
        transport: stands in for the network in tests.
    """

    def __init__(
        self, base_url: str, issue_token: IssueToken, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._base_url = base_url
        self._connection = Connection(base_url, issue_token, transport=transport)
        self._batches = f"{_INGEST_AT_EDGE}/v1/batches"

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)

    async def find_ingest(self) -> None:
        """Find out whether the base address is the shared origin or the ingest API itself, and try the token.

        Raises:
            ApiError: it is neither, cannot be reached, or refuses the token.
        """
        for prefix in (_INGEST_AT_EDGE, ""):
            self._batches = f"{prefix}/v1/batches"
            try:
                await self._connection.send("GET", self._batches, params={"limit": "1"}, attempts=_FIRST_ATTEMPTS)
            except ApiError as error:
                if error.status != httpx.codes.NOT_FOUND:
                    raise
            else:
                return
        raise ApiError(f"{self._base_url} is neither a Radrelay nor its ingest API")

    @property
    def has_reports(self) -> bool:
        """Whether the base address leads to reports and figures too, not to the ingest API alone."""
        return self._batches.startswith(_INGEST_AT_EDGE)

    async def open_batch(self, *, priority: Urgency = Urgency.ROUTINE, label: str | None = None) -> Batch:
        """Open a batch to put files into."""
        content = {"priority": priority.value, "label": label}
        return _parse(Batch, await self._connection.send("POST", self._batches, json=content))

    async def close_batch(self, batch_id: UUID) -> Batch:
        """Say that a batch gets no more files, once those that came whole are taken in."""
        while True:
            try:
                return _parse(Batch, await self._connection.send("POST", f"{self._batches}/{batch_id}/close"))
            except ApiError as error:
                if error.code != _UPLOADS_PENDING:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def upload(self, batch_id: UUID, files: Sequence[OutgoingFile], *, sent: Sent = lambda _: None) -> Receipt:
        """Stream files into a batch as one request, and return what became of each.

        Raises:
            ApiError: the request was refused as a whole.
            OSError: a file cannot be read; nothing was sent where its `filename` says which.
        """
        with ExitStack() as stack:
            meter = Meter(Highest(sent).tell)
            streams = [stack.enter_context(MeteredFile(file.path, meter)) for file in files]
            parts = [("files", (file.name, stream)) for file, stream in zip(files, streams, strict=True)]

            def rewind() -> None:
                meter.position = 0
                for stream in streams:
                    stream.seek(0)

            url = f"{self._batches}/{batch_id}/files"
            answer = await self._connection.send("POST", url, files=parts, before=rewind, timeout=_UPLOAD_TIMEOUT)
        return _parse(Receipt, answer)

    async def upload_resumably(self, batch_id: UUID, file: OutgoingFile, *, sent: Sent = lambda _: None) -> None:
        """Send one large file; after a lost connection it goes on where the server stands.

        What became of it is told by the batch, which is not closed before that.

        Raises:
            ApiError, OSError: see `send_resumably`.
        """
        await send_resumably(self._connection, f"{self._batches}/{batch_id}/uploads", file, Highest(sent).tell)

    async def batch(self, batch_id: UUID) -> Batch:
        """Return a batch as it stands."""
        return _parse(Batch, await self._connection.send("GET", f"{self._batches}/{batch_id}"))

    async def batch_files(self, batch_id: UUID) -> list[BatchFile]:
        """Return what became of each file of a batch."""
        return await self._pages(f"{self._batches}/{batch_id}/files", "files", BatchFile, limit=str(FILES_PER_PAGE))

    async def watch(self, batch_id: UUID) -> AsyncGenerator[Batch, None]:
        """Yield a batch on every change until it is done.

        Where the stream of changes breaks or never comes, the batch is asked for instead, at growing intervals, until
        a stream comes again.

        Raises:
            ApiError: the batch cannot be asked for.
        """
        failures = 0
        while True:
            try:
                async with aclosing(self._changes(batch_id)) as changes:
                    async for batch in changes:
                        failures = 0
                        yield batch
            except (httpx.TransportError, SSEError, ApiError) as error:
                _log.info("progress stream broke off: %s", type(error).__name__)
            batch = await self.batch(batch_id)
            yield batch
            if batch.state is BatchState.DONE:
                return
            failures += 1
            await asyncio.sleep(delay_s(failures))

    async def _changes(self, batch_id: UUID) -> AsyncGenerator[Batch, None]:
        async with aclosing(self._connection.events(f"{self._batches}/{batch_id}/events")) as events:
            async for event in events:
                if event.event == "progress":
                    yield Batch.model_validate_json(event.data)
                elif event.event == "done":
                    return

    async def reports(self, *, batch_id: UUID | None = None) -> list[Report]:
        """Return all reports that this user may see, most urgent first, of one batch or of all."""
        of_batch = {"batch_id": str(batch_id)} if batch_id else {}
        url = "/api/reports/v1/reports"
        return await self._pages(url, "reports", Report, limit=str(REPORTS_PER_PAGE), **of_batch)

    async def _pages(self, url: str, items: str, kind: type[AnswerT], **parameters: str) -> list[AnswerT]:
        """Read a list to its end."""
        found: list[AnswerT] = []
        page = dict(parameters)
        while True:
            content = (await self._connection.send("GET", url, params=page)).json()
            found += [kind.model_validate(item) for item in content[items]]
            if not content["next_cursor"]:
                return found
            page["cursor"] = content["next_cursor"]

    async def report(self, report_id: UUID) -> Report:
        """Return one report."""
        return _parse(Report, await self._connection.send("GET", f"/api/reports/v1/reports/{report_id}"))

    async def rendering(self, report_id: UUID, which: str) -> bytes:
        """Return a report's `image`, `overlay` or `heatmap` (PNG), or its raw `heatmap.npy`."""
        return (await self._connection.send("GET", f"/api/reports/v1/reports/{report_id}/{which}")).content

    async def dashboard(self, scope: str = "own") -> DashboardSummary:
        """Return the dashboard's figures: `own`, or `tenant` for its administrator."""
        answer = await self._connection.send("GET", "/api/dashboard/v1/summary", params={"scope": scope})
        return _parse(DashboardSummary, answer)

    async def status_of(self, path: str) -> int:
        """Return the HTTP status that this user gets for a path, whatever it is."""
        try:
            return (await self._connection.send("GET", path)).status_code
        except ApiError as error:
            if error.status is None:
                raise
            return error.status


def _parse(kind: type[AnswerT], answer: httpx.Response) -> AnswerT:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        message = f"{answer.request.method} {answer.request.url.path}: unexpected answer at '{where}'"
        raise ApiError(message, status=answer.status_code) from error
