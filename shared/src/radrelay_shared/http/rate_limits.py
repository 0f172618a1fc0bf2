"""Rate limits per client address, user and tenant: counted in a store that replicas share, refused with 429."""

import asyncio
import logging
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from math import ceil
from types import TracebackType
from typing import Annotated, Final, Self

from fastapi import Request
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from valkey.asyncio import BlockingConnectionPool

from radrelay_shared.http.problems import TooManyRequests
from radrelay_shared.http.rate_limit_fields import Standing, announce, retry_after_s
from radrelay_shared.observability.metrics import RATE_LIMIT_STORE_FAILURES, RATE_LIMITED

MEMORY: Final = "memory://"
_READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_IPV6_PREFIX: Final = 64
"""One IPv6 client has as many addresses as such a prefix holds."""
_STORE_CONNECTIONS: Final = 16

_log = logging.getLogger(__name__)


def _checked_rate(rate: str) -> str:
    parse(rate)
    return rate


def _checked_store(url: SecretStr) -> SecretStr:
    if url.get_secret_value() != MEMORY and not url.get_secret_value().startswith(("valkey://", "valkeys://")):
        raise ValueError(f"a store is {MEMORY} or valkey://host:port/number, valkeys:// with TLS")
    return url


Rate = Annotated[str, AfterValidator(_checked_rate)]
"""How many in how long, such as `100/minute` or `20/10seconds`."""


class RateLimitSettings(BaseModel):
    """How many requests are answered. Each service counts its own."""

    store_url: Annotated[SecretStr, AfterValidator(_checked_store)] = Field(default=SecretStr(MEMORY))
    """`memory://` counts in this process; a Valkey or Redis server, valkey://host:port/number, for all replicas."""
    store_timeout_s: float = Field(default=0.25, gt=0)
    store_retry_s: float = Field(default=5.0, gt=0)
    """For so long after the store failed this process counts by itself, before it asks the store again."""
    user_reads: Rate = "12000/minute"
    user_writes: Rate = "12000/minute"
    tenant_reads: Rate = "60000/minute"
    tenant_writes: Rate = "60000/minute"
    address_failures: Rate = "600/minute"
    """Requests without a valid token from one client address; past it all requests from there are refused."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit, by the name that clients see."""

    name: str
    rate: RateLimitItem


class RateLimiter:
    """Counts requests in fixed windows. Use as an async context manager; closing it closes the store's connections."""

    def __init__(self, settings: RateLimitSettings, service: str) -> None:
        """`service` names whose requests are counted: in a shared store each has its own."""
        self._service = service
        self._retry_s = settings.store_retry_s
        self._by_class = {
            kind: (_Limit(f"user-{kind}", parse(user)), _Limit(f"tenant-{kind}", parse(tenant)))
            for kind, user, tenant in (
                ("reads", settings.user_reads, settings.tenant_reads),
                ("writes", settings.user_writes, settings.tenant_writes),
            )
        }
        RATE_LIMIT_STORE_FAILURES.labels(service)
        self._failures = _Limit("address-failures", parse(settings.address_failures))
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._pool = _pool(settings)
        self._shared = _shared(self._pool, settings)
        self._shared_from = float("-inf")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.disconnect()

    async def check_address(self, request: Request) -> None:
        """Refuse a client address that had too many failures; costs neither a signature check nor the shared store.

        Raises:
            TooManyRequests: it has to wait.
        """
        if not await self._local.test(self._failures.rate, *self._address_key(request)):
            raise self._refusal(request, [await self._address_standing(request)])

    async def count_failure(self, request: Request) -> None:
        """Count a request that proved no caller."""
        await self._local.hit(self._failures.rate, *self._address_key(request))
        announce(request, [await self._address_standing(request)])

    async def admit(self, request: Request, tenant: str, owner_id: str) -> None:
        """Count a request of a known caller, against the user first: what is refused there costs the tenant nothing.

        Raises:
            TooManyRequests: the user or the tenant has to wait.
        """
        user, whole_tenant = self._by_class["reads" if request.method in _READ_METHODS else "writes"]
        keys = [
            (user, (self._service, user.name, tenant, owner_id)),
            (whole_tenant, (self._service, whole_tenant.name, tenant)),
        ]
        standings, admitted = await self._count(keys)
        if not admitted:
            raise self._refusal(request, standings)
        announce(request, standings)

    async def _count(self, keys: list[tuple[_Limit, tuple[str, ...]]]) -> tuple[list[Standing], bool]:
        """Count in the shared store; where that is away, in this process, so that limits loosen but never end."""
        if self._shared is not None and time.monotonic() >= self._shared_from:
            try:
                return await _hit(self._shared, keys)
            except StorageError as error:
                self._shared_from = time.monotonic() + self._retry_s
                RATE_LIMIT_STORE_FAILURES.labels(service=self._service).inc()
                cause = type(error.storage_error).__name__
                _log.warning("rate limits are counted in this process only", extra={"error": cause})
        return await _hit(self._local, keys)

    def _address_key(self, request: Request) -> tuple[str, str, str]:
        return self._service, self._failures.name, client_of(request)

    async def _address_standing(self, request: Request) -> Standing:
        return await _standing(self._local, self._failures, self._address_key(request))

    def _refusal(self, request: Request, standings: list[Standing]) -> TooManyRequests:
        announce(request, standings)
        # None is spent where a window ended between the count and the question.
        spent = [each for each in standings if each.remaining == 0] or standings
        wait_s = retry_after_s(spent)
        for each in spent:
            RATE_LIMITED.labels(service=self._service, limit=each.name).inc()
        limits = ", ".join(f"{each.name} ({each.quota} in {each.window_s} s)" for each in spent)
        return TooManyRequests(
            code="rate_limited",
            detail=f"Over the limit {limits}. Send it again after {wait_s} s.",
            extensions={"violated-policies": [each.name for each in spent]},
            headers={"Retry-After": str(wait_s)},
        )


def client_of(request: Request) -> str:
    """What stands for the client's address: an IPv4 address, or the /64 of an IPv6 one."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    plain = address if isinstance(address, IPv4Address) else address.ipv4_mapped
    return str(plain) if plain is not None else str(ip_network((address, _IPV6_PREFIX), strict=False))


async def _hit(
    limiter: FixedWindowRateLimiter, keys: list[tuple[_Limit, tuple[str, ...]]]
) -> tuple[list[Standing], bool]:
    """Count against each limit until one refuses; return where all stand, and whether none refused."""
    admitted = True
    for limit, key in keys:
        admitted = admitted and await limiter.hit(limit.rate, *key)
    standings = await asyncio.gather(*(_standing(limiter, limit, key) for limit, key in keys))
    return list(standings), admitted


async def _standing(limiter: FixedWindowRateLimiter, limit: _Limit, key: tuple[str, ...]) -> Standing:
    window = await limiter.get_window_stats(limit.rate, *key)
    reset_s = max(0, ceil(window.reset_time - time.time()))
    return Standing(limit.name, limit.rate.amount, limit.rate.get_expiry(), window.remaining, reset_s)


def _pool(settings: RateLimitSettings) -> BlockingConnectionPool | None:
    url = settings.store_url.get_secret_value()
    if url == MEMORY:
        return None
    timeout_s = settings.store_timeout_s
    return BlockingConnectionPool.from_url(
        url,
        max_connections=_STORE_CONNECTIONS,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
    )


def _shared(pool: BlockingConnectionPool | None, settings: RateLimitSettings) -> FixedWindowRateLimiter | None:
    if pool is None:
        return None
    url = f"async+{settings.store_url.get_secret_value()}"
    storage = RedisStorage(
        url,
        wrap_exceptions=True,
        connection_pool=pool,  # type: ignore[arg-type]  # documented, but the annotation knows plain options only
    )
    return FixedWindowRateLimiter(storage)
