"""NATS, S3 and PostgreSQL as the embedded stack runs them."""

import socket
import time
from pathlib import Path

import httpx
import pytest

from radrelay_local.control import Condition
from radrelay_local.errors import StackError
from radrelay_local.ports import LOOPBACK
from radrelay_local.stack import start_infrastructure
from support.processes import listening_addresses, processes_of
from support.stack import Infrastructure

PARTS = {"nats", "objects", "postgres"}
# Measured at 0.8 s; the rest is for a machine that does other things at the same time.
STARTS_WITHIN_S = 15.0


def test_it_is_ready_within_seconds_and_leaves_nothing_behind(tmp_path: Path) -> None:
    started = time.monotonic()
    with start_infrastructure(tmp_path, prefer_usual_ports=False) as infrastructure:
        assert time.monotonic() - started < STARTS_WITHIN_S
        assert {each.name: each.condition for each in infrastructure.status()} == dict.fromkeys(PARTS, Condition.READY)
        assert len(processes_of(tmp_path)) >= len(PARTS)
    assert processes_of(tmp_path) == []
    assert not infrastructure.is_running()


def test_it_listens_on_loopback_alone(own_infra: Infrastructure) -> None:
    own_infra.start("minio-gateway")
    assert listening_addresses(own_infra.home) == {"127.0.0.1"}


def test_what_is_started_on_request_evades_a_port_that_was_taken_meanwhile(own_infra: Infrastructure) -> None:
    own_infra.stop("minio-gateway")
    before = own_infra.ports
    with socket.create_server((LOOPBACK, before["minio-gateway"])):
        own_infra.start("minio-gateway")
    assert {name for name, port in own_infra.ports.items() if port != before[name]} == {"minio-gateway"}


def test_what_the_broker_acknowledges_is_on_disk(own_infra: Infrastructure) -> None:
    answer = httpx.get(f"{own_infra.nats_monitor_url}/jsz", params={"config": "true"}).json()
    assert answer["config"]["sync_always"] is True
    assert 0 < answer["config"]["max_storage"] <= 8 << 30


def test_ports_that_are_taken_are_left_to_whoever_has_them(
    own_infra: Infrastructure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Infrastructure, "usual_ports", own_infra.ports)
    with start_infrastructure(tmp_path) as second:
        own = {name: port for name, port in own_infra.ports.items() if not name.startswith("minio-gateway")}
        assert set(second.ports.values()).isdisjoint(own.values())
        assert {each.condition for each in second.status()} == {Condition.READY}


def test_starting_again_what_runs_changes_nothing(own_infra: Infrastructure) -> None:
    before = {each.name: each.pid for each in own_infra.status()}
    own_infra.up()
    assert {each.name: each.pid for each in own_infra.status()} == before


def test_another_object_sees_and_stops_the_same_stack(tmp_path: Path) -> None:
    with start_infrastructure(tmp_path, prefer_usual_ports=False) as first:
        second = Infrastructure(tmp_path)
        assert second.nats_url == first.nats_url
        assert {each.pid for each in second.status()} == {each.pid for each in first.status()}
        second.down()
        assert processes_of(tmp_path) == []


def test_a_process_that_does_not_start_takes_the_others_with_it_and_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radrelay_local.parts.nats._MAX_FILE_STORE_BYTES", "nonsense")
    infrastructure = Infrastructure(tmp_path, prefer_usual_ports=False)
    with pytest.raises(StackError, match=r"(?s)nats ended before it was ready.*nats\.log.*max_file_store"):
        infrastructure.up()
    assert processes_of(tmp_path) == []


def test_a_process_is_named_when_there_is_none(own_infra: Infrastructure) -> None:
    with pytest.raises(StackError, match="there is no process 'broker'; there are nats, objects"):
        own_infra.kill("broker")
