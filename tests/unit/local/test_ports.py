import socket
from collections.abc import Iterator

import pytest

from radrelay_local.ports import INFRASTRUCTURE_PORTS, LOOPBACK, SERVICE_PORTS, choose_ports, is_free


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen(1)
        yield listener.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def test_a_listened_port_is_not_free(taken_port: int, free_port: int) -> None:
    assert not is_free(taken_port)
    assert is_free(free_port)


def test_the_usual_port_is_taken_when_it_is_free(free_port: int) -> None:
    assert choose_ports({"nats": free_port}, {}, set(), prefer_usual=True) == {"nats": free_port}


def test_another_port_is_taken_when_the_usual_one_is_not_free(taken_port: int) -> None:
    chosen = choose_ports({"nats": taken_port}, {}, set(), prefer_usual=True)
    assert chosen["nats"] != taken_port
    assert is_free(chosen["nats"])


def test_usual_ports_can_be_avoided(free_port: int) -> None:
    assert choose_ports({"nats": free_port}, {}, set(), prefer_usual=False)["nats"] != free_port


def test_a_recorded_port_is_taken_again(free_port: int) -> None:
    assert choose_ports({"nats": 1}, {"nats": free_port}, set(), prefer_usual=True) == {"nats": free_port}


def test_a_running_process_keeps_all_its_ports(taken_port: int) -> None:
    recorded = {"nats": taken_port, "nats.monitor": taken_port}
    assert choose_ports({"nats": 1, "nats.monitor": 2}, recorded, {"nats"}, prefer_usual=True) == recorded


def test_a_recorded_port_that_somebody_else_took_is_given_up(taken_port: int) -> None:
    assert choose_ports({"nats": taken_port}, {"nats": taken_port}, set(), prefer_usual=True)["nats"] != taken_port


def test_no_two_parts_share_a_port(free_port: int) -> None:
    chosen = choose_ports(dict.fromkeys("abc", free_port), {}, set(), prefer_usual=True)
    assert len(set(chosen.values())) == 3


def test_no_two_parts_usually_share_a_port() -> None:
    usual = [*INFRASTRUCTURE_PORTS.values(), *SERVICE_PORTS.values()]
    assert len(set(usual)) == len(usual)
