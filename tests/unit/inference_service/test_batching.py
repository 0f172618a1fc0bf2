"""BentoML's own dispatcher, as the model server uses it."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer

from inference_service.batching import never_hold_requests

LONG_WAIT_S = 1.0
TRAINING_BATCHES = 11
"""What BentoML's own loop learns from before it begins to hold requests back."""
TURNS_OF_THE_LOOP = 20

Dispatcher = CorkDispatcher[list[int], list[int]]
OVERLOADED = [503]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CorkDispatcher, "controller", CorkDispatcher.controller)
        yield


class Model:
    """Doubles what it is given; holds each batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def double(self, batch: Sequence[list[int]]) -> Sequence[list[int]]:
        self.batches.append([value for values in batch for value in values])
        await self.free.wait()
        return [[2 * value for value in values] for values in batch]


def dispatcher_of(max_latency_ms: int = 60_000) -> Dispatcher:
    return CorkDispatcher(max_latency_ms, 8, fallback=lambda: OVERLOADED, get_batch_size=len)


async def test_a_lone_request_is_not_held_back_after_a_busy_time() -> None:
    never_hold_requests()
    model, dispatcher = Model(), dispatcher_of()
    call = dispatcher(model.double)
    for value in range(TRAINING_BATCHES):
        await call([value])
    for _ in range(Optimizer.N_KEPT_SAMPLE):
        dispatcher.optimizer.log_outbound(8, LONG_WAIT_S, 0.01)
    dispatcher.optimizer.trigger_refresh()  # type: ignore[no-untyped-call]  # BentoML leaves it untyped
    request = asyncio.create_task(call([21]))
    for _ in range(TURNS_OF_THE_LOOP):
        await asyncio.sleep(0)
    assert model.batches[-1] == [21], "without any timer in between"
    assert await request == [42]
    dispatcher.shutdown()


async def test_what_waits_while_the_model_computes_goes_together_up_to_the_largest_batch() -> None:
    never_hold_requests()
    model, dispatcher = Model(), dispatcher_of()
    call = dispatcher(model.double)
    model.free.clear()
    first = asyncio.create_task(call([0]))
    while not model.batches:
        await asyncio.sleep(0)
    others = [asyncio.create_task(call([value])) for value in range(1, 12)]
    await asyncio.sleep(0)
    model.free.set()
    assert [await task for task in (first, *others)] == [[2 * value] for value in range(12)]
    assert model.batches == [[0], list(range(1, 9)), [9, 10, 11]]
    dispatcher.shutdown()


async def test_a_request_that_waited_too_long_is_refused_and_the_next_one_is_served() -> None:
    never_hold_requests()
    model, dispatcher = Model(), dispatcher_of(max_latency_ms=1)
    call = dispatcher(model.double)
    model.free.clear()
    first = asyncio.create_task(call([1]))
    while not model.batches:
        await asyncio.sleep(0)
    waiting = asyncio.create_task(call([2]))
    while not dispatcher._queue:
        await asyncio.sleep(0)
    dispatcher._queue[0].enqueue_time -= 1.0
    model.free.set()
    assert await first == [2]
    assert await waiting == OVERLOADED
    assert await call([3]) == [6]
    assert model.batches == [[1], [3]]
    dispatcher.shutdown()


async def test_a_model_that_fails_fails_its_batch_and_no_other() -> None:
    never_hold_requests()

    async def refuse_odd(batch: Sequence[list[int]]) -> Sequence[list[int]]:
        if batch[0][0] % 2:
            raise ValueError("odd")
        return batch

    dispatcher = dispatcher_of()
    call = dispatcher(refuse_odd)
    with pytest.raises(ValueError, match="odd"):
        await call([1])
    assert await call([2]) == [2]
    dispatcher.shutdown()
