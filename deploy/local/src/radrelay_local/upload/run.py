"""Sending a batch and following it, or following one that is there."""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from radrelay_local.client.answers import BatchFile, BatchState
from radrelay_local.client.api import ApiClient
from radrelay_local.client.connection import ApiError, leaves
from radrelay_local.client.delivery import Delivery
from radrelay_local.errors import StackError
from radrelay_local.upload.outcome import Outcome, Reports, Shipment
from radrelay_local.upload.screen import Screen
from radrelay_local.upload.walking import Found, Skipped
from radrelay_shared.events import Urgency

MOST_URGENT_FIRST = (Urgency.STAT, Urgency.URGENT, Urgency.ROUTINE)
CLOSING_S = 5.0
"""How long closing a batch may take when we end early."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to send, and how."""

    found: Found
    priority: Urgency
    label: str | None
    concurrency: int
    wait: bool


async def upload(client: ApiClient, order: Order, screen: Screen) -> Outcome:
    """Send files as one batch, and follow it until each has its end.

    Once the batch is open, whatever ends this early is told in the outcome. The batch is closed then, so that it ends
    with what was sent.

    Raises:
        ApiError, StackError: there is no batch: the address, the token or the order was refused.
    """
    started = time.monotonic()
    await client.find_ingest()
    batch = await client.open_batch(priority=order.priority, label=order.label)
    screen.say(f"Batch {batch.batch_id}, files to send: {len(order.found.files)}")
    sent_bytes = 0

    def sent(count: int) -> None:
        nonlocal sent_bytes
        sent_bytes += count
        screen.sending(sent_bytes, order.found.size_bytes)

    delivery = Delivery(client, batch.batch_id, sent=sent)
    outcome = Outcome(batch)

    async def work() -> None:
        async with asyncio.TaskGroup() as tasks:
            if order.wait:
                tasks.create_task(_follow(client, outcome, screen))
            await delivery.send(order.found.files, concurrency=order.concurrency)
            closed = await client.close_batch(batch.batch_id)
            if not order.wait:
                outcome.batch = closed

    with screen:
        whole = await _guarded(work(), outcome)
        if not whole:
            await _close(client, outcome)
    _record(outcome, order.found, delivery, sent_bytes)
    if whole:
        await _guarded(_ask(client, outcome, screen), outcome)
    outcome.seconds = time.monotonic() - started
    return outcome


async def watch(client: ApiClient, batch_id: UUID, screen: Screen) -> Outcome:
    """Follow a batch until each of its files has its end.

    Raises:
        ApiError, StackError: the batch, the address or the token was refused.
    """
    started = time.monotonic()
    await client.find_ingest()
    outcome = Outcome(await client.batch(batch_id))
    with screen:
        whole = await _guarded(_follow(client, outcome, screen), outcome)
    if whole:
        await _guarded(_ask(client, outcome, screen), outcome)
    outcome.seconds = time.monotonic() - started
    return outcome


def _record(outcome: Outcome, found: Found, delivery: Delivery, sent_bytes: int) -> None:
    """Put what was sent, left out and refused at once into the outcome."""
    outcome.shipment = Shipment(
        files=len(found.files),
        sent_files=delivery.answered,
        size_bytes=found.size_bytes,
        sent_bytes=sent_bytes,
        repeated=sum(accepted.repeated for accepted in delivery.accepted),
    )
    outcome.skipped = [*found.skipped, *(Skipped.unreadable(file.name, error) for file, error in delivery.unreadable)]
    outcome.files = [BatchFile(status="rejected", **rejected.model_dump()) for rejected in delivery.rejected]


async def _follow(client: ApiClient, outcome: Outcome, screen: Screen) -> None:
    async for batch in client.watch(outcome.batch.batch_id):
        outcome.batch = batch
        screen.processing(batch)


async def _guarded(work: Coroutine[Any, Any, None], outcome: Outcome) -> bool:
    """Do a part of the work, and return whether it came to its end; where not, the outcome says why."""
    try:
        try:
            await work
        except* (ApiError, StackError, OSError) as errors:
            outcome.error = str(leaves(errors)[0])
    except asyncio.CancelledError:
        # Ctrl-C: asyncio.run cancels its task once. What is left to do is short, and a second Ctrl-C ends it.
        outcome.interrupted = True
    return outcome.error is None and not outcome.interrupted


async def _close(client: ApiClient, outcome: Outcome) -> None:
    # Where this fails too, the service closes the batch when nothing has come for a while.
    with suppress(ApiError, StackError, TimeoutError):
        async with asyncio.timeout(CLOSING_S):
            outcome.batch = await client.close_batch(outcome.batch.batch_id)


async def _ask(client: ApiClient, outcome: Outcome, screen: Screen) -> None:
    """Ask what became of each file, and for the reports where the address leads to them."""
    batch_id = outcome.batch.batch_id
    outcome.files = await client.batch_files(batch_id)
    if not client.has_reports or outcome.batch.state is not BatchState.DONE:
        return
    try:
        reports = await client.reports(batch_id=batch_id)
    except ApiError as error:
        screen.say(f"The reports cannot be asked for: {error}")
        return
    urgencies = Counter(report.urgency for report in reports)
    here = {report.report_id for report in reports}
    elsewhere = {file.report_id for file in outcome.files if file.report_id} - here
    outcome.reports = Reports({each.value: urgencies[each] for each in MOST_URGENT_FIRST}, len(elsewhere))
