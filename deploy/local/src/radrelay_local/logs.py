"""Reading the logs of the stack's processes."""

import time
from collections.abc import Iterator
from pathlib import Path

from radrelay_local.errors import StackError
from radrelay_local.home import Home

_LAST_LINES = 50
_LAST_BYTES = 100_000
_POLL_S = 0.2


def lines(home: Home, name: str | None, *, follow: bool) -> Iterator[str]:
    """The last lines of one log, or of all of them with the process's name before each; for ever with `follow`.

    Raises:
        StackError: there is no such log.
    """
    paths = [home.log(name)] if name else sorted(home.logs.glob("*.log"))
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        known = ", ".join(sorted(path.stem for path in home.logs.glob("*.log"))) or "none"
        raise StackError(f"no log of {name or 'anything'} in {home.logs}; there are: {known}")
    width = max(len(path.stem) for path in paths)
    offsets: dict[Path, int] = {}
    for path in paths:
        tail, offsets[path] = _tail(path)
        yield from _named(path, tail, width, several=len(paths) > 1)
    while follow:
        time.sleep(_POLL_S)
        for path in paths:
            fresh, offsets[path] = _read_from(path, offsets[path])
            yield from _named(path, fresh, width, several=len(paths) > 1)


def _named(path: Path, texts: list[str], width: int, *, several: bool) -> Iterator[str]:
    for text in texts:
        yield f"{path.stem:<{width}} | {text}" if several else text


def _tail(path: Path) -> tuple[list[str], int]:
    fresh, offset = _read_from(path, max(0, path.stat().st_size - _LAST_BYTES))
    return fresh[-_LAST_LINES:], offset


def _read_from(path: Path, offset: int) -> tuple[list[str], int]:
    """Whole lines after `offset`, and where the next ones start."""
    if path.stat().st_size < offset:
        # It was put aside because it had grown large: this is a new file.
        offset = 0
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode("utf-8", "replace").splitlines(), offset + len(whole)
