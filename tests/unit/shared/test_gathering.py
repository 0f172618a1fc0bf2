import asyncio
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from radrelay_shared import gathering as module
from radrelay_shared.gathering import Gathering


class Work:
    """Doubles numbers once it is let; odd ones are refused, and 0 spoils its round."""

    def __init__(self) -> None:
        self.rounds: list[tuple[str, list[int]]] = []
        self.gate = asyncio.Event()

    async def __call__(self, key: str, items: Sequence[int]) -> Sequence[int | Exception]:
        self.rounds.append((key, list(items)))
        await self.gate.wait()
        if 0 in items:
            raise OSError("spoilt")
        return [ValueError(item) if item % 2 else 2 * item for item in items]


async def begun(work: Work, rounds: int = 1) -> None:
    async with asyncio.timeout(5):
        while len(work.rounds) < rounds:
            await asyncio.sleep(0)


async def test_what_comes_during_a_round_goes_in_the_next_one_up_to_its_limit() -> None:
    work = Work()
    async with Gathering(work, at_once=2, name="work") as gathering:
        first = asyncio.create_task(gathering.do("a", 2))
        await begun(work)
        others = [asyncio.create_task(gathering.do("a", item)) for item in (4, 6, 8)]
        work.gate.set()
        assert await asyncio.gather(first, *others) == [4, 8, 12, 16]
    assert work.rounds == [("a", [2]), ("a", [4, 6]), ("a", [8])]


async def test_keys_do_not_wait_for_each_other() -> None:
    work = Work()
    async with Gathering(work, at_once=2, name="work") as gathering:
        tasks = [asyncio.create_task(gathering.do(key, 2)) for key in ("a", "b")]
        await begun(work, rounds=2)
        work.gate.set()
        assert await asyncio.gather(*tasks) == [4, 4]


async def test_an_item_has_its_own_error_and_a_spoilt_round_is_everybodys() -> None:
    work = Work()
    work.gate.set()
    async with Gathering(work, at_once=9, name="work") as gathering:
        mixed = await asyncio.gather(*(gathering.do("a", item) for item in (1, 2)), return_exceptions=True)
        assert isinstance(mixed[0], ValueError)
        assert mixed[1] == 4
        spoilt = await asyncio.gather(*(gathering.do("a", item) for item in (0, 2)), return_exceptions=True)
        assert [type(each) for each in spoilt] == [OSError, OSError]
        assert await gathering.do("a", 2) == 4


async def test_who_goes_away_changes_nothing_for_the_others_and_leaving_waits_for_the_last_round() -> None:
    work = Work()
    async with Gathering(work, at_once=9, name="work") as gathering:
        gone = asyncio.create_task(gathering.do("a", 2))
        await begun(work)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        stays = asyncio.create_task(gathering.do("a", 4))
        await asyncio.sleep(0)
        work.gate.set()
    assert stays.done()
    assert await stays == 8


async def test_a_round_for_several_is_linked_to_each_and_one_for_one_is_below_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    monkeypatch.setattr(module, "_tracer", tracer)
    work = Work()

    async def waiting(gathering: Gathering[str, int, int], item: int) -> int:
        with tracer.start_as_current_span(f"wait for {item}") as span:
            await gathering.do("a", item)
            return span.get_span_context().span_id

    async with Gathering(work, at_once=9, name="round") as gathering:
        first = asyncio.create_task(waiting(gathering, 2))
        await begun(work)
        others = [asyncio.create_task(waiting(gathering, item)) for item in (4, 6)]
        await asyncio.sleep(0)
        work.gate.set()
        alone, *together = await asyncio.gather(first, *others)
    lone, shared = [span for span in exporter.get_finished_spans() if span.name == "round"]
    assert lone.parent is not None
    assert lone.parent.span_id == alone
    assert lone.links == ()
    assert shared.parent is None
    assert [link.context.span_id for link in shared.links] == together
