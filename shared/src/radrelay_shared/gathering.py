"""Doing small pieces of work together: what comes while one round is under way makes the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from opentelemetry.trace import SpanContext, get_current_span

from radrelay_shared.observability import get_tracer, work_for

KeyT = TypeVar("KeyT", bound=Hashable)
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_tracer = get_tracer(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[ItemT, ResultT]):
    item: ItemT
    result: asyncio.Future[ResultT]
    span: SpanContext
    """Of whoever waits."""


class Gathering(Generic[KeyT, ItemT, ResultT]):
    """Rounds of work, one at a time for each key. Use as an async context manager: leaving it waits for the last one.

    So a transaction is paid for once by all who would have made one in the same moment, and nobody waits for company:
    an item that comes alone is worked on alone, at once.
    """

    def __init__(
        self,
        work: Callable[[KeyT, Sequence[ItemT]], Awaitable[Sequence[ResultT | Exception]]],
        *,
        at_once: int,
        name: str,
    ) -> None:
        """`work` gives a result or an error for each item, in their order; what it raises is everybody's error.

        Args:
            work: takes from one to `at_once` items.
            at_once: the size of the largest round.
            name: of the span of a round, which belongs where `work_for` says.
        """
        self._name = name
        self._work = work
        self._at_once = at_once
        self._waiting: dict[KeyT, deque[_Waiting[ItemT, ResultT]]] = {}
        self._rounds: dict[KeyT, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._rounds.values())

    async def do(self, key: KeyT, item: ItemT) -> ResultT:
        """The item's result; whoever is cancelled while waiting may find that it was worked on nevertheless.

        Raises:
            Exception: what went wrong with this item, or with its whole round.
        """
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(item, result, get_current_span().get_span_context())
        self._waiting.setdefault(key, deque()).append(waiting)
        if key not in self._rounds:
            self._rounds[key] = asyncio.create_task(self._run(key))
        return await result

    async def _run(self, key: KeyT) -> None:
        """Work on what waits until nothing does; nothing can come between the last look and the end."""
        waiting = self._waiting[key]
        together: list[_Waiting[ItemT, ResultT]] = []
        try:
            while waiting:
                together = [waiting.popleft() for _ in range(min(len(waiting), self._at_once))]
                outcomes = await self._round(key, together)
                for each, outcome in zip(together, outcomes, strict=True):
                    _settle(each.result, outcome)
        except BaseException as error:  # the process is about to end: nobody may be left waiting
            for each in (*together, *waiting):
                _settle(each.result, error)
            raise
        finally:
            del self._waiting[key], self._rounds[key]

    async def _round(self, key: KeyT, together: Sequence["_Waiting[ItemT, ResultT]"]) -> Sequence[ResultT | Exception]:
        # Not below the span of whoever came first, which the task of the rounds was begun in.
        with work_for([each.span for each in together], _tracer, self._name) as span:
            try:
                return await self._work(key, [each.item for each in together])
            except Exception as error:  # noqa: BLE001  # raised by everybody who waits for this round
                span.record_exception(error)
                return [error] * len(together)


def _settle(result: asyncio.Future[ResultT], outcome: ResultT | BaseException) -> None:
    if result.done():  # who waited has gone away
        return
    if isinstance(outcome, asyncio.CancelledError):
        result.cancel()
    elif isinstance(outcome, BaseException):
        result.set_exception(outcome)
    else:
        result.set_result(outcome)
