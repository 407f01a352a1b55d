"""Who is locked out, as the checker sees it: not who was turned away once with a key that it had a moment before."""

from __future__ import annotations

import pytest

from ops.simulation.checkers.base import Violation
from ops.simulation.checkers.keyrings import LAST_MS, LOCKED_MS, Keyrings
from ops.simulation.cluster.events import TurnedAway
from ops.simulation.running import draw, perform
from ops.simulation.trace import Peace


class Judged:
    """A checker of members 0 and 1, and its time."""

    def __init__(self) -> None:
        self.now = 1_000
        self.checker = Keyrings(lambda: self.now, lambda: [0, 1], str, lambda _: [])
        self._on = self.checker.subscriptions()
        self.tell(Peace())

    def tell(self, event: object) -> None:
        observer = self._on[type(event)]
        assert callable(observer)
        observer(event)


def test_who_was_turned_away_once_isnt_locked_out() -> None:
    judged = Judged()
    judged.tell(TurnedAway(0, 1, "former"))
    assert "node 0 turns node 1 away" in judged.checker.turned_away()
    judged.now += LAST_MS + 1
    assert not judged.checker.turned_away()
    judged.checker.require_let_in()


def test_who_goes_on_being_turned_away_is() -> None:
    judged = Judged()
    beat_ms = 25
    with pytest.raises(Violation, match="node 0 turns node 1 away, in peace"):
        for _ in range(2 * LOCKED_MS // beat_ms):
            judged.now += beat_ms
            judged.tell(TurnedAway(0, 1, "key"))
            assert judged.checker.turned_away()
    assert judged.now > LOCKED_MS


def test_who_is_no_member_may_be_turned_away() -> None:
    judged = Judged()
    judged.now += LOCKED_MS + 1
    judged.tell(TurnedAway(0, 7, "key"))
    judged.checker.require_let_in()


def test_a_message_that_its_senders_new_key_overtakes_keeps_nobody_locked_out() -> None:
    outcome = perform(draw("cluster", 1013, None, 100))
    assert not outcome.rule, outcome
    assert outcome.totals["keys changed"]
