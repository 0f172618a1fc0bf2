"""HTTP to one Radrelay: tokens renewed, busy or absent servers asked again, refusals turned into errors."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

ATTEMPTS = 8
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 8.0
LONGEST_RETRY_AFTER_S = 60.0
"""Longest wait that a server may ask for; one that asks for more is not asked again."""
BUSY = frozenset({408, 429, 502, 503, 504})

_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})

IssueToken = Callable[[], str]
"""Gives a bearer token; called in a thread, and again when a token was refused."""


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


def is_on_this_machine(url: str) -> bool:
    """Whether an address is a loopback one."""
    return httpx.URL(url).host in _THIS_MACHINE


class Connection:
    """One user's requests to one address. Proxies and certificates are the environment's, except on this machine.

    Args:
        base_url: what paths are added to, such as `http://127.0.0.1:8080`.
        issue_token: gives a bearer token.
        transport: stands in for the network in tests.
    """

    def __init__(
        self, base_url: str, issue_token: IssueToken, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._issue_token = issue_token
        self._token = ""
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(30, read=120, write=120),
            transport=transport,
            trust_env=not is_on_this_machine(base_url),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def send(
        self,
        method: str,
        url: str,
        *,
        before: Callable[[], None] = lambda: None,
        attempts: int = ATTEMPTS,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> httpx.Response:
        """Send a request; wait and repeat while the server is busy or away, and once with a new token.

        `before` is called before each attempt; `content` is what httpx takes.

        Raises:
            ApiError: the request was refused, or had no answer at any attempt.
        """
        renewed = False
        for attempt in range(1, attempts + 1):
            before()
            try:
                sent = {**(headers or {}), **await self._authorization()}
                answer = await self._http.request(method, url, headers=sent, **content)
            except httpx.TransportError as error:
                if attempt == attempts:
                    where = f"{method} {self._http.base_url.join(url)}"
                    raise ApiError(f"{where}: no answer ({type(error).__name__})") from error
                await asyncio.sleep(delay_s(attempt))
                continue
            if answer.status_code == httpx.codes.UNAUTHORIZED and not renewed:
                renewed, self._token = True, ""
            elif answer.status_code in BUSY and attempt < attempts and not _asks_for_too_long(answer):
                await asyncio.sleep(delay_s(attempt, answer.headers.get("Retry-After")))
            elif answer.is_success:
                return answer
            else:
                raise _refused(answer)
        raise ApiError(f"{method} {url}: refused {attempts} times")

    async def events(self, url: str) -> AsyncGenerator[ServerSentEvent, None]:
        """Yield server-sent events until the stream ends; a refused token ends it at once, and the next is a new one.

        Raises:
            ApiError: the stream was refused.
            httpx.TransportError: the connection was lost.
            httpx_sse.SSEError: the answer is no stream of events.
        """
        async with aconnect_sse(self._http, "GET", url, headers=await self._authorization()) as source:
            if source.response.status_code == httpx.codes.UNAUTHORIZED:
                self._token = ""
                return
            if source.response.status_code != httpx.codes.OK:
                await source.response.aread()
                raise _refused(source.response)
            async for event in source.aiter_sse():
                yield event

    async def _authorization(self) -> dict[str, str]:
        if not self._token:
            self._token = await asyncio.to_thread(self._issue_token)
        return {"Authorization": f"Bearer {self._token}"}


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Return the errors in a group of groups."""
    return [
        leaf
        for error in group.exceptions
        for leaf in (leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def delay_s(attempt: int, retry_after: str | None = None) -> float:
    """Return how long to wait after attempt 1, 2 ...: as long as the server asks for, or twice as long each time."""
    if retry_after and retry_after.isdecimal():
        return min(float(retry_after), LONGEST_RETRY_AFTER_S)
    return min(FIRST_DELAY_S * 2.0 ** min(attempt - 1, 16), LONGEST_DELAY_S)


def _asks_for_too_long(answer: httpx.Response) -> bool:
    """Whether the server wants us back later than we wait, as when the day's quota is used up."""
    retry_after = answer.headers.get("Retry-After", "")
    return retry_after.isdecimal() and float(retry_after) > LONGEST_RETRY_AFTER_S


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
