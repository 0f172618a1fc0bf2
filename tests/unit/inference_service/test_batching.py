"""BentoML's own dispatcher, as the model server uses it."""

from collections.abc import Sequence
from time import perf_counter

import pytest
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer

from inference_service.batching import never_hold_requests

LONG_WAIT_S = 1.0
TRAINING_BATCHES = 11
"""What the dispatcher learns from before it begins to hold requests back."""


async def lone_request_after_a_busy_time_s() -> float:
    async def double(batch: Sequence[list[int]]) -> Sequence[list[int]]:
        return [[2 * value for value in values] for values in batch]

    def overloaded() -> list[int]:
        raise AssertionError("503")

    dispatcher: CorkDispatcher[list[int], list[int]] = CorkDispatcher(
        60_000, 8, fallback=overloaded, get_batch_size=len
    )
    call = dispatcher(double)
    for value in range(TRAINING_BATCHES):
        await call([value])
    for _ in range(Optimizer.N_KEPT_SAMPLE):
        dispatcher.optimizer.log_outbound(8, LONG_WAIT_S, 0.01)
    dispatcher.optimizer.trigger_refresh()  # type: ignore[no-untyped-call]  # BentoML leaves it untyped
    started = perf_counter()
    assert await call([21]) == [42]
    elapsed_s = perf_counter() - started
    dispatcher.shutdown()
    return elapsed_s


async def test_a_lone_request_is_not_held_back_after_a_busy_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Optimizer, "wait", None, raising=False)
    never_hold_requests()
    assert await lone_request_after_a_busy_time_s() < LONG_WAIT_S / 2
