"""A copy too many is emptied, and not before those that are to be are complete."""

from collections.abc import Callable

import attrs
import pytest

from replication.core import claims, copies, messages, replica
from replication.core.state import LIVE, NONE, VOID
from tests.replication.core.stand import Stand


def fewer(stand: Stand, copies: int) -> None:
    """An operator wants fewer copies."""
    stand.settings = attrs.evolve(stand.settings, copies=copies)
    for node in stand.nodes.values():
        node.state.settings = stand.settings
        replica.placed(node.state)
        node.carry_out()


def three() -> Stand:
    """Three copies, and a record."""
    stand = Stand(3, copies=3, leave_ms=1_000).ready()
    stand["A"].write(0, "k", 1)
    stand.run(1_000)
    assert [stand[name].state.parts[0].copy for name in "ABC"] == [LIVE] * 3
    return stand


def test_a_spare_that_is_not_wanted_any_more_is_emptied() -> None:
    stand = three()
    fewer(stand, 2)
    stand.run(5_000)
    assert [stand[name].state.parts[0].copy for name in "ABC"] == [LIVE, LIVE, NONE]
    assert stand["C"].store.values(0) == {}
    assert stand.copies(0) == [{"k": 1}] * 2
    asked = len(stand.sent(messages.SPARE))
    stand.run(5_000)
    assert len(stand.sent(messages.SPARE)) == asked, "it is done"


def test_it_is_kept_while_the_heir_is_not_complete() -> None:
    stand = three()
    stand["A"].state.peers[b"B"].live.clear()
    stand["A"].state.parts[0].heir_live = False
    stand.losing = frozenset({messages.LIVE})
    fewer(stand, 2)
    stand.run(5_000)
    assert stand.sent(messages.SPARE, "C", "A")
    assert stand["C"].store.values(0) == {"k": 1}


def test_it_is_kept_while_the_primary_may_learn_from_it() -> None:
    stand = three()
    stand.losing = frozenset({messages.OFFER})
    stand["C"].state.peers[b"A"].offers[0] = stand["C"].state.sequence
    fewer(stand, 2)
    stand.run(5_000)
    assert stand["C"].store.values(0) == {"k": 1}


def test_an_answer_that_comes_late_empties_nothing() -> None:
    stand = three()
    node = stand["C"]
    free = [messages.FREE, [[0, stand.claim("C").epoch]]]
    replica.received(node.state, b"A", free)
    assert node.state.parts[0].copy == LIVE, "it is wanted again"
    fewer(stand, 2)
    stand.run(300)
    replica.received(node.state, b"A", [messages.FREE, [[0, stand.claim("C").epoch + 1]]])
    replica.received(node.state, b"B", free)
    assert node.state.parts[0].copy != VOID, "it is of another claim, or of another node"
    replica.received(node.state, b"A", free)
    assert node.state.parts[0].copy == VOID


def test_a_node_that_stood_in_for_the_heir_keeps_its_copy_for_a_while() -> None:
    stand = Stand(3, leave_ms=10_000).ready()
    stand["A"].write(0, "k", 1)
    stand.crash("B")
    stand.see()
    stand.run(3_000)
    assert stand["C"].store.values(0) == {"k": 1}
    stand.start("B")
    stand.run(1_000)
    replica.move(stand["A"].state, 0, b"B", lambda copies, error: None)
    stand["A"].carry_out()
    stand.run(5_000)
    assert stand.claim("A").primary == b"B"
    assert stand["C"].store.values(0) == {"k": 1}
    stand.run(15_000)
    assert stand["C"].store.values(0) == {}
    assert stand.copies(0) == [{"k": 1}] * 2


def test_what_a_former_primarys_stream_still_carries_is_not_taken_into_what_is_emptied() -> None:
    stand = three()
    fewer(stand, 2)
    stand.run(300)
    source = stand["C"].state.peers[b"B"].source
    source.opened[0] = 0
    replica.received(stand["C"].state, b"A", [messages.FREE, [[0, stand.claim("C").epoch]]])
    stand["C"].carry_out()
    assert 0 not in source.opened
    assert 0 in source.refusals


def test_where_one_copy_is_wanted_the_heir_goes_too() -> None:
    stand = three()
    fewer(stand, 1)
    stand.run(5_000)
    assert stand.claim("A").heir is None
    assert [stand[name].state.parts[0].copy for name in "ABC"] == [LIVE, NONE, NONE]
    ended = stand["A"].write(0, "k", 2)
    stand.work()
    assert ended == [(1, None)]
    fewer(stand, 2)
    stand.run(5_000)
    assert stand.claim("A").heir == b"B"
    assert stand["B"].store.values(0) == {"k": 2}


Asked = list[tuple[int, Callable[..., None]]]


def void_copies(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """C holds more copies than may be emptied at once, all to be emptied; gives what its disk is asked to empty."""
    node, waiting = stand["C"], Asked()
    for part in node.state.parts:
        assert part.claim is not None
        stand.nodes[part.claim.primary].write(part.number, "k", 1)
    stand.run(1_000)
    monkeypatch.setattr(node, "_cleared", lambda p, done: waiting.append((p, done)))
    fewer(stand, 2)
    stand.run(5_000)
    void = [part for part in node.state.parts if part.copy == VOID]
    assert len(void) > copies.EMPTIED_AT_ONCE
    return waiting


def answer(stand: Stand, waiting: Asked) -> int:
    """The disk has emptied the first of them."""
    p, done = waiting.pop(0)
    done(None, False)
    replica.flush(stand["C"].state)
    stand["C"].carry_out()
    stand.run(100)
    return p


def test_a_few_are_emptied_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand(3, partitions=24, copies=3, leave_ms=1_000).ready()
    waiting = void_copies(stand, monkeypatch)
    state = stand["C"].state
    void = {part.number for part in state.parts if part.copy == VOID}
    emptied = []
    while waiting:
        assert len(waiting) == min(copies.EMPTIED_AT_ONCE, len(void) - len(emptied))
        emptied.append(answer(stand, waiting))
    assert sorted(emptied) == sorted(void), "each once"
    assert not state.clearing
    assert all(state.parts[p].copy == NONE for p in void)


def test_one_that_waits_to_be_emptied_has_another_claim_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken in since isn't known as forgotten: it is forgotten again first."""
    stand = Stand(3, partitions=24, copies=3, leave_ms=1_000).ready()
    waiting = void_copies(stand, monkeypatch)
    state = stand["C"].state
    under_way = {p for p, _ in waiting}
    part = next(part for part in state.parts if part.copy == VOID and part.number not in under_way)
    assert part.claim is not None
    part.claim = attrs.evolve(part.claim, epoch=part.claim.epoch + 1)
    part.copy = NONE
    while part.number in state.clearing:
        assert answer(stand, waiting) != part.number
    assert part.copy == NONE
    claims.void(state, part)
    while part.copy == VOID:
        stand.run(200)
        answer(stand, waiting)
    assert part.copy == NONE
