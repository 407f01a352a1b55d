"""Questions to other nodes: each ends once, as it was answered, or with the reason why it wasn't."""

from __future__ import annotations

from typing import Any

import pytest

from replication import forwarding
from replication.core.errors import ClaimLost, ReplicationError, WritersWait
from replication.errors import NotServed
from replication.forwarding import (
    ANSWER,
    ASK,
    NO_ANSWER,
    OK,
    READ,
    Forwarding,
    Refused,
    Unanswered,
    error_of,
    told,
)
from store.errors import StoreBusy, UnknownTable

A, B = b"node a  ", b"node b  "


class Ends:
    def __init__(self) -> None:
        self.all: list[Any] = []

    def __call__(self, copies: int, code: int, text: str, value: Any) -> None:
        self.all.append((copies, code, text, value))


def ask(them: Forwarding, peer: bytes, ends: Ends, now: int = 0) -> int:
    message = them.ask(peer, 3, (READ, "t", (1,)), ends, now, 100)
    assert (message[0], *message[2:]) == (ASK, 3, READ, "t", (1,))
    return int(message[1])


def test_an_answer_ends_its_own_question_once() -> None:
    them, first, second = Forwarding(), Ends(), Ends()
    one, two = ask(them, A, first), ask(them, A, second)
    assert one != two
    them.answer(A, [ANSWER, two, 2, OK, "", b"value"])
    them.answer(A, [ANSWER, two, 2, OK, "", b"again"])
    assert (first.all, second.all) == ([], [(2, OK, "", b"value")])
    assert len(them) == 1


def test_another_nodes_answer_is_passed_over_and_so_is_what_cannot_be_one() -> None:
    them, ends = Forwarding(), Ends()
    number = ask(them, A, ends)
    them.answer(B, [ANSWER, number, 2, OK, "", b""])
    them.answer(A, [ANSWER, number + 1, 2, OK, "", b""])
    them.answer(A, [ANSWER, number])
    assert ends.all == []
    assert len(them) == 1


def test_what_was_asked_of_a_node_that_is_gone_is_unanswered() -> None:
    them, to_a, to_b = Forwarding(), Ends(), Ends()
    ask(them, A, to_a)
    ask(them, B, to_b)
    them.gone(A)
    assert [end[1] for end in to_a.all] == [NO_ANSWER]
    assert A.hex() in to_a.all[0][2]
    assert to_b.all == []
    assert them.unanswered == 1


def test_what_takes_too_long_is_given_up() -> None:
    them, early, late = Forwarding(), Ends(), Ends()
    ask(them, A, early, now=0)
    ask(them, A, late, now=50)
    them.tick(99)
    assert early.all == []
    them.tick(100)
    assert (len(early.all), len(late.all)) == (1, 0)
    them.close()
    assert len(late.all) == 1
    assert len(them) == 0


def test_a_question_that_was_not_sent_ends_without_a_word() -> None:
    them, ends = Forwarding(), Ends()
    them.forget(ask(them, A, ends))
    them.gone(A)
    assert ends.all == []
    assert len(them) == 0


def test_questions_to_one_peer_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "ASKED_MAX", 2)
    them = Forwarding()
    numbers = [ask(them, A, Ends()) for _ in range(2)]
    assert not them.has_room(A)
    assert them.has_room(B)
    them.answer(A, [ANSWER, numbers[0], 1, OK, "", None])
    assert them.has_room(A)


def test_bytes_to_one_peer_are_bounded_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "ASKED_BYTES_MAX", 100)
    them = Forwarding()
    first = them.ask(A, 0, (READ, "t", (1,)), Ends(), 0, 100, 99)[1]
    assert them.has_room(A)
    assert them.is_half_full()
    them.ask(A, 0, (READ, "t", (1,)), Ends(), 0, 100, 50)
    assert not them.has_room(A)
    assert them.has_room(B)
    them.answer(A, [ANSWER, first, 1, OK, "", None])
    assert them.has_room(A)
    them.gone(A)
    assert not them.is_half_full()


def test_what_is_behind_many_bytes_is_waited_for_the_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "ASKED_BYTES_S", 1_000)
    them, large, small, other = Forwarding(), Ends(), Ends(), Ends()
    them.ask(A, 0, (READ, "t", (1,)), large, 0, 100, 500)
    them.ask(A, 0, (READ, "t", (1,)), small, 0, 100, 10)
    them.ask(B, 0, (READ, "t", (1,)), other, 0, 100, 10)
    them.tick(110)
    assert (large.all, small.all, len(other.all)) == ([], [], 1)
    them.tick(609)
    assert (len(large.all), small.all) == (1, [])
    them.tick(610)
    assert len(small.all) == 1


@pytest.mark.parametrize(
    ("error", "comes"),
    [
        (NotServed("it is another's"), NotServed),
        (ClaimLost("it went away"), ClaimLost),
        (WritersWait("no room"), WritersWait),
        (StoreBusy("no room"), WritersWait),
        (UnknownTable("no table t"), Refused),
        (ValueError("not enough"), Refused),
    ],
)
def test_an_error_comes_with_its_cause_and_with_one_remedy(
    error: Exception, comes: type[ReplicationError]
) -> None:
    found = error_of(*told(error))
    assert type(found) is comes
    cause = error.cause if isinstance(error, ReplicationError) else str(error).partition(" —")[0]
    assert cause in str(found)
    assert str(found).count(comes.remedy) == 1
    assert comes.remedy


def test_a_long_text_is_cut() -> None:
    code, text = told(ValueError("x" * 100_000))
    assert code == forwarding.FAILED
    assert len(text) == forwarding.TEXT_MAX


def test_no_error_is_none_and_no_answer_may_have_happened() -> None:
    assert error_of(*told(None)) is None
    assert isinstance(error_of(NO_ANSWER, "node x gave no answer"), Unanswered)
    assert isinstance(error_of(77, "of a later release"), Refused)
