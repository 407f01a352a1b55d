"""Registrations whose answer waits until the former device's mail is expired. A bounded number, in memory.

After a restart nobody waits here: the connections are gone. What is still to be wiped is in the account records.
This module must never know how mail is wiped.
"""

from collections.abc import Callable

Answer = Callable[[bool], None]
"""Called with whether this generation is still the present one."""


class WaitingAnswers:
    """Answers by user. At most `most` of them."""

    __slots__ = ("_answers", "_count", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._answers: dict[int, list[tuple[int, Answer]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, user: int, generation: int, answer: Answer) -> bool:
        """Let an answer wait; False if too many do."""
        if self._count >= self.most:
            return False
        self._answers.setdefault(user, []).append((generation, answer))
        self._count += 1
        return True

    def wiped(self, user: int, generation: int) -> None:
        """Give the answers that waited for this wipe."""
        self._give(user, generation)

    def replaced(self, user: int, generation: int) -> None:
        """A newer device came before the wipe was done: tell those that waited that they are too late."""
        self._give(user, generation - 1, present=False)

    def release(self, gone: Callable[[int], bool]) -> None:
        """Others see to the wipes of these users: give all answers."""
        for user in [user for user in self._answers if gone(user)]:
            self._give(user, max(generation for generation, _ in self._answers[user]))

    def _give(self, user: int, upto: int, *, present: bool = True) -> None:
        waiting = self._answers.pop(user, None)
        if waiting is None:
            return
        due = [answer for answer in waiting if answer[0] <= upto]
        later = [answer for answer in waiting if answer[0] > upto]
        if later:
            self._answers[user] = later
        self._count -= len(due)
        for generation, answer in due:
            answer(present and generation == upto)
        assert self._count >= 0
