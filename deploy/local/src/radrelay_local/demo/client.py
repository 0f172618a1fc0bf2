"""A client of Radrelay's public HTTP API: upload images, follow a batch, read reports and figures.

It retries what may be retried: uploads are recognised by their content, so sending a file twice stores it once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from httpx_sse import SSEError, aconnect_sse
from pydantic import BaseModel, ValidationError

from radrelay_local.demo.model import Batch, BatchFile, BatchState, DashboardSummary, Receipt, Report
from radrelay_local.demo.sending import Meter, MeteredFile, group_files
from radrelay_shared.events import Urgency

ATTEMPTS = 6
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 8.0
BUSY = frozenset({429, 502, 503, 504})

ITEMS_PER_PAGE = 100

AnswerT = TypeVar("AnswerT", bound=BaseModel)

Sent = Callable[[int], None]
"""Called with the number of bytes just sent."""


class ApiError(Exception):
    """The API refused a request, or could not be reached.

    Attributes:
        status: HTTP status, None where there was no answer.
        code: the problem's code, where it has one.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ApiClient:
    """One user's access to the API, through the one origin that all services share.

    Args:
        base_url: the origin, such as `http://127.0.0.1:8080`.
        issue_token: gives a bearer token; called again when a token has expired.
        transport: stands in for the network in tests.
    """

    def __init__(
        self, base_url: str, issue_token: Callable[[], str], *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._issue_token = issue_token
        self._token = ""
        self._http = httpx.AsyncClient(
            base_url=base_url, timeout=httpx.Timeout(30, read=120, write=120), transport=transport, trust_env=False
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def open_batch(self, *, priority: Urgency = Urgency.ROUTINE, label: str | None = None) -> Batch:
        """Open a batch to put files into."""
        answer = await self._send("POST", "/api/ingest/v1/batches", json={"priority": priority.value, "label": label})
        return _parse(Batch, answer)

    async def close_batch(self, batch_id: UUID) -> Batch:
        """Say that a batch gets no more files."""
        return _parse(Batch, await self._send("POST", f"/api/ingest/v1/batches/{batch_id}/close"))

    async def upload(
        self, batch_id: UUID, paths: Sequence[Path], *, root: Path, sent: Sent = lambda _: None
    ) -> Receipt:
        """Stream files into a batch, as many requests as it takes, and return what became of all of them.

        Files are named by their path under `root`.

        Raises:
            ApiError: a request was refused as a whole; files of earlier requests stay in the batch.
        """
        accepted, rejected = [], []
        for group in group_files(paths):
            receipt = _parse(Receipt, await self._upload_group(batch_id, group, root, sent))
            accepted += receipt.accepted
            rejected += receipt.rejected
        return Receipt(accepted=accepted, rejected=rejected)

    async def _upload_group(self, batch_id: UUID, paths: Sequence[Path], root: Path, sent: Sent) -> httpx.Response:
        told = 0

        def tell(position: int) -> None:
            """Count each byte once, also where a failed attempt is repeated."""
            nonlocal told
            if position > told:
                sent(position - told)
                told = position

        url = f"/api/ingest/v1/batches/{batch_id}/files"
        async with AsyncExitStack() as stack:
            meter = Meter(tell)
            streams = [stack.enter_context(MeteredFile(path, meter)) for path in paths]
            names = [path.relative_to(root).as_posix() for path in paths]
            parts = [("files", (name, stream)) for name, stream in zip(names, streams, strict=True)]

            def rewind() -> None:
                meter.position = 0
                for stream in streams:
                    stream.seek(0)

            return await self._send("POST", url, files=parts, before=rewind)

    async def batch(self, batch_id: UUID) -> Batch:
        """Return a batch as it stands."""
        return _parse(Batch, await self._send("GET", f"/api/ingest/v1/batches/{batch_id}"))

    async def batch_files(self, batch_id: UUID) -> list[BatchFile]:
        """Return what became of each file of a batch."""
        return await self._pages(f"/api/ingest/v1/batches/{batch_id}/files", "files", BatchFile)

    async def watch(self, batch_id: UUID) -> AsyncIterator[Batch]:
        """Yield a batch on every change until it is done; a broken stream is taken up again.

        Raises:
            ApiError: the batch cannot be followed.
        """
        failures = 0
        while True:
            lost = "the stream ended early"
            try:
                async for batch in self._events(batch_id):
                    failures = 0
                    yield batch
            except (httpx.TransportError, SSEError) as error:
                lost = type(error).__name__
            batch = await self.batch(batch_id)
            yield batch
            if batch.state is BatchState.DONE:
                return
            failures += 1
            if failures == ATTEMPTS:
                raise ApiError(f"lost the progress of batch {batch_id}: {lost}")
            await asyncio.sleep(_delay_s(failures))

    async def _events(self, batch_id: UUID) -> AsyncIterator[Batch]:
        url = f"/api/ingest/v1/batches/{batch_id}/events"
        async with aconnect_sse(self._http, "GET", url, headers=await self._authorization()) as source:
            if source.response.status_code == httpx.codes.UNAUTHORIZED:
                self._token = ""
                return
            if source.response.status_code != httpx.codes.OK:
                await source.response.aread()
                raise _refused(source.response)
            async for event in source.aiter_sse():
                if event.event == "progress":
                    yield Batch.model_validate_json(event.data)
                elif event.event == "done":
                    return

    async def reports(self, *, batch_id: UUID | None = None) -> list[Report]:
        """Return all reports that this user may see, most urgent first, of one batch or of all."""
        of_batch = {"batch_id": str(batch_id)} if batch_id else {}
        return await self._pages("/api/reports/v1/reports", "reports", Report, **of_batch)

    async def _pages(self, url: str, items: str, kind: type[AnswerT], **parameters: str) -> list[AnswerT]:
        """Read a list to its end."""
        found: list[AnswerT] = []
        page = {**parameters, "limit": str(ITEMS_PER_PAGE)}
        while True:
            content = (await self._send("GET", url, params=page)).json()
            found += [kind.model_validate(item) for item in content[items]]
            if not content["next_cursor"]:
                return found
            page["cursor"] = content["next_cursor"]

    async def report(self, report_id: UUID) -> Report:
        """Return one report."""
        return _parse(Report, await self._send("GET", f"/api/reports/v1/reports/{report_id}"))

    async def rendering(self, report_id: UUID, which: str) -> bytes:
        """Return a report's `image`, `overlay` (both PNG) or `heatmap` (.npy)."""
        return (await self._send("GET", f"/api/reports/v1/reports/{report_id}/{which}")).content

    async def dashboard(self, scope: str = "own") -> DashboardSummary:
        """Return the dashboard's figures: `own`, or `tenant` for its administrator."""
        answer = await self._send("GET", "/api/dashboard/v1/summary", params={"scope": scope})
        return _parse(DashboardSummary, answer)

    async def status_of(self, path: str) -> int:
        """Return the HTTP status that this user gets for a path, whatever it is."""
        try:
            return (await self._send("GET", path)).status_code
        except ApiError as error:
            if error.status is None:
                raise
            return error.status

    async def _authorization(self) -> dict[str, str]:
        if not self._token:
            self._token = await asyncio.to_thread(self._issue_token)
        return {"Authorization": f"Bearer {self._token}"}

    async def _send(
        self, method: str, url: str, *, before: Callable[[], None] = lambda: None, **content: Any
    ) -> httpx.Response:
        """Send a request; wait and repeat while the server is busy or away, and once with a new token."""
        renewed = False
        for attempt in range(1, ATTEMPTS + 1):
            before()
            try:
                answer = await self._http.request(method, url, headers=await self._authorization(), **content)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS:
                    raise ApiError(f"{method} {url}: no answer ({type(error).__name__})") from error
                await asyncio.sleep(_delay_s(attempt))
                continue
            if answer.status_code == httpx.codes.UNAUTHORIZED and not renewed:
                renewed, self._token = True, ""
            elif answer.status_code in BUSY and attempt < ATTEMPTS:
                await asyncio.sleep(_delay_s(attempt, answer.headers.get("Retry-After")))
            elif answer.is_success:
                return answer
            else:
                raise _refused(answer)
        raise ApiError(f"{method} {url}: refused {ATTEMPTS} times")


def _delay_s(attempt: int, retry_after: str | None = None) -> float:
    if retry_after and retry_after.isdecimal():
        return min(float(retry_after), LONGEST_DELAY_S)
    return min(FIRST_DELAY_S * 2.0 ** (attempt - 1), LONGEST_DELAY_S)


def _parse(kind: type[AnswerT], answer: httpx.Response) -> AnswerT:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        message = f"{answer.request.method} {answer.request.url.path}: unexpected answer at '{where}'"
        raise ApiError(message, status=answer.status_code) from error


def _refused(answer: httpx.Response) -> ApiError:
    """Turn a problem document (RFC 9457) into an error that says what and where."""
    where = f"{answer.request.method} {answer.request.url.path}"
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return ApiError(f"{where}: HTTP {answer.status_code}", status=answer.status_code)
    detail = problem.get("detail") or problem.get("title") or "no detail"
    return ApiError(
        f"{where}: HTTP {answer.status_code}: {detail}", status=answer.status_code, code=problem.get("code")
    )
