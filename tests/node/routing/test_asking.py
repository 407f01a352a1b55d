"""Registrations and PINs are granted by whoever sees a majority: also when the answer is there. What nobody answers is
put to the next primary."""

from typing import Any

import pytest

from node.accounts.outcomes import LoggedIn, Outcome, PinSent, Refused, Registered
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
