"""Copies are compared at one sequence; what differs is reported and mended from both sides."""

from typing import Any

import pytest

from replication.core import messages
from replication.core.state import LIVE
from tests.replication.core.stand import Node, Stand


def rotten(stand: Stand, letter: str, key: str) -> None:
    """A record is lost on the disk, and nobody noticed."""
    del stand[letter].store.rows[0, key]


def test_copies_that_agree_are_left_in_peace() -> None:
    stand = Stand(2).ready()
    for n in range(5):
        stand["A"].write(0, f"k{n}", n)
    stand.run(5_000)
    state = stand["A"].state
    assert state.counts.checks >= 3
    assert stand["B"].state.counts.mismatches == 0
    assert not stand.sent(messages.DIFFERS)


def test_they_agree_also_while_they_are_written_to() -> None:
    stand = Stand(2, check_ms=100).ready()
    for n in range(200):
        stand["A"].write(0, f"k{n % 7}", n)
        stand["A"].disk(2)
        stand["B"].disk(1)
        stand.deliver(count=2)
        if n % 3 == 0:
            stand.tick()
    stand.run(2_000)
    assert stand["A"].state.counts.checks > 5
    assert stand["B"].state.counts.mismatches == 0


def test_what_the_heir_lacks_it_gets() -> None:
    stand = Stand(2).ready()
    for n in range(5):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    rotten(stand, "B", "k3")
    stand.run(6_000)
    assert stand["B"].state.counts.mismatches == 1
    assert stand["B"].store.values(0)["k3"] == 3
    assert stand["B"].state.parts[0].copy == LIVE
    assert stand["A"].state.parts[0].heir_live


def test_what_the_primary_lacks_it_gets_back() -> None:
    stand = Stand(2).ready()
    for n in range(5):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    rotten(stand, "A", "k3")
    stand.run(6_000)
    assert stand["A"].store.values(0)["k3"] == 3
    assert stand.servers(0) == "A"


def test_a_copy_that_differs_is_not_complete_until_it_is_mended() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    rotten(stand, "B", "k")
    stand.losing = frozenset({messages.PULL})
    stand.run(4_000)
    assert stand["B"].state.parts[0].copy != LIVE
    assert not stand["A"].state.parts[0].heir_live
    stand.losing = frozenset()
    stand.run(4_000)
    assert stand["B"].state.parts[0].copy == LIVE


def test_digests_can_be_turned_off() -> None:
    stand = Stand(2, check_ms=0).ready()
    stand.run(5_000)
    assert not stand.sent(messages.CHECK)


def test_what_does_not_help_is_done_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge that breaks its laws, say: the copies differ whatever is pulled."""
    stand = Stand(2, check_ms=100).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    digested = Node._digested

    def differing(node: Node, p: int, table: Any, after: bytes, last: Any, done: Any) -> None:
        def other(error: Any, name: str, end: bytes, count: int, digest: bytes, onward: Any) -> None:
            done(error, name, end, count, digest + node.name, onward)

        digested(node, p, table, after, last, other)

    monkeypatch.setattr(Node, "_digested", differing)
    stand.run(100_000)
    state = stand["B"].state
    assert state.counts.mismatches == len(stand.sent(messages.DIFFERS)) < 12
    assert state.counts.unmended == state.counts.mismatches - 1 > 3
    monkeypatch.setattr(Node, "_digested", digested)
    stand.run(2_000)
    assert state.parts[0].copy == LIVE
