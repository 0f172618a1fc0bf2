"""Doing things in parallel, each after those it depends on."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter


def run_in_order(order: Mapping[str, Iterable[str]], action: Callable[[str, threading.Event], None]) -> None:
    """Call `action(name, abort)` for every name of `order`, in threads, each when what it depends on is done.

    At the first failure, or an interrupt, nothing more is started, `abort` is set so that the running actions can end
    early, and when they have ended the failure is raised.
    """
    sorter = TopologicalSorter({name: [d for d in before if d in order] for name, before in order.items()})
    sorter.prepare()
    abort = threading.Event()
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(order))) as pool:
        try:
            while sorter.is_active():
                running.update({pool.submit(action, name, abort): name for name in sorter.get_ready()})
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    name = running.pop(future)
                    future.result()
                    sorter.done(name)
        except BaseException:
            abort.set()
            raise


def reverse(order: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The same dependencies, the other way round."""
    backwards: dict[str, list[str]] = {name: [] for name in order}
    for name, before in order.items():
        for dependency in before:
            if dependency in backwards:
                backwards[dependency].append(name)
    return backwards
