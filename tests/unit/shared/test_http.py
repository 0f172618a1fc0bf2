"""Problem details, health and metrics of every HTTP process."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from radrelay_shared.http import NotFound, ServiceUnavailable, create_app

router = APIRouter()


class Body(BaseModel):
    number: int


@router.get("/missing")
async def missing() -> None:
    raise NotFound(code="thing_not_found", detail="You have no such thing.", extensions={"thing": "x"})


@router.get("/broken")
async def broken() -> None:
    raise RuntimeError("a secret from the inside")


@router.post("/body")
async def body(value: Body) -> Body:
    return value


@router.get("/body")
async def read_body() -> None:
    return None


async def away() -> None:
    raise ServiceUnavailable(code="away", detail="away")


async def here() -> None:
    return None


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"readiness": {"database": here, "broker": away}}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(title="probe", version="1", lifespan=lifespan, routers=[router])
    async with app.router.lifespan_context(app) as state:
        assert state is not None

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(app=with_state, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://probe") as opened:
            yield opened


async def test_a_problem_is_a_problem_document(client: httpx.AsyncClient) -> None:
    answer = await client.get("/missing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:radrelay:problem:thing_not_found",
        "title": "Not Found",
        "status": 404,
        "code": "thing_not_found",
        "detail": "You have no such thing.",
        "thing": "x",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("PUT", "/body", 405, "method_not_allowed")],
)
async def test_the_frameworks_own_errors_are_problem_documents(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_method_that_is_not_served_is_told_all_that_are(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/body")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_an_invalid_body_names_the_place_and_never_the_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/body", json={"number": "DOE^JANE"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "body.number"
    assert "DOE" not in answer.text


async def test_an_unexpected_error_says_nothing_of_the_inside(client: httpx.AsyncClient) -> None:
    answer = await client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


async def test_readiness_names_what_is_away_and_liveness_does_not_care(client: httpx.AsyncClient) -> None:
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["away"]) == (503, ["broker"])
    assert (await client.get("/livez")).status_code == 200


async def test_metrics_count_requests_by_route(client: httpx.AsyncClient) -> None:
    await client.get("/missing")
    metrics = (await client.get("/metrics")).text
    assert 'handler="/missing"' in metrics


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity, gzip", "br", "deflate"])
async def test_a_coded_body_is_refused_and_what_is_taken_is_said(client: httpx.AsyncClient, coding: str) -> None:
    response = await client.post("/body", content=gzip.compress(b'{"number": 1}'), headers={"Content-Encoding": coding})
    assert response.status_code == 415
    assert response.json()["code"] == "content_coding_not_taken"
    assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
async def test_a_plain_body_may_say_that_it_is_plain(client: httpx.AsyncClient, coding: str) -> None:
    response = await client.post("/body", json={"number": 1}, headers={"Content-Encoding": coding})
    assert response.json() == {"number": 1}
