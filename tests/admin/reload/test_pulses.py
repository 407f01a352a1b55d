"""What a picture shows of a node with phones: each thing that a verdict looks at."""

from pathlib import Path

import pytest

from admin.reload.pulses import WAITING, take_pulse
from admin.statistics.routing import FIGURES
from node.wire.verbs import ACCEPTED, GAP
from tests.node.live import Device, live_node

ALICE, BOB, NOBODY = Device.of(1), Device.of(2), Device.of(3)


async def test_a_conversation_and_what_is_refused(tmp_path: Path) -> None:
    async with live_node(tmp_path, devices=(ALICE, BOB)) as node:
        alice, bob = await node.login(ALICE), await node.login(BOB)
        start = take_pulse(node.running, 0)
        assert (start.refused, start.ended, start.logins_failed, start.accepted) == (0, 0, 0, 0)
        assert start.logins == 2
        await alice.send(ALICE.send(BOB, 1, b"hello"))
        await bob.next()
        await bob.send(BOB.ack(ALICE, 1))
        assert (await alice.next())[0] == ACCEPTED
        talked = take_pulse(node.running, 1)
        assert (talked.sends, talked.accepted, talked.delivered, talked.refused) == (1, 1, 1, 0)
        await alice.send(ALICE.send(BOB, 7, b"where are 2 to 6?", base=2))
        assert (await alice.next())[0] == GAP
        assert take_pulse(node.running, 2).refused == 1
        await bob.send_bytes(b"\x00\x00\x00\x03abc")
        await bob.end()
        assert take_pulse(node.running, 3).ended == 1
        stranger = await node.greeted()
        with pytest.raises(AssertionError):
            await stranger.login(NOBODY)
        failed = take_pulse(node.running, 4, faults=3)
        assert (failed.logins_failed, failed.logins, failed.faults) == (1, 3, 3)


async def test_every_queue_that_is_looked_at_is_there(tmp_path: Path) -> None:
    """A name that is nowhere would count as empty for ever."""
    async with live_node(tmp_path, devices=(ALICE,)) as node:
        service = node.running.service
        there = {"mail": service.statistics()["mail"], **service.accounts.statistics()}
        assert [name for part, name in WAITING if part != "routing" and name not in there[part]] == []
        assert take_pulse(node.running, 0).backlog == 0


def test_what_is_looked_at_of_routing_is_a_figure() -> None:
    names = {".".join(one.path) for one in FIGURES}
    looked_at = [*(name for part, name in WAITING if part == "routing"), "kept", "busy", "asks_failed"]
    assert [name for name in looked_at if f"routing.{name}" not in names] == []
