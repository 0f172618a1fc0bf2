"""A clock that tests set."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Gives the time that it was set to, in seconds since the epoch."""

    now_s: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s
