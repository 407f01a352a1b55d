"""Registrations and PINs are granted by whoever sees a majority: also when the answer is there."""

from typing import Any

import pytest

from node.accounts.outcomes import Outcome, PinSent, Refused, Registered
from node.wire import errors
from tests.node.routing.stage import Stage

THERE = 5
"""A user whose primary is node b."""
REGISTER: tuple[str, tuple[Any, ...]] = ("register", (THERE, "123456", bytes(32), b"streams!", "10.0.0.1"))
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
