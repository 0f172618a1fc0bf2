"""Asking a stream for its tenants; the server's pages are too large to fill one here."""

import json
from types import SimpleNamespace

import pytest
from nats.js.errors import NotFoundError

from radrelay_shared.messaging import durables
from radrelay_shared.messaging.tenants import tenants_in_stream

ROUTINE = durables.INFERENCE_LANES[2]


class Server:
    """Answers STREAM.INFO with two subjects a page."""

    def __init__(self, *tenants: str) -> None:
        self.subjects = [ROUTINE.subject.replace("*", tenant) for tenant in tenants]
        self.asked: list[int] = []

    async def request(self, subject: str, payload: bytes, *, timeout: float) -> SimpleNamespace:  # noqa: ASYNC109  # the client's name for it
        assert (subject, timeout > 0) == ("$JS.API.STREAM.INFO.RADRELAY_INSTANCES", True)
        question = json.loads(payload)
        assert question["subjects_filter"] == ROUTINE.subject
        offset = question["offset"]
        self.asked.append(offset)
        page = self.subjects[offset : offset + 2]
        state = {"subjects": dict.fromkeys(page, 1)} if page else {}
        return SimpleNamespace(data=json.dumps({"total": len(self.subjects), "state": state}).encode())


async def test_every_page_is_asked_for_once() -> None:
    server = Server("a", "b", "c", "d", "e")
    assert await tenants_in_stream(server, ROUTINE) == {"a", "b", "c", "d", "e"}  # type: ignore[arg-type]  # its one method
    assert server.asked == [0, 2, 4]


async def test_an_empty_stream_has_no_tenants() -> None:
    server = Server()
    assert await tenants_in_stream(server, ROUTINE) == set()  # type: ignore[arg-type]  # its one method
    assert server.asked == [0]


async def test_a_stream_that_is_not_there_is_an_error() -> None:
    class Refusing:
        async def request(self, *_: object, **__: object) -> SimpleNamespace:
            error = {"code": 404, "err_code": 10059, "description": "stream not found"}
            return SimpleNamespace(data=json.dumps({"error": error}).encode())

    with pytest.raises(NotFoundError):
        await tenants_in_stream(Refusing(), ROUTINE)  # type: ignore[arg-type]  # its one method
