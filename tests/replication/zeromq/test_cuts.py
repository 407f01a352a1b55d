"""Links over a network that cuts, one way too, delays, resets and forgets: they end, and heal by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import attrs
import pytest
import trio

from ops.faults.proxy import BACK, FORTH, Proxy
from replication.zeromq.address import Address
from replication.zeromq.members import Member
from tests.replication.zeromq.cluster import GIVE_UP_S, HOST, QUICK, Node, free_port, loopback, until

A_SEEN = loopback(77)
B_SEEN = loopback(78)
"""Where each node is for the other: proxies listen there."""

IMPATIENT = attrs.evolve(
    QUICK,
    heartbeat_ms=100,
    silence_ms_max=1_500,
    greeting_ms_max=1_000,
    handshake_ms_max=1_000,
    retry_ms_min=5,
    retry_ms_max=50,
)


class Wire:
    """Two nodes, and everything between them. `to_b` carries the connections that a makes, `to_a` those of b."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.a, self.b = (
            Node(
                Address(HOST, free_port()),
                attrs.evolve(IMPATIENT, group_ports=(port := free_port(), port)),
            )
            for _ in "ab"
        )
        self.to_a = self._proxies(self.a, A_SEEN)
        self.to_b = self._proxies(self.b, B_SEEN)

    def _proxies(self, node: Node, seen: str) -> list[Proxy]:
        assert node.settings.group_ports is not None
        ports = (node.member.address.port, node.settings.group_ports[0])
        return [Proxy((seen, port), (HOST, port)) for port in ports]

    async def start(self) -> None:
        for proxy in self.to_a + self.to_b:
            await self._nursery.start(proxy.run)
        for node, peer, seen in ((self.a, self.b, B_SEEN), (self.b, self.a, A_SEEN)):
            far = Member(peer.id, peer.keys.public, Address(seen, peer.member.address.port))
            await node.start(self._nursery, [node.member, far])
            node.links.open("mail")
        await self.whole()

    async def whole(self) -> None:
        """Until messages pass on every link, both ways."""
        for node, peer in ((self.a, self.b), (self.b, self.a)):
            for group in (None, "mail"):
                before = len(peer.notes.of(group))
                with trio.fail_after(GIVE_UP_S):
                    while len(peer.notes.of(group)) == before:
                        node.links.send(peer.id, group, [1, before])
                        await trio.sleep(0.01)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with trio.open_nursery() as nursery:
        made = Wire(nursery)
        await made.start()
        yield made
        nursery.cancel_scope.cancel()


def numbered(wire: Wire) -> Callable[[], int]:
    """Sends the next number from a to b, on the group's link, if it can; gives how many were taken."""
    taken = 0

    def send() -> int:
        nonlocal taken
        taken += wire.a.links.send(wire.b.id, "mail", [2, taken])
        return taken

    return send


def in_order(wire: Wire) -> list[int]:
    """The numbers that b has: in order, none twice; some may be missing where a connection ended."""
    numbers = [message[1] for message in wire.b.notes.of("mail") if message[0] == 2]
    assert numbers == sorted(set(numbers))
    return numbers


async def test_a_full_cut_is_noticed_on_both_sides_and_heals(wire: Wire) -> None:
    a, b = wire.a, wire.b
    for _ in range(2):
        for proxy in wire.to_a + wire.to_b:
            proxy.cut()
        for node, peer in ((a, b), (b, a)):
            for group in (None, "mail"):
                await until(lambda n=node, p=peer, g=group: not n.links.is_connected(p.id, g))
                assert not node.links.send(peer.id, group, [1])
        assert a.link(b, None).ended in ("silent", "no welcome")
        for proxy in wire.to_a + wire.to_b:
            proxy.heal()
        await wire.whole()


@pytest.mark.parametrize("direction", [FORTH, BACK])
async def test_a_one_way_cut_ends_the_links_that_it_concerns(wire: Wire, direction: str) -> None:
    """What a sends is lost, or what b answers on a's connections is: a knows it either way; b's own are whole."""
    a, b = wire.a, wire.b
    for proxy in wire.to_b:
        proxy.cut(direction)
    for group in (None, "mail"):
        await until(lambda g=group: not a.links.is_connected(b.id, g))
    assert b.links.send(a.id, None, [7, "b's own"])
    await until(lambda: [7, "b's own"] in a.notes.of(None))
    assert b.links.is_connected(a.id, "mail")
    for proxy in wire.to_b:
        proxy.heal()
    await wire.whole()
    assert b.notes.count("disconnected", a.id, None) == 0


async def test_resets_under_load_keep_the_order_and_what_was_not_under_way(wire: Wire) -> None:
    send = numbered(wire)
    a, b = wire.a, wire.b
    for reset in range(1, 8):
        with trio.fail_after(GIVE_UP_S):
            while a.notes.count("disconnected", b.id, "mail") < reset:
                for _ in range(50):
                    taken = send()
                await trio.sleep(0.001)
                if (
                    taken > 100 * reset
                    and a.links.is_connected(b.id, "mail")
                    and len(in_order(wire)) > 50 * reset
                ):
                    wire.to_b[1].reset()
        await until(lambda: a.links.is_connected(b.id, "mail"))
    last = send()
    await until(lambda: in_order(wire)[-1] == last - 1)
    assert a.link(b, "mail").reconnects >= 7


async def test_half_open_connections_are_given_up(wire: Wire) -> None:
    """The other end is gone, and nobody says so: only the silence tells."""
    a, b = wire.a, wire.b
    for proxy in wire.to_b:
        proxy.forget()
    for group in (None, "mail"):
        await until(lambda g=group: a.notes.count("disconnected", b.id, g) == 1)
        assert a.link(b, group).ended in ("silent", "")
    await wire.whole()


async def test_a_slow_network_delays_and_loses_nothing(wire: Wire) -> None:
    for proxy in wire.to_a + wire.to_b:
        proxy.delay(0.1)
    send = numbered(wire)
    for _ in range(300):
        send()
        await trio.sleep(0.001)
    await until(lambda: in_order(wire) == list(range(300)))
    await until(lambda: wire.a.link(wire.b, "mail").round_trip_ms > 150)
    assert wire.a.notes.count("disconnected", wire.b.id, "mail") == 0


async def test_a_port_that_refuses_is_tried_again(wire: Wire) -> None:
    a, b = wire.a, wire.b
    for proxy in wire.to_b:
        proxy.refuse()
        proxy.reset()
    await until(lambda: a.link(b, None).attempts >= 4)
    assert not a.links.is_connected(b.id, None)
    assert a.link(b, "mail").attempts <= 3, "a group isn't tried while nobody is there"
    for proxy in wire.to_b:
        proxy.accept()
    await wire.whole()


async def test_one_cut_group_disturbs_no_other_link(wire: Wire) -> None:
    a, b = wire.a, wire.b
    wire.to_b[1].cut()
    for number in range(100):
        assert a.links.send(b.id, None, [3, number])
        await until(lambda n=number: [3, n] in b.notes.of(None))
    await until(lambda: not a.links.is_connected(b.id, "mail"))
    assert a.notes.count("disconnected", b.id, None) == 0
    wire.to_b[1].heal()
    await wire.whole()
