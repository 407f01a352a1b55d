"""A registration waits for pledges where only these are missing, and not for ever."""

import pytest

from node.accounts.outcomes import Outcome, PinSent, Refused, Registered
from node.routing import awaiting
from node.wire import errors
from tests.node.routing.stage import Stage

THERE = 5
"""A user whose primary is node b."""


def register(stage: Stage) -> list[Outcome]:
    found: list[Outcome] = []
    router = stage.a.router
    stage.a.within(router.register, THERE, "123456", bytes(32), b"streams!", "10.0.0.1", found.append)
    stage.run()
    return found


def waits() -> tuple[Stage, list[Outcome]]:
    stage = Stage()
    stage.b.pledged = False
    found = register(stage)
    assert found == []
    assert stage.b.asked == []
    assert stage.b.router.statistics()["asks_waiting"] == 1
    return stage, found


@pytest.mark.parametrize("told", [True, False])
def test_a_registration_goes_on_when_a_majority_has_pledged(told: bool) -> None:
    stage, found = waits()
    stage.b.within(stage.b.router.claimed, 1)
    stage.run()
    assert found == []
    stage.b.pledged = True
    stage.b.within(*((stage.b.router.claimed, 1) if told else (stage.b.router.tick,)))
    stage.run()
    assert [type(one) for one in found] == [Registered]


def test_it_is_refused_when_nobody_pledges() -> None:
    stage, found = waits()
    stage.wait(awaiting.WAIT_MS + 100)
    (outcome,) = found
    assert isinstance(outcome, Refused)
    assert outcome.code == errors.OVERLOADED
    assert outcome.retry_ms
    assert stage.b.router.statistics()["partitions_unpledged"] == 1
    assert stage.b.router.statistics()["asks_unpledged"] == 1
    stage.b.pledged = True
    stage.b.within(stage.b.router.claimed, 1)
    assert stage.b.router.statistics()["partitions_unpledged"] == 0


def test_a_registration_that_finds_no_majority_isnt_refused_for_want_of_pledges() -> None:
    stage, found = waits()
    stage.b.majority = False
    stage.wait(awaiting.WAIT_MS + 100)
    assert [type(one) for one in found] == [Refused]
    assert stage.b.router.statistics()["partitions_unpledged"] == 0


def test_a_pin_is_sent_before_anybody_has_pledged() -> None:
    stage = Stage()
    stage.b.pledged = False
    found: list[Outcome] = []
    stage.a.within(stage.a.router.request_pin, THERE, "10.0.0.1", found.append)
    stage.run()
    assert [type(one) for one in found] == [PinSent]


def test_that_a_majority_has_pledged_is_noted_if_only_a_pin_was_asked_for() -> None:
    """Or nobody who takes over would know that, and members would stay pledged to a claim that nobody has."""
    stage = Stage()
    stage.b.pledged = False
    stage.a.within(stage.a.router.request_pin, THERE, "10.0.0.1", lambda outcome: None)
    stage.run()
    looks = stage.b.looks
    stage.b.pledged = True
    stage.b.within(stage.b.router.claimed, 1)
    assert stage.b.looks == looks + 1
    stage.b.within(stage.b.router.claimed, 1)
    assert stage.b.looks == looks + 1, "it is known"


def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, _ = waits()
    monkeypatch.setattr(stage.b.router.state, "awaiting", stage.b.router.state.awaiting * 10_000)
    (outcome,) = register(stage)
    assert isinstance(outcome, Refused)
