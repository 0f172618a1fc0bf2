"""The order in which waiters get a place."""

import asyncio

import pytest

from inference_service.urgent_first import UrgentFirst
from radrelay_shared.events import Urgency

STAT, URGENT, ROUTINE = Urgency


class Visit:
    """One who waits for a place, notes that it got one, and leaves when told."""

    def __init__(self, places: UrgentFirst, urgency: Urgency, name: str, log: list[str]) -> None:
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(places, urgency, name, log))

    async def _visit(self, places: UrgentFirst, urgency: Urgency, name: str, log: list[str]) -> None:
        async with places.place(urgency):
            log.append(name)
            await self.leave.wait()


async def settle() -> None:
    """Let every task come as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_most_urgent_goes_first_and_equals_in_the_order_they_came() -> None:
    places, log = UrgentFirst(1), list[str]()
    queue = [(ROUTINE, "in"), (ROUTINE, "r1"), (STAT, "s1"), (URGENT, "u1"), (ROUTINE, "r2"), (STAT, "s2")]
    visits = [Visit(places, urgency, name, log) for urgency, name in queue]
    await settle()
    assert log == ["in"]
    for visit in visits:
        visit.leave.set()
    await asyncio.gather(*(visit.task for visit in visits))
    assert log == ["in", "s1", "s2", "u1", "r1", "r2"]


async def test_no_more_are_in_than_there_are_places() -> None:
    places, log = UrgentFirst(2), list[str]()
    visits = [Visit(places, STAT, str(number), log) for number in range(3)]
    await settle()
    assert log == ["0", "1"]
    visits[1].leave.set()
    await settle()
    assert log == ["0", "1", "2"]
    for visit in visits:
        visit.leave.set()
    await asyncio.gather(*(visit.task for visit in visits))


async def test_nobody_gets_in_before_one_who_was_called() -> None:
    places, log = UrgentFirst(1), list[str]()
    first, waiting = Visit(places, STAT, "first", log), Visit(places, ROUTINE, "waiting", log)
    await settle()
    first.leave.set()
    await first.task
    late = Visit(places, STAT, "late", log)
    await settle()
    assert log == ["first", "waiting"]
    for visit in (waiting, late):
        visit.leave.set()
    await asyncio.gather(waiting.task, late.task)


async def test_one_who_gives_up_waiting_is_passed_over() -> None:
    places, log = UrgentFirst(1), list[str]()
    visits = [Visit(places, STAT, name, log) for name in ("in", "gone", "next")]
    await settle()
    visits[1].task.cancel()
    await settle()
    visits[0].leave.set()
    await settle()
    assert log == ["in", "next"]
    visits[2].leave.set()
    await visits[2].task


async def test_a_place_given_to_one_who_is_cancelled_in_that_moment_goes_on_to_the_next() -> None:
    places, log = UrgentFirst(1), list[str]()
    visits = [Visit(places, STAT, name, log) for name in ("in", "gone", "next")]
    await settle()
    visits[0].leave.set()
    while not visits[0].task.done():
        await asyncio.sleep(0)
    visits[1].task.cancel()
    await settle()
    assert log[-1] == "next"
    visits[2].leave.set()
    await visits[2].task


async def test_a_place_is_free_again_after_a_fault_inside() -> None:
    places = UrgentFirst(1)
    with pytest.raises(LookupError):
        async with places.place(ROUTINE):
            raise LookupError
    async with asyncio.timeout(1), places.place(ROUTINE):
        pass
