"""The OpenAPI document says which problems a route answers, without each route having to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.http import create_app, problems

router = APIRouter()


class Thing(BaseModel):
    name: str


PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@router.get("/open")
async def read_open() -> None:
    return None


@router.get("/things/{number}", responses=problems({404: "`thing_not_found`", 429: "`too_many_things`"}))
async def read_thing(_: CurrentPrincipal, number: int) -> int:
    return number


@router.post("/open")
async def add_open(_: Thing) -> None:
    return None


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {}


@pytest.fixture
def app() -> FastAPI:
    return create_app(title="probe", version="1", lifespan=lifespan, routers=[router])


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def test_a_route_that_needs_a_caller_says_what_every_such_route_answers(document: dict[str, Any]) -> None:
    responses = document["paths"]["/things/{number}"]["get"]["responses"]
    assert list(responses) == ["200", "401", "404", "422", "429", "503"]
    assert all(responses[status]["content"] == PROBLEM for status in responses if status != "200")
    assert responses["404"]["description"] == "`thing_not_found`"
    assert responses["429"]["description"] == "`too_many_things`, `rate_limited`"
    assert responses["401"]["headers"].keys() == {"RateLimit", "RateLimit-Policy", "WWW-Authenticate"}
    assert responses["429"]["headers"].keys() == {"RateLimit", "RateLimit-Policy", "Retry-After"}


def test_a_route_that_anybody_may_call_says_none_of_it(document: dict[str, Any]) -> None:
    assert list(document["paths"]["/open"]["get"]["responses"]) == ["200"]


async def test_a_route_that_takes_json_says_what_it_answers_to_bytes_that_are_none(
    app: FastAPI, document: dict[str, Any]
) -> None:
    assert list(document["paths"]["/open"]["post"]["responses"]) == ["200", "400", "422"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe") as client:
        response = await client.post("/open", content=b"\xff", headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


def test_the_frameworks_own_form_of_errors_is_not_in_the_document(document: dict[str, Any]) -> None:
    assert "Problem" in document["components"]["schemas"]
    assert "ValidationError" not in str(document)
