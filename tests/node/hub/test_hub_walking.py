"""A walk through all connections, a slice at a time, while they come and go."""

from __future__ import annotations

from node.hub import walking
from node.hub.adjusting import is_draining, set_draining
from node.hub.walking import connections_from


def walk(hub):
    found, place = [], 0
    while place is not None:
        some, place = connections_from(hub, place)
        found += some
    return found


def test_every_connection_is_met_once_in_slices(make_rig, monkeypatch):
    monkeypatch.setattr(walking, "SLICE", 3)
    rig = make_rig()
    peers = [rig.peer() for _ in range(10)]
    rig.pump(lambda: len(rig.handler.open) == 10)
    found = walk(rig.hub)
    assert len(found) == 10
    assert {one.fd for one in found} == {one.fd for one in rig.hub.connections()}
    found[0].close("test", linger=False)
    assert len(walk(rig.hub)) == 9, "who is closing is not met"
    assert len(peers) == 10


def test_beyond_the_last_descriptor_is_nothing(make_rig):
    assert connections_from(make_rig().hub, 1_000_000) == ([], None)


def test_a_hub_that_drains_takes_nobody_and_keeps_who_is_there(make_rig):
    rig = make_rig()
    peers = [rig.peer()]
    rig.pump(lambda: len(rig.handler.open) == 1)
    set_draining(rig.hub, True)
    assert is_draining(rig.hub)
    peers.append(rig.peer())
    rig.pump(lambda: rig.hub.statistics().refused == {"draining": 1})
    assert len(rig.handler.open) == 1
    set_draining(rig.hub, False)
    peers.append(rig.peer())
    rig.pump(lambda: len(rig.handler.open) == 2)
