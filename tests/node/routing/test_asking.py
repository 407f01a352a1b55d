"""Registrations and PINs are granted by whoever sees a majority: also when the answer is there. What nobody answers is
put to the next primary, and what comes to a node that doesn't serve waits for a word of it."""

from typing import Any

import pytest

from node.accounts.outcomes import LoggedIn, Outcome, PinSent, Refused, Registered
from node.routing import asking, codes
from node.wire import errors
from tests.node.routing.stage import Stage

THERE = 5
"""A user whose primary is node b."""
REGISTER: tuple[str, tuple[Any, ...]] = ("register", (THERE, "123456", bytes(32), b"streams!", "10.0.0.1"))
LOGIN: tuple[str, tuple[Any, ...]] = ("login", (THERE, bytes(32), b"", bytes(64), "10.0.0.1"))
PIN: tuple[str, tuple[Any, ...]] = ("request_pin", (THERE, "10.0.0.1"))


@pytest.mark.parametrize("asked", [REGISTER, PIN])
@pytest.mark.parametrize("lost", [True, False])
def test_a_majority_that_goes_while_it_is_written_grants_nothing(
    asked: tuple[str, tuple[Any, ...]], lost: bool
) -> None:
    stage = Stage()
    name, arguments = asked
    stage.b.held = []
    found: list[Outcome] = []
    stage.a.within(getattr(stage.a.router, name), *arguments, found.append)
    stage.run()
    assert found == []
    stage.b.majority = not lost
    stage.b.within(stage.b.held.pop())
    stage.run()
    (outcome,) = found
    if lost:
        assert isinstance(outcome, Refused)
        assert outcome.code == errors.OVERLOADED
        assert outcome.retry_ms
    else:
        assert isinstance(outcome, Registered | PinSent)


@pytest.mark.parametrize("asked", [REGISTER, LOGIN])
def test_a_request_goes_to_the_next_primary_though_the_link_to_a_silent_one_stands(
    asked: tuple[str, tuple[Any, ...]],
) -> None:
    stage = Stage()
    name, arguments = asked
    stage.b.held = []
    found: list[Outcome] = []
    stage.a.within(getattr(stage.a.router, name), *arguments, found.append)
    stage.run()
    stage.primaries[1] = b"a"
    stage.a.within(stage.a.router.tick)
    assert found == [], "it isn't served yet"
    stage.a.within(stage.serve, stage.a, 1)
    stage.a.within(stage.a.router.tick)
    stage.run()
    (outcome,) = found
    assert isinstance(outcome, Registered | LoggedIn)
    stage.b.within(stage.b.held.pop())
    stage.run()
    assert len(found) == 1, "the answer of the one before comes too late"


def test_a_pin_is_not_asked_for_twice_when_the_primary_is_another_one() -> None:
    stage = Stage()
    stage.b.held = []
    found: list[Outcome] = []
    stage.a.within(stage.a.router.request_pin, *PIN[1], found.append)
    stage.run()
    stage.primaries[1] = b"a"
    stage.a.within(stage.serve, stage.a, 1)
    stage.a.within(stage.a.router.tick)
    stage.run()
    assert found == []
    assert stage.a.asked == []


# ---- a primary that doesn't serve ------------------------------------------------------------------------

SERVED_BY_B = (1, 5, 9, 13)
"""Users of one partition."""


def log_in(stage: Stage, *users: int) -> list[Outcome]:
    """They ask node a, all in one moment; what it answers, as it comes."""
    found: list[Outcome] = []
    for user in users:
        stage.a.within(stage.a.router.login, user, bytes(32), b"", bytes(64), "10.0.0.1", found.append)
    stage.run()
    return found


def asked_by_a(stage: Stage) -> int:
    return len(stage.a.said(codes.SESSIONS, codes.ASK))


def test_who_asks_a_node_that_does_not_serve_is_called_when_it_does() -> None:
    stage = Stage()
    stage.drop(1)
    found = log_in(stage, *SERVED_BY_B)
    assert asked_by_a(stage) == len(SERVED_BY_B)
    stage.b.within(stage.serve, stage.b, 1)
    stage.run()
    assert [type(outcome) for outcome in found] == [LoggedIn] * len(SERVED_BY_B), "without a tick"
    assert asked_by_a(stage) == 2 * len(SERVED_BY_B)
    assert stage.a.router.state.away == {}


def test_while_a_node_does_not_serve_one_request_finds_out_after_pauses_that_double() -> None:
    stage = Stage(ask_ms_max=8_000, reopen_ms=800)
    stage.drop(1)
    found = log_in(stage, *SERVED_BY_B)
    before, counts = asked_by_a(stage), []
    for _ in range(20):
        stage.wait(100)
        counts.append(asked_by_a(stage) - before)
    # After 100, 200, 400 and then each 800 ms.
    assert counts == [1, 1, 2, 2, 2, 2, 3, *[3] * 7, 4, *[4] * 5]
    assert asking.PAUSES == 8
    stage.wait(8_000)
    assert [type(outcome) for outcome in found] == [Refused] * len(SERVED_BY_B)


def test_a_release_that_calls_nobody_who_asks_is_asked_again_after_a_pause() -> None:
    stage = Stage()
    stage.drop(1)
    found = log_in(stage, *SERVED_BY_B)
    stage.b.router.state.wanting.clear()
    stage.b.within(stage.serve, stage.b, 1)
    stage.run()
    assert found == []
    stage.wait(200)
    assert len(found) == len(SERVED_BY_B), "one request found out for all"
    assert asked_by_a(stage) == 2 * len(SERVED_BY_B)


def test_a_request_that_waits_for_a_node_goes_to_the_next_primary_at_once() -> None:
    stage = Stage()
    stage.drop(1)
    found = log_in(stage, *SERVED_BY_B)
    stage.claim(1, b"a")
    assert [type(outcome) for outcome in found] == [LoggedIn] * len(SERVED_BY_B), "without a tick"


def test_another_claim_of_a_node_that_does_not_serve_yet_is_no_reason_to_ask_it_again() -> None:
    stage = Stage()
    stage.drop(1)
    log_in(stage, *SERVED_BY_B)
    before = asked_by_a(stage)
    stage.a.within(stage.a.router.claimed, 1)
    stage.run()
    assert asked_by_a(stage) == before


def test_a_node_that_was_lost_is_asked_anew_though_it_did_not_serve() -> None:
    stage = Stage()
    stage.drop(1)
    found = log_in(stage, *SERVED_BY_B)
    stage.disconnect()
    stage.b.router.state.wanting.clear()  # it began anew
    stage.b.within(stage.serve, stage.b, 1)
    stage.mend()
    stage.a.within(stage.a.router.tick)
    stage.run()
    assert len(found) == len(SERVED_BY_B)
