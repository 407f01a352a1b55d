"""Members of two releases in one group: the newer one says more in every message, and says what the older one doesn't
know. Everything goes on as if it didn't.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import attrs
import cbor2
import pytest

from replication.core import messages, pledging, replica
from replication.core.state import NONE
from tests.replication.core.stand import Stand

LATER = len(messages.NAMES)
"""A code that this release doesn't know."""
MORE = ["more", [1, b"x"], None]


class Mixed(Stand):
    """Some of the nodes are of a newer release: each of their messages has something at its end, and before each they
    say what is new."""

    newer: frozenset[bytes] = frozenset()

    def send(self, a: bytes, b: bytes, message: Any) -> None:
        if a not in self.newer:
            super().send(a, b, message)
            return
        said = len(self.said)
        super().send(a, b, (LATER, "is new"))
        super().send(a, b, [*message, MORE])
        del self.said[said:]
        self.said.append((a, b, message))


def mixed(newer: str, count: int = 2, **settings: Any) -> Mixed:
    """All have started, and a record is settled."""
    stand = Mixed(count, **settings)
    stand.newer = frozenset(bytes([letter]) for letter in newer.encode())
    stand.ready()
    stand["A"].write(0, "k", 1)
    stand.run(1_000)
    return stand


def _moved_and_back(newer: str) -> Mixed:
    stand = mixed(newer, spread_above=0)
    for letter, to in ("AB", "BA"):
        replica.move(stand[letter].state, 0, to.encode(), lambda *how: None)
        stand[letter].carry_out()
        stand.run(2_000)
        assert stand.servers(0) == to
    return stand


def _taken_over_with_a_rest(newer: str) -> Mixed:
    """What only the one who died had is offered when it is back."""
    stand = mixed(newer)
    stand["A"].write(0, "late", 2)
    stand["A"].disk()
    stand.crash("A")
    stand.see()
    stand.run(3_000)
    assert stand.servers(0) == "B"
    stand.start("A")
    stand.run(6_000)
    assert stand.copies(0) == [{"k": 1, "late": 2}] * 2
    return stand


def _rotten(newer: str) -> Mixed:
    stand = mixed(newer)
    del stand["B"].store.rows[0, "k"]
    stand.run(6_000)
    assert stand["B"].store.values(0) == {"k": 1}
    return stand


def _older_than_its_claim(newer: str) -> Mixed:
    stand = mixed(newer)
    older = deepcopy(stand["A"].store)
    ended = stand["A"].write(0, "later", 1)
    stand.work()
    assert ended == [(2, None)]
    stand.crash("A")
    stand["A"].store = older
    stand.start("A")
    stand.run(8_000)
    assert stand.copies(0) == [{"k": 1, "later": 1}] * 2
    return stand


def _one_copy_too_many(newer: str) -> Mixed:
    stand = mixed(newer, 3, copies=3, leave_ms=1_000)
    stand.settings = attrs.evolve(stand.settings, copies=2)
    for node in stand.nodes.values():
        node.state.settings = stand.settings
        replica.placed(node.state)
        node.carry_out()
    stand.run(5_000)
    assert stand["C"].state.parts[0].copy == NONE
    return stand


def _many(newer: str) -> Mixed:
    """More than tell one another everything."""
    stand = mixed(newer, 5, spread_above=2)
    stand.crash("A")
    stand.see()
    stand.run(3_000)
    assert stand.servers(0) == "B"
    pledging.ask(stand["B"].state, 0)
    stand["B"].carry_out()
    stand.run(1_000)
    return stand


SCRIPTS: tuple[Callable[[str], Mixed], ...] = (
    _moved_and_back, _taken_over_with_a_rest, _rotten, _older_than_its_claim, _one_copy_too_many, _many,
)  # fmt: skip


@pytest.mark.parametrize("newer", ["A", "B", "ABCDE"])
def test_every_kind_of_message_is_understood_with_something_at_its_end(newer: str) -> None:
    said: set[int] = set()
    for script in SCRIPTS:
        stand = script(newer)
        said.update(message[0] for sender, _, message in stand.said if sender in stand.newer)
        heard = 0
        for name, node in stand.nodes.items():
            counts, unknown = node.state.counts, node.state.unknown
            assert counts.malformed == 0
            assert unknown.total == 0 or unknown.counts.keys() == {str(LATER)}
            heard += unknown.total if name not in stand.newer or len(stand.newer) > 1 else 0
        assert heard > 10
    if newer == "ABCDE":
        assert sorted(said) == list(range(len(messages.NAMES)))


def test_as_many_words_are_told_of_each_message_as_it_has() -> None:
    assert len(messages.WORDS) == len(messages.NAMES)
    for script in SCRIPTS:
        for _, _, message in script("").said:
            assert len(message) == messages.WORDS[message[0]], messages.NAMES[message[0]]


def test_what_is_short_of_a_word_is_malformed_and_not_new() -> None:
    stand = mixed("")
    for code in range(len(messages.NAMES)):
        before = stand["A"].state.counts.malformed
        short = cbor2.loads(cbor2.dumps([code]))
        replica.received(stand["A"].state, b"B", short)
        assert stand["A"].state.counts.malformed == before + 1, messages.NAMES[code]
    assert stand["A"].state.unknown.total == 0
