"""Whose turn it is within one lane of equal priority."""

from collections.abc import Container
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(Generic[T]):
    """Members that take turns; more may join at any time."""

    def __init__(self, *members: T) -> None:
        self._members = list(members)
        self._first = 0

    @property
    def members(self) -> tuple[T, ...]:
        """All of them, in the order in which they joined."""
        return tuple(self._members)

    def join(self, member: T) -> None:
        """Add a member."""
        self._members.append(member)

    def turns(self, resting: Container[T]) -> list[T]:
        """The members that are not `resting`, beginning after the one that was served last."""
        rotated = self._members[self._first :] + self._members[: self._first]
        return [member for member in rotated if member not in resting]

    def served(self, member: T) -> None:
        """Remember that `member` had its turn."""
        self._first = (self._members.index(member) + 1) % len(self._members)


def share(room: int, askers: int) -> int:
    """How much of `room` the first of `askers` may take, so that all get the same: at least 1, rounded up."""
    return max(1, -(-room // askers))
