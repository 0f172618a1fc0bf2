import socket
from collections.abc import Iterator

import pytest

from ingest_service.dimse.connection import receive_bounded


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A peer and our end of its connection."""
    peer, ours = socket.socketpair()
    with peer, ours:
        ours.settimeout(10)
        yield peer, ours


def test_what_was_sent_is_read_however_it_comes(pair: tuple[socket.socket, socket.socket]) -> None:
    peer, ours = pair
    peer.sendall(b"abc")
    peer.sendall(b"defg")
    assert receive_bounded(ours, 100, 10, 6) == b"abcdef"


def test_a_connection_that_ends_gives_what_came_before(pair: tuple[socket.socket, socket.socket]) -> None:
    peer, ours = pair
    peer.sendall(b"abc")
    peer.close()
    assert receive_bounded(ours, 100, 10, 6) == b"abc"


def test_more_than_allowed_is_not_read(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(ConnectionAbortedError, match="101 bytes"):
        receive_bounded(pair[1], 100, 10, 101)


def test_bytes_that_keep_coming_do_not_make_time(pair: tuple[socket.socket, socket.socket]) -> None:
    peer, ours = pair
    peer.sendall(b"a")
    with pytest.raises(TimeoutError, match="does not come to its end"):
        receive_bounded(ours, 100, -1.0, 6)
