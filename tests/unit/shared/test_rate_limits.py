"""Rate limits as a client meets them, on a clock that the test moves."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.requests import Request

from radrelay_shared.auth import CurrentPrincipal, Principal, Role
from radrelay_shared.http import NotFound, RateLimiter, RateLimitSettings, Unauthorized, create_app
from radrelay_shared.http import rate_limits as rate_limits_module
from radrelay_shared.http.rate_limits import client_of
from support.asgi import serving

router = APIRouter()
Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@router.get("/things")
@router.post("/things")
@router.put("/things")
async def things(_: CurrentPrincipal) -> str:
    return "things"


@router.get("/missing")
async def missing(_: CurrentPrincipal) -> None:
    raise NotFound(code="thing_not_found", detail="There is no such thing.")


@router.get("/stream")
async def stream(_: CurrentPrincipal) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        for number in range(5):
            yield f"data: {number}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def time(self) -> float:
        return self.now_s


class PlainVerifier:
    """Tokens are `tenant:user`."""

    def __init__(self) -> None:
        self.checked = 0

    async def verify(self, token: str) -> Principal:
        self.checked += 1
        tenant, _, owner = token.partition(":")
        if not owner:
            raise Unauthorized(detail="no token of ours")
        return Principal(tenant, owner, frozenset({Role.CLINICIAN}))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("limits.aio.storage.memory.time", made)
    monkeypatch.setattr(rate_limits_module, "time", SimpleNamespace(time=made.time))
    return made


@pytest.fixture
def verifier() -> PlainVerifier:
    return PlainVerifier()


@pytest.fixture
def serve(clock: Clock, verifier: PlainVerifier) -> Serve:
    @asynccontextmanager
    async def run(**limits: Any) -> AsyncIterator[httpx.AsyncClient]:
        @asynccontextmanager
        async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
            async with RateLimiter(RateLimitSettings(**limits), "probe") as limiter:
                yield {"readiness": {}, "verifier": verifier, "rate_limiter": limiter}

        async with serving(create_app(title="probe", version="1", lifespan=lifespan, routers=[router])) as client:
            yield client

    return run


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def fields(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers["RateLimit-Policy"], answer.headers["RateLimit"]


async def test_each_answer_says_where_the_caller_stands_and_the_window_ends_in_full(serve: Serve, clock: Clock) -> None:
    policy = '"user-reads";q=2;w=60, "tenant-reads";q=5;w=60'
    async with serve(user_reads="2/minute", tenant_reads="5/minute") as client:
        first = await client.get("/things", headers=bearer("north:ada"))
        assert (first.status_code, fields(first)) == (200, (policy, '"user-reads";r=1;t=60, "tenant-reads";r=4;t=60'))
        clock.now_s += 20.5
        second = await client.get("/things", headers=bearer("north:ada"))
        assert (second.status_code, fields(second)[1]) == (200, '"user-reads";r=0;t=40, "tenant-reads";r=3;t=40')
        assert "Retry-After" not in second.headers
        clock.now_s += 10
        refused = await client.get("/things", headers=bearer("north:ada"))
        assert (refused.status_code, fields(refused)) == (
            429,
            (policy, '"user-reads";r=0;t=30, "tenant-reads";r=3;t=30'),
        )
        assert refused.headers["Retry-After"] == "30"
        clock.now_s += 30
        again = await client.get("/things", headers=bearer("north:ada"))
        assert (again.status_code, fields(again)[1]) == (200, '"user-reads";r=1;t=60, "tenant-reads";r=4;t=60')


async def test_a_refusal_is_a_problem_that_names_the_limit(serve: Serve) -> None:
    async with serve(user_writes="1/10seconds") as client:
        await client.post("/things", headers=bearer("north:ada"))
        refused = await client.post("/things", headers=bearer("north:ada"))
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json() == {
        "type": "urn:radrelay:problem:rate_limited",
        "title": "Too Many Requests",
        "status": 429,
        "code": "rate_limited",
        "detail": "Over the limit user-writes (1 in 10 s). Send it again after 10 s.",
        "violated-policies": ["user-writes"],
    }


async def test_reads_and_writes_are_counted_apart(serve: Serve) -> None:
    async with serve(user_reads="1/minute", user_writes="2/minute") as client:
        asked = [("GET", 200), ("GET", 429), ("POST", 200), ("PUT", 200), ("POST", 429), ("GET", 429)]
        for method, status in asked:
            assert (await client.request(method, "/things", headers=bearer("north:ada"))).status_code == status


async def test_what_a_user_is_refused_costs_the_tenant_nothing(serve: Serve) -> None:
    async with serve(user_reads="1/minute", tenant_reads="2/minute") as client:
        statuses = [(await client.get("/things", headers=bearer("north:ada"))).status_code for _ in range(5)]
        assert statuses == [200, 429, 429, 429, 429]
        assert (await client.get("/things", headers=bearer("north:bob"))).status_code == 200
        third = await client.get("/things", headers=bearer("north:cyd"))
        assert third.status_code == 429
        assert "tenant-reads" in third.json()["violated-policies"]
        assert (await client.get("/things", headers=bearer("south:ada"))).status_code == 200


async def test_a_stream_is_one_request_and_an_error_is_one_too(serve: Serve) -> None:
    async with serve(user_reads="5/minute") as client:
        streamed = await client.get("/stream", headers=bearer("north:ada"))
        assert streamed.text.count("data:") == 5
        assert '"user-reads";r=4' in fields(streamed)[1]
        lost = await client.get("/missing", headers=bearer("north:ada"))
        assert (lost.status_code, '"user-reads";r=3' in fields(lost)[1]) == (404, True)


async def test_a_flood_of_bad_tokens_is_refused_before_they_are_looked_at(
    serve: Serve, clock: Clock, verifier: PlainVerifier
) -> None:
    async with serve(address_failures="3/minute") as client:
        statuses = [(await client.get("/things", headers=bearer("bad"))).status_code for _ in range(10)]
        assert statuses == [401] * 3 + [429] * 7
        assert verifier.checked == 3
        refused = await client.get("/things")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
        assert fields(refused) == ('"address-failures";q=3;w=60', '"address-failures";r=0;t=60')
        clock.now_s += 60
        assert (await client.get("/things", headers=bearer("north:ada"))).status_code == 200


async def test_good_requests_do_not_count_as_failures(serve: Serve) -> None:
    async with serve(address_failures="1/minute") as client:
        for _ in range(5):
            assert (await client.get("/things", headers=bearer("north:ada"))).status_code == 200
        assert (await client.get("/things")).status_code == 401


async def test_health_and_metrics_are_not_limited(serve: Serve) -> None:
    async with serve(address_failures="1/minute", user_reads="1/minute") as client:
        statuses = [(await client.get("/things")).status_code for _ in range(2)]
        assert statuses == [401, 429]
        for path in ("/livez", "/readyz", "/metrics"):
            answer = await client.get(path)
            assert (answer.status_code, "RateLimit" in answer.headers) == (200, False)


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("a-socket", "a-socket"),
    ],
)
def test_an_ipv6_client_is_its_whole_network(address: str, counted_as: str) -> None:
    assert client_of(Request({"type": "http", "client": (address, 1)})) == counted_as


@pytest.mark.parametrize("setting", [{"user_reads": "many"}, {"store_url": "memcached://x"}])
def test_settings_that_cannot_be_meant_end_the_start(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RateLimitSettings(**setting)
