"""Stand-ins for `prepare_frames` that do to their process what hostile pixel data does to a decoder.

They live here because a process of the pool has to be able to import them.
"""

import os
import signal
from pathlib import Path


def die(_content: bytes, _spec: object) -> None:
    """End like a decoder that runs into memory that is not its own."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang(_content: bytes, _spec: object) -> None:
    """Never come back."""
    while True:
        signal.pause()


def die_the_first_time(content: bytes, _spec: object) -> str:
    """Die unless the file that `content` names is there; it is made on the way out."""
    marker = Path(content.decode())
    if marker.exists():
        return "survived"
    marker.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "unreachable"
