"""What happens in the demo, in order: two tenants send images, read their reports, and cannot see each other."""

import asyncio
import json
import os
import secrets
import shutil
import sys
import threading
import time
import webbrowser
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol
from uuid import UUID

from radrelay_local.client.answers import Batch, DashboardSummary, Receipt, Report
from radrelay_local.client.api import ApiClient
from radrelay_local.client.connection import ApiError, leaves
from radrelay_local.client.delivery import Delivery
from radrelay_local.client.sending import OutgoingFile
from radrelay_local.demo.overlays import save_overlay
from radrelay_local.demo.samples import SAMPLE_STEPS, Parcel, users_own, write_real_files, write_samples
from radrelay_local.demo.screen import Screen
from radrelay_local.demo.summary import DashboardCheck, Delivered, IsolationCheck, Summary, expected_growth
from radrelay_local.people import ADA, BEN, NORTH_ADMIN, User
from radrelay_shared.events import Urgency

OVERLAYS_PER_USER = 8
STANDSTILL_S = 180.0
DASHBOARD_PATIENCE_S = 45.0
DASHBOARD_PAUSE_S = 0.3

DASHBOARDS = ((ADA, "own"), (NORTH_ADMIN, "own"), (NORTH_ADMIN, "tenant"), (BEN, "own"))
URGENCIES = (Urgency.STAT, Urgency.URGENT, Urgency.ROUTINE)


class Stack(Protocol):
    """The Radrelay that the demo plays on, with a development issuer and the people of the demo."""

    @property
    def base_url(self) -> str:
        """The one origin of the frontend and all public APIs, without a slash at the end."""
        ...

    def issue_token(self, tenant: str, user: str, roles: Iterable[str]) -> str:
        """A bearer token; raises StackError."""
        ...

    def addresses(self) -> dict[str, str]:
        """What a person may want to open or connect to."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What every part of the demo needs."""

    clients: Mapping[User, ApiClient]
    screen: Screen
    summary: Summary
    overlay_folder: Path


def run(stack: Stack, *, once: bool, dicom: Path | None, out: Path) -> int:
    """Play the demo on a running stack and return the exit status.

    Args:
        stack: the stack, up.
        once: end after the demo; otherwise stay until Ctrl-C, so that the addresses can be opened.
        dicom: a folder, a file or a ZIP to send instead of phantoms.
        out: folder for `summary.json`, `overlays/` and the samples; made where it is missing.

    Returns:
        0 when the product's figures equal what was sent, 1 when they do not, or when a request was refused.
    """
    screen = Screen()
    try:
        problems = _play(stack, screen, dicom, out)
    except* (ApiError, OSError) as errors:
        problems = [str(error) for error in leaves(errors)]
    screen.problems(problems)
    screen.heading("Open")
    for what, address in stack.addresses().items():
        screen.say(f"  {what}: {address}")
    if not once:
        screen.say(f"Sign in at {stack.base_url} as {ADA.name}. The stack stays up until Ctrl-C.")
        _show_frontend(stack)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 1 if problems else 0


def _show_frontend(stack: Stack) -> None:
    """Open the frontend where there is a screen; a browser of the terminal would take the terminal."""
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(stack.base_url)


def _play(stack: Stack, screen: Screen, dicom: Path | None, out: Path) -> list[str]:
    """Prepare, play, and write `summary.json`; return what does not agree."""
    for name in ("samples", "overlays"):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
    # Fresh phantoms every time: images that were here before would be recognised and not screened again.
    seed = secrets.randbelow(2**31)
    parcels = _parcels(screen, out / "samples", seed, dicom)
    started = time.monotonic()
    summary = asyncio.run(_perform(stack, screen, parcels, out / "overlays"))
    content = {"seed": seed, "seconds": round(time.monotonic() - started, 3), **summary.to_json()}
    path = out / "summary.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    screen.heading("Written")
    screen.say(f"  {path} and {len(summary.overlays)} pictures in {out / 'overlays'}")
    return summary.problems()


def _parcels(screen: Screen, folder: Path, seed: int, dicom: Path | None) -> list[Parcel]:
    if dicom:
        return [users_own(dicom), write_real_files(folder / "real", seed)]
    screen.heading("Writing synthetic head-CT phantoms as DICOM")
    with screen:
        done = 0

        def written() -> None:
            nonlocal done
            done += 1
            screen.preparing(done, SAMPLE_STEPS)

        return write_samples(folder, seed, written)


async def _perform(stack: Stack, screen: Screen, parcels: Sequence[Parcel], overlay_folder: Path) -> Summary:
    async with AsyncExitStack() as resources:
        clients = {}
        for user in (ADA, NORTH_ADMIN, BEN):
            issue_token = partial(stack.issue_token, user.tenant, user.name, [user.role])
            clients[user] = await resources.enter_async_context(ApiClient(stack.base_url, issue_token))
        stage = Stage(clients, screen, Summary(), overlay_folder)
        before = {(user, scope): await clients[user].dashboard(scope) for user, scope in DASHBOARDS}

        screen.heading("Sending, and following the work live")
        with screen:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_deliver(stage, parcel)) for parcel in parcels]
        stage.summary.delivered += [task.result() for task in tasks]
        screen.batches(stage.summary.delivered)

        screen.heading("Reports")
        for user in (ADA, BEN):
            await _show_reports(stage, user)
        screen.heading("One tenant cannot see another's")
        await _try_to_peek(stage)
        screen.heading("Dashboards")
        for user, scope in DASHBOARDS:
            await _check_dashboard(stage, user, scope, before[user, scope])
        screen.dashboards(stage.summary.dashboards)
        return stage.summary


async def _deliver(stage: Stage, parcel: Parcel) -> Delivered:
    """Send one parcel and follow it until every image has its report or its failure."""
    client = stage.clients[parcel.sender]
    started = time.monotonic()
    sent_bytes = 0

    def sent(count: int) -> None:
        nonlocal sent_bytes
        sent_bytes += count
        stage.screen.sending(parcel, sent_bytes)

    batch = await client.open_batch(priority=parcel.priority, label=parcel.label)
    delivery = Delivery(client, batch.batch_id, sent=sent)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(_follow(stage, parcel, batch.batch_id))
        await delivery.send(OutgoingFile.under(parcel.root, path) for path in parcel.paths)
        await client.close_batch(batch.batch_id)
    seconds = time.monotonic() - started
    files = await client.batch_files(batch.batch_id)
    reports = await client.reports(batch_id=batch.batch_id)
    known = {report.report_id for report in reports}
    # Images that were here before have their report in an earlier batch.
    earlier = {file.report_id for file in files if file.report_id} - known
    reports += [await client.report(report_id) for report_id in sorted(earlier)]
    receipt = Receipt(accepted=delivery.accepted, rejected=delivery.rejected)
    return Delivered(parcel, receipt, following.result(), files, by_urgency(reports), seconds)


async def _follow(stage: Stage, parcel: Parcel, batch_id: UUID) -> Batch:
    """Show a batch's progress until it is done.

    Raises:
        ApiError: nothing moved for too long.
    """
    latest: Batch | None = None
    try:
        async with asyncio.timeout(STANDSTILL_S) as limit:
            async for batch in stage.clients[parcel.sender].watch(batch_id):
                if batch != latest:
                    limit.reschedule(asyncio.get_running_loop().time() + STANDSTILL_S)
                latest = batch
                stage.screen.processing(parcel, batch)
    except TimeoutError as error:
        stuck = latest.counts if latest else "no progress at all"
        raise ApiError(f"batch {batch_id} stood still for {STANDSTILL_S:.0f} s ({stuck})") from error
    if latest is None:
        raise ApiError(f"batch {batch_id} gave no progress")
    return latest


async def _show_reports(stage: Stage, user: User) -> None:
    """Print a user's reports and save pictures of the most urgent."""
    mine = [report for batch in stage.summary.delivered if batch.parcel.sender == user for report in batch.reports]
    reports = by_urgency(mine)
    stage.screen.reports(f"{user.tenant}/{user.name}", reports)
    client = stage.clients[user]
    for report in reports[:OVERLAYS_PER_USER]:
        image = await client.rendering(report.report_id, "image")
        overlay = await client.rendering(report.report_id, "overlay")
        rank = len(stage.summary.overlays) + 1
        stage.summary.overlays.append(save_overlay(stage.overlay_folder, rank, report, image, overlay))


async def _try_to_peek(stage: Stage) -> None:
    """Let the second tenant ask for the first one's report, picture and batch."""
    theirs = [batch for batch in stage.summary.delivered if batch.parcel.sender == ADA]
    reports = [report for batch in theirs for report in batch.reports]
    paths = [f"/api/ingest/v1/batches/{batch.batch.batch_id}" for batch in theirs[:1]]
    for report in reports[:1]:
        path = f"/api/reports/v1/reports/{report.report_id}"
        paths += [path, f"{path}/overlay"]
    for path in paths:
        status = await stage.clients[BEN].status_of(path)
        stage.summary.isolation.append(IsolationCheck(BEN, f"{ADA.tenant}/{ADA.name}'s {path}", status))
    stage.screen.isolation(stage.summary.isolation)


async def _check_dashboard(stage: Stage, user: User, scope: str, before: DashboardSummary) -> None:
    """Wait until a dashboard shows what was sent; it follows the reports by a moment."""
    whose = [
        batch
        for batch in stage.summary.delivered
        if batch.parcel.sender == user or (scope == "tenant" and batch.parcel.sender.tenant == user.tenant)
    ]
    expected = expected_growth(whose)
    deadline = time.monotonic() + DASHBOARD_PATIENCE_S
    while True:
        after = await stage.clients[user].dashboard(scope)
        check = DashboardCheck(user, scope, before, after, expected)
        if not check.problems() or time.monotonic() > deadline:
            stage.summary.dashboards.append(check)
            return
        await asyncio.sleep(DASHBOARD_PAUSE_S)


def by_urgency(reports: Sequence[Report]) -> list[Report]:
    """Sort reports, most urgent first, then most probable."""
    return sorted(reports, key=lambda report: (URGENCIES.index(report.urgency), -report.probability))
