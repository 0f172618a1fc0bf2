"""The infrastructure after kills: it starts again, and what was acknowledged is there."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import nats
import psutil
import pytest

from radrelay_local.control import Condition
from radrelay_local.state import State
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.objects import S3ObjectStore
from support.processes import processes_of
from support.stack import Infrastructure


class Data:
    """One message, one object and one row that must not get lost."""

    def __init__(self) -> None:
        self.name = f"t{uuid4().hex}"

    async def write(self, infrastructure: Infrastructure) -> None:
        client = await nats.connect(infrastructure.nats_url)
        js = client.jetstream()
        await js.add_stream(name=self.name, subjects=[self.name])
        await js.publish(self.name, b"message")
        await client.close()
        with TenantBuckets(infrastructure.objects) as buckets:
            buckets.add(self.name)
        async with S3ObjectStore(infrastructure.objects) as store:
            await store.put(f"{self.name}/object", b"object", content_type="text/plain")
        connection = await asyncpg.connect(infrastructure.postgres_admin_url)
        await connection.execute(f"CREATE TABLE {self.name} AS SELECT 'row' AS value")
        await connection.close()

    async def assert_there(self, infrastructure: Infrastructure) -> None:
        client = await nats.connect(infrastructure.nats_url)
        assert (await client.jetstream().get_msg(self.name, 1)).data == b"message"
        await client.close()
        async with S3ObjectStore(infrastructure.objects) as store:
            assert await store.get(f"{self.name}/object") == b"object"
        connection = await asyncpg.connect(infrastructure.postgres_admin_url)
        assert await connection.fetchval(f"SELECT value FROM {self.name}") == "row"
        await connection.close()


@pytest.fixture
async def data(own_infra: Infrastructure) -> Data:
    data = Data()
    await data.write(own_infra)
    return data


@pytest.fixture
def bystander() -> Iterator[psutil.Process]:
    """A process that has nothing to do with the stack."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield psutil.Process(process.pid)
        process.kill()


def kill_everything(infrastructure: Infrastructure) -> None:
    processes = processes_of(infrastructure.home)
    for process in processes:
        if process.is_running():
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=10)


def all_ready(infrastructure: Infrastructure) -> bool:
    return {each.condition for each in infrastructure.status()} == {Condition.READY}


async def test_data_survives_a_kill_of_everything(own_infra: Infrastructure, data: Data) -> None:
    kill_everything(own_infra)
    assert not own_infra.is_running()
    Infrastructure(own_infra.home).up()
    await data.assert_there(own_infra)


async def test_data_survives_a_kill_of_everything_and_other_ports(
    own_infra: Infrastructure, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_everything(own_infra)
    before = dict(own_infra.ports)
    monkeypatch.setattr("radrelay_local.ports.is_free", lambda port: port not in before.values())
    own_infra.up()
    assert set(own_infra.ports.values()).isdisjoint(before.values())
    await data.assert_there(own_infra)


async def test_data_survives_down_and_up(own_infra: Infrastructure, data: Data) -> None:
    own_infra.down()
    assert processes_of(own_infra.home) == []
    own_infra.up()
    await data.assert_there(own_infra)


@pytest.mark.parametrize("name", ["nats", "objects", "postgres"])
async def test_one_killed_process_starts_again_alone(own_infra: Infrastructure, data: Data, name: str) -> None:
    before = {each.name: each.pid for each in own_infra.status()}
    own_infra.kill(name)
    assert own_infra.pid(name) is None
    own_infra.up()
    after = {each.name: each.pid for each in own_infra.status()}
    assert {part for part in before if before[part] != after[part]} == {name}
    await data.assert_there(own_infra)


def test_a_suspended_process_does_not_answer_until_it_is_resumed(own_infra: Infrastructure) -> None:
    own_infra.suspend("nats")
    assert not all_ready(own_infra)
    own_infra.resume("nats")
    assert all_ready(own_infra)


def test_a_suspended_process_can_be_stopped(own_infra: Infrastructure) -> None:
    own_infra.suspend("postgres")
    own_infra.stop("postgres")
    assert own_infra.pid("postgres") is None
    own_infra.start("postgres")
    assert all_ready(own_infra)


def test_a_number_that_another_process_got_is_left_alone(own_infra: Infrastructure, bystander: psutil.Process) -> None:
    own_infra.kill("nats")
    state = State(own_infra.folders.state_file)
    state.reload()
    state.record("nats", replace(state.processes["objects"], pid=bystander.pid))
    own_infra.up()
    assert own_infra.pid("nats") != bystander.pid
    assert bystander.is_running()
    assert all_ready(own_infra)


def test_a_stale_pid_file_of_the_database_is_no_obstacle(own_infra: Infrastructure, bystander: psutil.Process) -> None:
    own_infra.kill("postgres")
    pid_file = own_infra.home / "data" / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]))
    own_infra.start("postgres")
    assert bystander.is_running()
    assert all_ready(own_infra)


async def test_a_lost_state_file_orphans_nothing(own_infra: Infrastructure, data: Data) -> None:
    """Whoever removes it loses the ports, but the processes are found by what they carry."""
    old = {process.pid for process in processes_of(own_infra.home)}
    own_infra.folders.state_file.unlink()
    own_infra.up()
    assert old.isdisjoint(process.pid for process in processes_of(own_infra.home))
    await data.assert_there(own_infra)


def test_down_stops_what_a_lost_state_file_knew(tmp_path: Path) -> None:
    infrastructure = Infrastructure(tmp_path, prefer_usual_ports=False)
    infrastructure.up()
    infrastructure.folders.state_file.unlink()
    Infrastructure(tmp_path).down()
    assert processes_of(tmp_path) == []


def test_an_interrupted_first_start_of_the_database_is_begun_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "data" / "postgres.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    infrastructure = Infrastructure(tmp_path, prefer_usual_ports=False)
    infrastructure.up()
    infrastructure.down()
    assert not unfinished.exists()
