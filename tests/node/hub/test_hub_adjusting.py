"""Limits of a hub that serves are changed between two passes, and hold for those who come next."""

from __future__ import annotations

import attrs
import pytest

from node.hub.adjusting import FIXED, adjust
from node.hub.settings import HubSettings


def test_other_limits_hold_from_then_on_and_who_is_in_stays(make_rig):
    rig = make_rig(settings=HubSettings(accepts_per_s_max=10))
    peers = [rig.peer() for _ in range(8)]
    rig.pump(lambda: len(rig.handler.open) == 8)
    adjust(rig.hub, attrs.evolve(rig.hub.settings, connections_max=4))
    refused = rig.peer()
    rig.pump(lambda: sum(rig.hub.statistics().refused.values()) == 1)
    assert len(rig.handler.open) == 8
    adjust(rig.hub, attrs.evolve(rig.hub.settings, connections_max=100))
    more = rig.peer()
    rig.pump(lambda: len(rig.handler.open) == 9)
    assert all((peers, refused, more))


def test_a_rate_that_is_raised_lets_those_in_who_wait(make_rig):
    rig = make_rig(settings=HubSettings(accepts_per_s_max=1))
    peers = [rig.peer() for _ in range(20)]
    rig.pump(lambda: len(rig.handler.open) == 1)
    adjust(rig.hub, attrs.evolve(rig.hub.settings, accepts_per_s_max=1_000))
    rig.clock.now += 1.0
    rig.pump(lambda: len(rig.handler.open) == 20)
    assert len(peers) == 20


def test_every_part_looks_at_the_new_settings(make_rig):
    rig = make_rig()
    settings = attrs.evolve(rig.hub.settings, handshakes_per_s_max=7, linger_s_max=9)
    adjust(rig.hub, settings)
    hub = rig.hub
    parts = (hub.closer, hub._admission, hub._acceptor, hub._handshakes, hub._reader, hub._writer)
    assert all(part._settings is settings for part in parts)
    holders = [name for name in dir(hub) if hasattr(getattr(hub, name), "_settings")]
    assert len(holders) == len(parts), f"a part has settings of its own that are not adjusted: {holders}"


@pytest.mark.parametrize("name", sorted(FIXED))
def test_what_was_built_in_cannot_be_changed(make_rig, name):
    rig = make_rig()
    value = getattr(rig.hub.settings, name) + 16_384
    with pytest.raises(AssertionError, match=name):
        adjust(rig.hub, attrs.evolve(rig.hub.settings, **{name: value}))
