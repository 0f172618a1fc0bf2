"""Computing in a process of its own, which loads its model once and does nothing between two calls."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Apart:
    """One process; use as a context manager."""

    def __init__(self, cores: frozenset[int]) -> None:
        """The process keeps to these cores."""
        self._executor = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=os.sched_setaffinity,
            initargs=(0, cores),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of a module there; whatever it raises is raised here."""
        return await asyncio.wrap_future(self._executor.submit(function, *args, **kwargs))
