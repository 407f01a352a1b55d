"""Every send is answered: what an edge takes from a session is answered in bound, or that session ends.

*unanswered*: an edge that runs answers within what its settings allow, whatever is the matter with all others.
*late in the calm*: where nothing has happened for a while and all is whole, it is answered soon.

Numbers above one to which the phone is to come back, by GAP or BUSY, count as answered until it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.cluster.events import Answered, Asked, Ended
from ops.simulation.trace import Down

Pair = tuple[int, int]
"""(session, recipient)"""


class Answers:
    """Looks at what waits, whenever it is asked to.

    Args:
        now: the time in ms.
        stands_still: whether an edge is paused.
        bound_ms, calm_ms: until when an answer is due, and in the calm.
        calm_since: since when nothing has happened that concerns an edge and a recipient; None if something is the
            matter now.
    """

    rule: ClassVar[str] = "unanswered"

    def __init__(
        self,
        now: Callable[[], int],
        stands_still: Callable[[int], bool],
        calm_since: Callable[[int, int], int | None],
        bound_ms: int,
        calm_ms: int,
    ) -> None:
        self._now = now
        self._stands_still = stands_still
        self._calm_since = calm_since
        self._bound = bound_ms
        self._calm = calm_ms
        self._waits: dict[Pair, dict[int, int]] = {}  # number → when it was asked
        self._back: dict[Pair, int] = {}  # to which number the phone is to come back
        self._edges: dict[int, int] = {}
        self.counts: dict[str, int] = {}

    def subscriptions(self) -> Mapping[type, object]:
        """What edges take and answer, and their ends."""
        return {Asked: self._asked, Answered: self._answered, Ended: self._ended, Down: self._down}

    def _asked(self, asked: Asked) -> None:
        pair = (asked.session, asked.recipient)
        back = self._back.get(pair)
        if back is not None:
            if asked.n > back:
                return
            del self._back[pair]
        self._edges[asked.session] = asked.edge
        self._waits.setdefault(pair, {})[asked.n] = self._now()

    def _answered(self, answered: Answered) -> None:
        pair = (answered.session, answered.recipient)
        self.counts[answered.word] = self.counts.get(answered.word, 0) + 1
        waits = self._waits.get(pair, {})
        if answered.upwards:
            self._back[pair] = answered.first
        for n in [n for n in waits if answered.first <= n and (answered.upwards or n <= answered.last)]:
            del waits[n]
        if not waits:
            self._waits.pop(pair, None)

    def _ended(self, ended: Ended) -> None:
        for found in (self._waits, self._back):
            for pair in [pair for pair in found if pair[0] == ended.session]:
                del found[pair]
        self._edges.pop(ended.session, None)

    def _down(self, down: Down) -> None:
        for session in [session for session, edge in self._edges.items() if edge == down.node]:
            self._ended(Ended(session))

    def look(self) -> None:
        """Called every few milliseconds. Raises Violation."""
        now = self._now()
        for pair, waits in self._waits.items():
            edge = self._edges[pair[0]]
            if self._stands_still(edge):
                for n in waits:
                    waits[n] = now
                continue
            if now - min(waits.values()) <= min(self._calm, self._bound):
                continue
            calm = self._calm_since(edge, pair[1])
            n, since = min(waits.items(), key=lambda entry: entry[1])
            words = (
                f"node {edge} has taken {n} for user {pair[1]} from session {pair[0]}, {now - since} ms ago"
            )
            if now - since > self._bound:
                raise Violation(self.rule, words)
            if calm is not None and now - max(since, calm) > self._calm:
                raise Violation("late in the calm", f"{words}, and nothing has happened for {now - calm} ms")

    def verdict(self, disks: Disks) -> None:
        """At rest nobody waits."""
        for pair, waits in self._waits.items():
            raise Violation(self.rule, f"{sorted(waits)} for user {pair[1]} from session {pair[0]}, at rest")
