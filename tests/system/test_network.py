"""Clients that vanish without a FIN: the cable is pulled, and the node isn't told."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve
from verdicts import must_hold

from ops.faults.drill import Drill
from ops.faults.plan import Kind, make_plan


def test_clients_that_vanish_get_their_mail_when_they_are_back(make_drill: Callable[..., Drill]) -> None:
    """Once they come back alive, once they died meanwhile; what was written to their sockets was not delivered."""
    drill = make_drill(seed=40, network=True)
    drill.begin(rate=30)
    alive, dead = make_plan(40, {Kind.NETWORK_CUT: 2}, pause=0.8)
    drill.suffer([evolve(alive, victim=0.9, seconds=2.0), evolve(dead, victim=0.1, seconds=1.0)])
    must_hold(drill.conclude(), messages=60)
