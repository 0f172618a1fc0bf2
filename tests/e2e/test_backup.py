"""A backup of a stack, put into a new one: everything that people could see is there, and the audit chains hold."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from radrelay_local.cli import app
from radrelay_local.client.api import ApiClient
from radrelay_local.parts import postgres
from radrelay_local.stack import start_infrastructure
from support.hospital import finished, head, person, poison, send, write_heads
from support.stack import RunningStack
from support.tenants import new_tenant

WITHOUT_MODEL = ("issuer", "ingest-api", "report-api", "dashboard-api", "edge")
PEOPLE = {"dr-ada": "clinician", "chief": "tenant_admin"}


async def radrelay(*arguments: str, home: Path) -> Result:
    line = [*arguments, "--home", str(home)]
    return await asyncio.to_thread(CliRunner().invoke, app, line)


async def until_holds(home: Path, tenant: str) -> None:
    """Wait for the heads of the chains to be published."""
    async with asyncio.timeout(90):
        while (await radrelay("audit", "verify", "--tenant", tenant, home=home)).exit_code:
            await asyncio.sleep(0.5)


async def seen(client: ApiClient, scope: str = "own") -> dict[str, object]:
    """All that somebody is shown of their cases."""
    reports = await client.reports()
    batches = {report.batch_id for report in reports}
    return {
        "reports": reports,
        "images": {each.report_id: await client.rendering(each.report_id, "image") for each in reports},
        "overlays": {each.report_id: await client.rendering(each.report_id, "overlay") for each in reports},
        "files": {batch: await client.batch_files(batch) for batch in batches},
        "figures": await client.dashboard(scope),
    }


@pytest.fixture
def other(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack that was never up, on ports of its own."""
    home = tmp_path / "other"
    with start_infrastructure(home, prefer_usual_ports=False):
        pass
    stack = RunningStack(home, prefer_usual_ports=False)
    stack.down()  # chooses the ports of what is not infrastructure
    yield stack
    stack.down()


async def in_database(stack: RunningStack, sql: str) -> int:
    connection = await asyncpg.connect(postgres.admin_url(stack.ports, stack.credentials))
    try:
        return int(await connection.fetchval(sql))
    finally:
        await connection.close()


@pytest.mark.timeout(400)  # starts a second stack
async def test_what_was_backed_up_is_all_there_in_a_new_stack(
    stack: RunningStack, other: RunningStack, tmp_path: Path
) -> None:
    tenant = new_tenant()
    paths = write_heads(tmp_path / "series", 2, first_seed=900)
    (tmp_path / "series" / "poison.dcm").write_bytes(poison(910))
    (tmp_path / "series" / "cut.dcm").write_bytes(head(911)[:-5000])
    paths += [tmp_path / "series" / "poison.dcm", tmp_path / "series" / "cut.dcm"]
    async with person(stack, tenant, "dr-ada") as ada, person(stack, tenant, "chief", "tenant_admin") as chief:
        await finished(ada, await send(ada, paths, root=tmp_path))
        async with asyncio.timeout(30):
            while (await chief.dashboard("tenant")).failed_cases != 1:
                await asyncio.sleep(0.1)
        before = {"dr-ada": await seen(ada), "chief": await seen(chief, "tenant")}
    await until_holds(stack.home, tenant)

    backups = tmp_path / "backups"
    taken = await radrelay("backup", str(backups), home=stack.home)
    assert taken.exit_code == 0, taken.output
    (path,) = [each.parent for each in backups.glob("*/backup.json")]
    restored = await radrelay("restore", str(path), home=other.home)
    assert restored.exit_code == 0, restored.output

    for name in ("nats", "objects", "postgres", *WITHOUT_MODEL):
        await asyncio.to_thread(other.start, name)
    for name, role in PEOPLE.items():
        async with person(other, tenant, name, role) as client:
            after = await seen(client, "tenant" if role == "tenant_admin" else "own")
        assert after == before[name]
    verified = await radrelay("audit", "verify", "--tenant", tenant, home=other.home)
    assert verified.exit_code == 0, verified.output
    assert verified.stdout.count("HOLDS") == 2
    assert await asyncio.to_thread(other.reconcile, ["--tenant", tenant, "--verify"]) == 0

    waiting = "SELECT count(*) FROM ingest.outbox WHERE published_at IS NULL AND tenant = " + f"'{tenant}'"
    assert await in_database(other, waiting) == 3  # an image each that was stored
    await asyncio.to_thread(other.start, "ingest-worker")
    async with asyncio.timeout(30):
        while await in_database(other, waiting):
            await asyncio.sleep(0.1)

    refused = await radrelay("restore", str(path), home=other.home)
    assert refused.exit_code == 2
    assert "radrelay down first" in refused.stderr
