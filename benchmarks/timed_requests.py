"""HTTP requests against the clock."""

from collections.abc import Mapping
from time import perf_counter

import aiohttp

from benchmarks.errors import BenchmarkError


async def timed_get(
    http: aiohttp.ClientSession, path: str, token: str, parameters: Mapping[str, str] | None = None
) -> tuple[bytes, float]:
    """A body, and the milliseconds from the request to its last byte.

    Raises:
        BenchmarkError: the answer is no success.
    """
    started = perf_counter()
    async with http.get(path, params=parameters, headers={"Authorization": f"Bearer {token}"}) as response:
        body = await response.read()
        took_ms = 1000 * (perf_counter() - started)
        if not response.ok:
            raise BenchmarkError(f"{path} answered {response.status}: {body[:200]!r}")
    return body, took_ms
