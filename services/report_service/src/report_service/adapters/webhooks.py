"""Sending events over HTTP, to exactly where the platform team allows it.

`httpcore` without `httpx` above it: it follows no redirect, reads no proxy from the environment and keeps no cookies,
and lets us look at the address that a name leads to at the moment that it is connected to.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self

import httpcore
import httpx

from radrelay_shared.sealing import BadSeal
from report_service import __version__
from report_service.delivering import Parcel
from report_service.domain.destinations import Attempt
from report_service.domain.places import Allowed, NoPlace, Place, check_place, is_address, is_forbidden
from report_service.domain.webhooks import SecretVault, headers_of

_MOST_READ: Final = 16 << 10
"""Bytes of an answer's body, which says nothing to us: so many are read, to use the connection again."""
_BODY_S: Final = 1.0
_KEEPALIVE_S: Final = 30.0

_log = logging.getLogger(__name__)


class ForbiddenAddress(Exception):
    """A name leads to an address that nothing may be sent to."""


class WebhookCarrier:
    """Sends to webhooks. Use as an async context manager.

    Args:
        allowed: hosts that destinations may have; looked at with each attempt.
        vault: opens the secrets that events are signed with.
        timeout_s: how long an attempt may take in all.
        at_once: how many connections there may be.
    """

    def __init__(self, allowed: tuple[Allowed, ...], vault: SecretVault, *, timeout_s: float, at_once: int) -> None:
        self._allowed = allowed
        self._vault = vault
        self._timeout_s = timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            # Of certifi's authorities, or of those in SSL_CERT_FILE.
            ssl_context=httpx.create_ssl_context(),
            max_connections=at_once,
            keepalive_expiry=_KEEPALIVE_S,
            network_backend=_CheckedNames(),
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def send(self, parcel: Parcel) -> Attempt:
        """Post an event once; whatever the destination does, it ends in time and is said as a reason."""
        destination = parcel.destination
        try:
            place = check_place(destination.url, self._allowed)
            secret = self._vault.open(destination.tenant, destination.destination_id, destination.secret_sealed)
        except NoPlace as error:
            return Attempt(None, error.code)
        except BadSeal:
            return Attempt(None, "secret_unreadable")
        headers = headers_of(parcel.event_id, parcel.payload, secret, datetime.now(UTC))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(place, headers, parcel.payload)
        except Exception as error:  # noqa: BLE001  # a destination may do anything; others must not wait for it
            return Attempt(None, _reason_of(error))

    async def _post(self, place: Place, headers: Mapping[str, str], body: bytes) -> Attempt:
        url = httpcore.URL(
            scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=place.target.encode()
        )
        sent = [*headers.items(), ("user-agent", f"radrelay/{__version__}")]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        async with self._pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": timeouts}) as got:
            with suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError):
                async with asyncio.timeout(_BODY_S):
                    await _read_past(got)
            reason = None if 200 <= got.status < 300 else "refused"
            return Attempt(got.status, reason, retry_after_of(got.headers))


@dataclass(frozen=True, slots=True)
class _CheckedNames(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, so that no name leads elsewhere between the look and the call."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the base class has it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of the host that takes one.

        Raises:
            ForbiddenAddress: one of them is none that may be sent to.
        """
        addresses = await _addresses_of(host, port)
        backend = httpcore.AnyIOBackend()
        for address in addresses[:-1]:
            try:
                return await backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await backend.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Between attempts to connect, of which there is one."""
        await asyncio.sleep(seconds)


async def _addresses_of(host: str, port: int) -> list[str]:
    """Where a host is; an address that the setting names is where it says."""
    if is_address(host):
        return [host]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError from error
    addresses = [str(each[4][0]) for each in found]
    if any(map(is_forbidden, addresses)):
        raise ForbiddenAddress
    return addresses


async def _read_past(answer: httpcore.Response) -> None:
    read = 0
    async for chunk in answer.aiter_stream():
        read += len(chunk)
        if read > _MOST_READ:
            return


def retry_after_of(headers: Iterable[tuple[bytes, bytes]]) -> timedelta | None:
    """For how long an answer asks to be left alone: in seconds, or until a date (RFC 9110, section 10.2.3)."""
    given = next((value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"), "").strip()
    if given.isascii() and given.isdigit():
        return timedelta(seconds=min(int(given[:9]), 1 << 30))
    try:
        until = parsedate_to_datetime(given)
    except (ValueError, OverflowError):
        return None
    return until.astimezone(UTC) - datetime.now(UTC)


def _reason_of(error: Exception) -> str:
    if isinstance(error, ForbiddenAddress):
        return "address_not_allowed"
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return "timeout"
    if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        return "tls_failed"
    if isinstance(error, httpcore.ConnectError):
        return "not_reached"
    if isinstance(error, httpcore.NetworkError | httpcore.ProtocolError):
        return "broken_connection"
    _log.error("sending failed", exc_info=error)
    return "internal_error"
