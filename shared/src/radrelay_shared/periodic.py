"""Work that is repeated until the process is told to stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

_log = logging.getLogger(__name__)


async def every(
    interval_s: float,
    work: Callable[[], Awaitable[Any]],
    stop: asyncio.Event,
    *,
    is_outage: Callable[[BaseException], bool],
) -> None:
    """Do `work` now and every `interval_s` after its end, until `stop`; an outage is waited out."""
    while not stop.is_set():
        try:
            await work()
        except Exception as error:
            if not is_outage(error):
                raise
            _log.warning("periodic work waits", extra={"error": type(error).__name__})
        try:
            async with asyncio.timeout(interval_s):
                await stop.wait()
        except TimeoutError:
            continue
