"""Stand-ins for `prepare_frames` that do to their process what hostile pixel data does to a decoder.

They live here because a process of the pool has to be able to import them.
"""

import mmap
import os
import signal
from pathlib import Path

from inference_service.bundles.image_spec import ImageSpec
from inference_service.imaging import PreparedFrame, prepare_frames

POISON = b"poison"
_lost: list[mmap.mmap] = []


def die_of_poison(content: bytes, spec: ImageSpec) -> tuple[PreparedFrame, ...]:
    """Prepare, or on `POISON` end like a decoder that runs into memory that is not its own."""
    if content == POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    return prepare_frames(content, spec)


def lose_memory(content: bytes, _spec: object) -> int:
    """Keep as much address space as `content` says, for as long as the process lives; which one it was."""
    _lost.append(mmap.mmap(-1, int(content)))
    return os.getpid()


def measure(content: bytes, _spec: object) -> int:
    """How much has come."""
    return len(content)


def run_out_of_memory(_content: bytes, _spec: object) -> None:
    """As a decoder that asks for more than there is."""
    raise MemoryError


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
