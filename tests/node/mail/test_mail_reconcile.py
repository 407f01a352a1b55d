"""Two stores that take in one another's mail: messages that are over go, whichever came last; what was purged stays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from node.mail.reconcile import Reconcile
from node.mail.tables import MAIL
from store.store import Store
from store.writes import DELETE, PUT

P, KEY = 1, (1, 100, 7, b"s" * 8)


class Node:
    """One store. `mine`: it is the primary; `has_news`: there is something that the primary hasn't asked for."""

    def __init__(self, path: Path, epoch: int) -> None:
        self.mine = self.has_news = False
        reconcile = Reconcile(lambda p: self.mine and p == P, lambda p: self.has_news and p == P)
        group = attrs.evolve(MAIL, reconcile=reconcile)
        self.store = Store.open(path, (group,), committer="inline")
        self.group = self.store.group("mail")
        self.group.epochs = lambda partition: epoch

    def write(self, *writes: tuple[Any, ...]) -> None:
        ids = {table.name: table.id for table in self.group.tables}
        self.done([(write[0], ids[write[1]], *write[2:]) for write in writes])

    def done(self, writes: list[Any]) -> None:
        results: list[Any] = []
        self.group.submit(writes, results.append)
        self.store.deliver_results()
        assert results[0].error is None, results

    def take_in(self, other: "Node") -> None:
        with other.group.snapshot() as reader:
            pulled = reader.pull([(P, 0)], None, 1_000, 10**6)
        results: list[Any] = []
        parts = [(part.partition, part.table, part.blob) for part in pulled.parts]
        self.group.submit_parts(parts, [], results.append)
        self.store.deliver_results()
        assert results[0].error is None, results

    def messages(self) -> list[int]:
        return [key[4] for key, _ in self.group.table("message").prefix(KEY, limit=10_000)]

    def notes(self, table: str = "untold") -> list[tuple[Any, ...]]:
        return [key for key, _ in self.group.table(table).prefix((P,))]

    def noted(self) -> int:
        reconcile = self.group.declaration.reconcile
        assert isinstance(reconcile, Reconcile)
        return reconcile.noted

    def row(self) -> Any:
        return self.group.table("pair").get(KEY)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    pair = Node(tmp_path / "a", 2), Node(tmp_path / "b", 1)
    yield pair
    for node in pair:
        node.store.close()


def message(n: int) -> tuple[Any, ...]:
    return (PUT, "message", (*KEY, n), [5, b"body"])


def pair(gone: list[int], expired: list[int], high: int = 9) -> tuple[Any, ...]:
    return (PUT, "pair", KEY, [high, gone, expired, 0, 20])


def test_messages_that_came_first_go_when_their_pair_comes(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    ours.write(*map(message, range(1, 8)))
    theirs.write(pair([2, 3], [5, 5]))
    ours.take_in(theirs)
    assert ours.messages() == [1, 4, 6, 7]


def test_messages_that_come_when_they_are_over_are_not_kept(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    ours.write(pair([2, 3], [5, 5]))
    theirs.write(*map(message, range(1, 8)))
    ours.take_in(theirs)
    assert ours.messages() == [1, 4, 6, 7]


def test_more_messages_than_are_looked_at_in_one_step(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    ours.write(*map(message, range(1, 601)))
    theirs.write(pair([1, 599], [], high=600))
    ours.take_in(theirs)
    assert ours.messages() == [600]


def test_both_come_to_the_same(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    ours.write(*map(message, (1, 2, 3)), pair([2, 2], [], high=3))
    theirs.write(*map(message, (2, 3, 4)), pair([3, 3], [1, 1], high=4))
    ours.take_in(theirs)
    theirs.take_in(ours)
    assert ours.messages() == theirs.messages() == [4]
    assert ours.row() == theirs.row() == [4, [2, 3], [1, 1], 0, 20]


def test_the_primary_notes_what_is_to_be_told_again_and_nobody_else_does(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    ours.mine = True
    ours.write(pair([1, 2], []))
    theirs.write(pair([3, 3], []))
    ours.take_in(theirs)
    theirs.take_in(ours)
    assert ours.notes() == [KEY]
    assert theirs.notes() == []


def test_what_brings_nothing_new_is_not_told_again(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    ours.mine = True
    ours.write(pair([1, 9], []))
    theirs.write(pair([1, 3], [], high=3))
    ours.take_in(theirs)
    assert ours.notes() == []


def test_a_message_that_goes_by_a_merge_is_told(nodes: tuple[Node, Node]) -> None:
    """Its sender may have heard ✓ from the other node, and nothing of the ack that this one has."""
    ours, theirs = nodes
    ours.mine = True
    ours.write(pair([1, 1], []))
    theirs.write(message(1))
    ours.take_in(theirs)
    assert (ours.messages(), ours.notes()) == ([], [KEY])


def test_a_copy_that_returns_does_not_bring_back_what_was_purged(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    theirs.write(message(1), pair([], [], high=1))
    ours.take_in(theirs)
    ours.write(pair([1, 1], [], high=1), (DELETE, "message", (*KEY, 1)))
    theirs.take_in(ours)
    ours.write((DELETE, "pair", KEY))
    ours.take_in(theirs)
    assert (ours.row(), ours.messages()) == (None, [])
    theirs.take_in(ours)
    assert (theirs.row(), theirs.messages()) == (None, [])


def test_the_note_of_a_purged_pair_goes_with_it(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    ours.mine = True
    theirs.write(pair([1, 1], []))
    ours.take_in(theirs)
    assert ours.notes() == [KEY]
    ours.mine = False
    theirs.write((DELETE, "pair", KEY))
    ours.take_in(theirs)
    assert (ours.row(), ours.notes()) == (None, [])


def test_a_confirmed_receipt_stays_confirmed(nodes: tuple[Node, Node]) -> None:
    """A union would bring it back."""
    ours, theirs = nodes
    key = (P, 7, 100, b"s" * 8)
    theirs.write((PUT, "receipt", key, [[1, 2], [], 0]))
    ours.take_in(theirs)
    ours.write((PUT, "receipt", key, [[2, 2], [], 0]))
    theirs.take_in(ours)
    ours.take_in(theirs)
    assert ours.group.table("receipt").get(key) == theirs.group.table("receipt").get(key) == [[2, 2], [], 0]
    ours.write((DELETE, "receipt", key))
    theirs.take_in(ours)
    ours.take_in(theirs)
    assert ours.group.table("receipt").get(key) is theirs.group.table("receipt").get(key) is None


# ---- two records of a receipt ------------------------------------------------------------------------------

RECEIPT, NOTE = (P, 7, 100, b"s" * 8), (P, 100, 7, b"s" * 8)
"""Of 7, who sent to 100; 100 is of some other partition."""


def receipt(delivered: list[int]) -> tuple[Any, ...]:
    return (PUT, "receipt", RECEIPT, [delivered, [], 0])


@pytest.mark.parametrize("newer", ["ours", "theirs"])
@pytest.mark.parametrize("which", ["mine", "has_news"])
def test_a_receipt_that_goes_when_two_meet_is_noted(nodes: tuple[Node, Node], which: str, newer: str) -> None:
    """Whichever of both stays. `a` has the higher epoch, so what it writes is the newer one."""
    ours, theirs = nodes if newer == "ours" else nodes[::-1]
    setattr(ours, which, True)
    ours.write(receipt([1, 1]))
    theirs.write(receipt([2, 2]))
    ours.take_in(theirs)
    assert ours.notes("retell") == [NOTE]
    assert ours.noted() == 1
    assert theirs.noted() == 0


@pytest.mark.parametrize("newer", ["ours", "theirs"])
def test_a_receipt_that_goes_among_many_is_noted(nodes: tuple[Node, Node], newer: str) -> None:
    """They are taken in as a run."""
    ours, theirs = nodes if newer == "ours" else nodes[::-1]
    ours.mine = True
    others = [(PUT, "receipt", (P, 7, user, b"s" * 8), [[1, 1], [], 0]) for user in range(200, 210)]
    ours.write(receipt([1, 1]))
    theirs.write(receipt([2, 2]), *others)
    ours.take_in(theirs)
    assert ours.notes("retell") == [NOTE]


def test_copies_of_whoever_is_primary_note_nothing(nodes: tuple[Node, Node]) -> None:
    ours, theirs = nodes
    theirs.write(receipt([1, 1]))
    ours.take_in(theirs)
    ours.write(receipt([1, 2]))
    theirs.take_in(ours)
    assert ours.notes("retell") == theirs.notes("retell") == []


def test_where_only_one_has_a_receipt_nothing_went(nodes: tuple[Node, Node]) -> None:
    """Nor when the same one comes again, or what was confirmed here and unknown there."""
    ours, theirs = nodes
    ours.mine = ours.has_news = True
    ours.write((DELETE, "receipt", RECEIPT))
    theirs.take_in(ours)
    theirs.mine = True
    ours.write(receipt([1, 1]))
    theirs.take_in(ours)
    theirs.take_in(ours)
    assert theirs.notes("retell") == ours.notes("retell") == []


def test_a_receipt_that_another_node_took_for_confirmed_is_noted(nodes: tuple[Node, Node]) -> None:
    """It was: of what that node knew."""
    theirs, ours = nodes
    ours.has_news = True
    ours.write(receipt([2, 2]))
    theirs.write(receipt([1, 1]), (DELETE, "receipt", RECEIPT))
    ours.take_in(theirs)
    assert ours.notes("retell") == [NOTE]


def test_a_mark_that_another_node_deleted_is_noted_by_the_primary(nodes: tuple[Node, Node]) -> None:
    """That node has told all that it knew of the pair."""
    theirs, ours = nodes
    ours.mine = True
    ours.write((PUT, "telling", KEY, []), pair([1, 1], []))
    theirs.write((PUT, "telling", KEY, []), (DELETE, "telling", KEY))
    ours.take_in(theirs)
    assert ours.group.table("telling").get(KEY) is None
    assert ours.notes() == [KEY]


def test_who_may_be_primary_next_notes_pairs_to_which_it_had_something_to_add(
    nodes: tuple[Node, Node],
) -> None:
    ours, theirs = nodes
    ours.has_news = theirs.has_news = True
    ours.write(pair([1, 2], []))
    theirs.write(pair([1, 1], []))
    theirs.take_in(ours)  # it had nothing that the other one hasn't
    assert theirs.notes() == []
    theirs.write(pair([1, 2], [5, 5]))
    ours.write(pair([1, 3], []))
    ours.take_in(theirs)
    assert ours.notes() == [KEY]


def test_a_pair_that_was_purged_is_not_noted(nodes: tuple[Node, Node]) -> None:
    theirs, ours = nodes
    ours.mine = ours.has_news = True
    for node in nodes:
        node.write((PUT, "telling", KEY, []), pair([1, 1], []))
    theirs.write((DELETE, "pair", KEY), (DELETE, "telling", KEY))
    ours.take_in(theirs)
    assert (ours.row(), ours.notes()) == (None, [])
