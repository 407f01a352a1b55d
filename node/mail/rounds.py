"""When what a sender's primary has not answered is told again: after 3 s, then after twice as long each time, so that
a cluster that is cut off for hours costs next to nothing; sooner where it is known that silence has an end.

Each wait has a queue of its own, in which whoever was told longest ago is first. This module must never know what is
told, nor to whom: only that what goes to one place can be hurried together.
"""

from collections.abc import Collection
from typing import Final, Generic, Protocol, TypeVar

from node.mail.pair import PairKey

SOON_MS: Final = 500
"""Where there was no room to say it, or to take it in."""
AGAIN_MS: Final = 3_000
"""The first wait for an answer: longer than a receipt waits to be written where it was told to."""
ROUNDS: Final = 6
"""Waits of 3, 6, 12, 24, 48 and, from then on, 96 seconds."""
WAITS_MS: Final = (0, SOON_MS, *(AGAIN_MS << number for number in range(ROUNDS)))
NOW: Final = 0
"""What stood in its way is gone."""
SOON: Final = 1
FIRST: Final = 2
LAST: Final = len(WAITS_MS) - 1


class Told(Protocol):
    """What is told. `asked` and `round` are written here alone."""

    asked: int
    """When it was told last, in ms."""
    round: int
    """For which of `WAITS_MS` it waits."""
    home: int
    """The place to which it is told."""

    @property
    def key(self) -> PairKey: ...


T = TypeVar("T", bound=Told)


class Rounds(Generic[T]):
    """Those that wait for an answer, each in one queue."""

    __slots__ = ("_homes", "_queues")

    def __init__(self) -> None:
        self._queues: list[dict[PairKey, T]] = [{} for _ in WAITS_MS]
        self._homes: dict[int, dict[PairKey, T]] = {}

    def begin(self, one: T, now: int) -> None:
        """It was told something new."""
        self._wait(one, FIRST, now)

    def answered(self, one: T, now: int) -> None:
        """Some of it was: whoever answers is there. But the rest may have found no room, and was never said: it waits
        no longer than before."""
        if one.round > SOON:
            self._wait(one, FIRST, now)

    def at_once(self, one: T, now: int) -> None:
        """It is due now."""
        self._wait(one, NOW, now)

    def go_on(self, one: T, now: int) -> None:
        """It was told once more, since nothing came of the last time, or what stood in its way is gone."""
        self._wait(one, FIRST if one.round < FIRST else min(one.round + 1, LAST), now)

    def put_off(self, one: T, now: int) -> None:
        """There was no room for it. Nothing happens if it doesn't wait for an answer."""
        if one.key in self._queues[one.round]:
            self._wait(one, SOON, now)

    def _wait(self, one: T, number: int, now: int) -> None:
        key = one.key
        self._queues[one.round].pop(key, None)
        one.round, one.asked = number, now
        self._queues[number][key] = one
        self._homes.setdefault(one.home, {})[key] = one

    def drop(self, one: T) -> None:
        """Nobody waits for it any more."""
        key = one.key
        self._queues[one.round].pop(key, None)
        there = self._homes.get(one.home)
        if there is not None:
            there.pop(key, None)
            if not there:
                del self._homes[one.home]

    def due(self, now: int, limit: int) -> list[T]:
        """Whoever has waited long enough; at most so many, the shortest waits first. They stay where they are."""
        found: list[T] = []
        for wait, queue in zip(WAITS_MS, self._queues, strict=True):
            before = now - wait
            for one in queue.values():
                if one.asked > before:
                    break
                if len(found) == limit:
                    return found
                found.append(one)
        return found

    def unanswered(self, now: int, limit: int) -> list[T]:
        """Whoever was told more than once in vain and would be told again now; at most so many, the longest waits
        first. They stay where they are."""
        found: list[T] = []
        for number in range(LAST, FIRST, -1):
            before = now - WAITS_MS[number]
            for one in self._queues[number].values():
                if one.asked > before or len(found) == limit:
                    break
                found.append(one)
        return found

    def homes(self) -> Collection[int]:
        """The places to which something is told that isn't answered."""
        return self._homes.keys()

    def hurry(self, home: int, now: int) -> None:
        """All that is told to this place is due now, and begins with the shortest wait again."""
        for one in self._homes.get(home, {}).values():
            if one.round != NOW:
                self._wait(one, NOW, now)
