"""The rule for n."""

import pytest

from node.mail import effects, numbering
from node.wire import errors
from node.wire.verbs import DELIVERED, ONE_COPY
from tests.node.mail.core import ALICE, BOB, STREAM, Core


def send(core: Core, n: int, base: int = 1, body: bytes = b"x") -> None:
    numbering.send(core.state, ALICE, BOB, STREAM, n, base, body)


def said(core: Core) -> list[tuple[object, ...]]:
    codes = (effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED)
    return [(effect[0], *effect[4:]) for effect in core.asked(*codes)]


def test_the_next_number_is_taken_and_answered_when_it_is_written() -> None:
    core = Core()
    core.pair()
    send(core, 1)
    assert said(core) == []
    core.commit()
    assert said(core) == [(effects.ACCEPTED, 1, 1, ONE_COPY)]


def test_a_number_that_is_too_high_sends_the_sender_back_once() -> None:
    core = Core()
    core.pair()
    for n in (3, 4, 5):
        send(core, n)
    assert said(core) == [(effects.GAP, 0)]
    send(core, 3)  # again: it hasn't heard
    assert said(core) == [(effects.GAP, 0)]


def test_a_base_jump_is_taken() -> None:
    core = Core()
    core.pair()
    send(core, 7, base=7)
    core.commit()
    assert said(core) == [(effects.ACCEPTED, 7, 7, ONE_COPY)]


def test_who_left_too_many_gaps_may_leave_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "INTERVALS_MAX", 2)
    core = Core()
    core.pair(row=[9, [1, 1, 3, 3, 5, 5], [], 0, 0])
    send(core, 20, base=20)
    assert said(core) == [(effects.GAP, 9)]


def test_a_duplicate_waits_for_the_original_and_another_body_is_refused() -> None:
    core = Core()
    core.pair()
    send(core, 1)
    send(core, 1)
    assert said(core) == []
    send(core, 1, body=b"y")
    assert said(core) == [(effects.REFUSED, 1, errors.STREAM_REUSED, 0)]


def test_what_is_gone_is_delivered() -> None:
    core = Core()
    core.pair(row=[2, [1, 2], [], 0, 0])
    send(core, 1)
    assert said(core) == [(effects.ACCEPTED, 1, 1, DELIVERED)]


def test_a_hole_is_looked_up_and_what_follows_waits_behind_it() -> None:
    core = Core()
    pair = core.pair(row=[2, [2, 2], [], 0, 0])
    send(core, 1)
    send(core, 3, body=b"longer")
    assert core.state.held_bytes == 7
    (question,) = core.asked(effects.LOOKUP)
    assert not pair.pending, "3 would overtake 1"
    numbering.looked_up(core.state, pair, 1, b"x", question[4], None)
    assert list(pair.pending) == [1, 3]
    assert core.state.held_bytes == 0


def test_what_is_stored_is_accepted_at_one_copy() -> None:
    core = Core()
    pair = core.pair(row=[2, [2, 2], [], 0, 0])
    send(core, 1)
    numbering.looked_up(core.state, pair, 1, b"x", pair.commits, b"x")
    core.asked(effects.LOOKUP)
    assert said(core) == [(effects.ACCEPTED, 1, 1, ONE_COPY)]


def test_when_the_question_fails_all_that_waited_comes_again() -> None:
    core = Core(busy_retry_ms=50)
    pair = core.pair(row=[2, [2, 2], [], 0, 0])
    send(core, 1)
    send(core, 3)
    core.asked(effects.LOOKUP)
    numbering.not_looked_up(core.state, pair, 1, b"x")
    assert said(core) == [(effects.BUSY, 1, 50)]
    assert (core.state.held_bytes, pair.pending) == (0, {})
    send(core, 3)  # it was on its way
    assert said(core) == []
    assert not pair.pending, "3 would overtake 1"


def test_a_skip_is_accepted_and_remembered_as_the_senders_own() -> None:
    core = Core()
    pair = core.pair()
    numbering.skip(core.state, ALICE, BOB, STREAM, 1, 1)
    core.commit()
    assert said(core) == [(effects.ACCEPTED, 1, 1, ONE_COPY)]
    assert pair.row()[5] == [1, 1]
