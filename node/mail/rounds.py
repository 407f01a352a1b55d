"""When what a sender's primary has not answered is told again: after 3 s, then after twice as long each time, so that
a cluster that is cut off for hours costs next to nothing.

Each wait has a queue of its own, in which whoever was told longest ago is first. This module must never know what is
told.
"""

from typing import Final, Generic, Protocol, TypeVar

from node.mail.pair import PairKey

AGAIN_MS: Final = 3_000
"""The first wait: longer than a receipt waits to be written where it was told to."""
ROUNDS: Final = 6
"""Waits of 3, 6, 12, 24, 48 and, from then on, 96 seconds."""
LONG_AGO: Final = -(1 << 62)
"""When those were told whose wait was cut short."""


class Told(Protocol):
    """What is told. Both numbers are written here alone."""

    asked: int
    """When it was told last, in ms."""
    round: int
    """How many times in a row nothing came of it, at most `ROUNDS - 1`."""

    @property
    def key(self) -> PairKey: ...


T = TypeVar("T", bound=Told)


class Rounds(Generic[T]):
    """Those that wait for an answer, each in one queue."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: list[dict[PairKey, T]] = [{} for _ in range(ROUNDS)]

    def begin(self, one: T, now: int) -> None:
        """It was told something new."""
        self.drop(one)
        self._wait(one, 0, now)

    def go_on(self, one: T, now: int) -> None:
        """It was told once more, since nothing came of the last time, or what stood in its way is gone."""
        hurried = one.asked == LONG_AGO
        self.drop(one)
        self._wait(one, 0 if hurried else min(one.round + 1, ROUNDS - 1), now)

    def _wait(self, one: T, number: int, now: int) -> None:
        one.round, one.asked = number, now
        self._queues[number][one.key] = one

    def drop(self, one: T) -> None:
        """Nobody waits for it any more."""
        self._queues[one.round].pop(one.key, None)

    def due(self, now: int, limit: int) -> list[T]:
        """Whoever has waited long enough; at most so many, the shortest waits first. They stay where they are."""
        found: list[T] = []
        for number, queue in enumerate(self._queues):
            before = now - (AGAIN_MS << number)
            for one in queue.values():
                if one.asked > before:
                    break
                if len(found) == limit:
                    return found
                found.append(one)
        return found

    def hurry(self) -> None:
        """All are due now, and begin with the shortest wait again."""
        first, *others = self._queues
        for queue in others:
            first.update(queue)
            queue.clear()
        for one in first.values():
            one.round, one.asked = 0, LONG_AGO
