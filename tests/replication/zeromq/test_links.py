"""Nodes in one loop, over real sockets: who finds whom, what arrives in which order, and what is bounded."""

from __future__ import annotations

import os
import secrets
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from replication.zeromq.address import Address
from replication.zeromq.errors import (
    AddressInUse,
    AddressUnusable,
    GroupOpen,
    GroupUnknown,
    LinksClosed,
    MessageNotSendable,
    MessageTooLarge,
)
from replication.zeromq.links import Links
from tests.replication.zeromq.cluster import (
    GIVE_UP_S,
    HOST,
    QUICK,
    Cluster,
    Node,
    Notebook,
    cluster_of,
    free_port,
    node_on,
    until,
)

MIB = 1_048_576


async def together(cluster: Cluster, *groups: str) -> None:
    """All nodes started, with these groups, everybody connected to everybody."""
    await cluster.start()
    for group in groups:
        for node in cluster.nodes:
            node.links.open(group)
    for name in (None, *groups):
        await cluster.connected(name)


# ---- messages ---------------------------------------------------------------------------------------


def addresses(kind: str, folder: Path) -> list[Address]:
    if kind == "ipc":
        return [Address(path=str(folder / name)) for name in "ab"]
    host = "::1" if kind == "ipv6" else HOST
    return [Address(host=host, port=free_port(host)) for _ in "ab"]


@pytest.mark.parametrize("kind", ["ipv4", "ipv6", "ipc"])
async def test_messages_arrive_in_order_on_their_links(kind: str, tmp_path: Path) -> None:
    a, b = (Node(address, QUICK) for address in addresses(kind, tmp_path))
    async with cluster_of(a, b) as cluster:
        await together(cluster, "mail", "accounts")
        for number in range(3_000):
            for group in (None, "mail", "accounts"):
                assert a.links.send(b.id, group, [1, number, group])
                assert b.links.send(a.id, group, (2, number, bytes(number % 50)))
        for group in (None, "mail", "accounts"):
            await until(lambda group=group: len(b.notes.of(group)) == len(a.notes.of(group)) == 3_000)
            assert b.notes.of(group, a.id) == [[1, n, group] for n in range(3_000)]
            assert a.notes.of(group, b.id) == [[2, n, bytes(n % 50)] for n in range(3_000)]
        assert b.notes.passes < 3_000, "they came in batches"
    assert not os.listdir(tmp_path), "no socket is left behind"


async def test_a_node_alone_starts_and_sends_nothing() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await cluster.start(a)
        a.links.open("mail")
        assert not a.links.send(b.id, None, [1])
        assert not a.links.send(b.id, "mail", [1])
        assert not a.links.send(b.id, "unknown", [1])
        assert not a.links.send(b"stranger", None, [1])
        assert not a.links.send(a.id, None, [1]), "nor to itself"
        assert a.link(b, "mail").dropped == 1
        assert a.notes.events == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
async def test_nodes_find_each_other_in_any_order(order: tuple[int, ...]) -> None:
    nodes = [node_on() for _ in range(3)]
    async with cluster_of(*nodes) as cluster:
        for place in order:
            await cluster.start(nodes[place])
            nodes[place].links.open("mail")
            await trio.sleep(0.05)  # some attempts fail meanwhile
        await cluster.connected()
        await cluster.connected("mail")
        for a in nodes:
            for b in nodes:
                if a is not b:
                    assert a.notes.count("connected", b.id, "mail") == 1
                    assert a.links.send(b.id, "mail", [7])
        await until(lambda: all(len(node.notes.of("mail")) == 2 for node in nodes))


async def test_groups_come_and_go(nursery: trio.Nursery) -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await together(cluster)
        a.links.open("mail")
        await until(lambda: "mail" in b.links._offers[a.id])
        assert not a.links.is_connected(b.id, "mail"), "the other one hasn't opened it"
        b.links.open("mail")
        await cluster.connected("mail")
        for number in range(5):
            b.links.close("mail")
            assert not b.links.send(a.id, "mail", [1])
            await until(lambda: not a.links.is_connected(b.id, "mail"))
            assert not a.links.send(b.id, "mail", [1])
            b.links.open("mail")
            await cluster.connected("mail")
            assert a.links.send(b.id, "mail", [1, number])
            await until(lambda number=number: b.notes.of("mail") == [[1, n] for n in range(number + 1)])
        assert a.notes.count("disconnected", b.id, "mail") == 5
        assert a.notes.count("disconnected", b.id, None) == 0
        assert b.notes.count("disconnected", a.id, "mail") == 0, "who closes it isn't told"
        assert a.link(b, "mail").reconnects == 5


async def test_a_node_that_restarts_is_found_at_its_new_ports() -> None:
    a, b, c = node_on(), node_on(), node_on()
    async with cluster_of(a, b, c) as cluster:
        await together(cluster, "mail", "accounts")
        for number in range(3):
            await b.stop()
            await until(lambda: not any(a.links.is_connected(b.id, g) for g in (None, "mail", "accounts")))
            assert a.links.send(c.id, "mail", [2, number]), "the others go on"
            await cluster.start(b)
            for group in ("accounts", "mail") if number % 2 else ("mail", "accounts"):
                b.links.open(group)
            await cluster.connected("mail")
            await cluster.connected("accounts")
            assert a.links.send(b.id, "mail", [1, "mail", number])
            assert a.links.send(b.id, "accounts", [1, "accounts", number])
            await until(lambda: b.notes.of("mail") and b.notes.of("accounts"))
            assert b.notes.of("mail") == [[1, "mail", number]]
            assert b.notes.of("accounts") == [[1, "accounts", number]]
        await until(lambda: len(c.notes.of("mail")) == 3)
        assert c.notes.count("disconnected", a.id, None) == 0


async def test_what_is_sent_while_receiving_goes_out_with_the_pass() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await together(cluster, "mail")
        b.notes.react = lambda peer, group, message: b.links.send(peer, group, [2, message[1]])
        for number in range(500):
            assert a.links.send(b.id, "mail", [1, number])
        await until(lambda: len(a.notes.of("mail")) == 500)
        assert a.notes.of("mail") == [[2, n] for n in range(500)]
        assert b.link(a, "mail").sent_batches < 100


async def test_a_message_packed_once_goes_to_many() -> None:
    nodes = [node_on() for _ in range(3)]
    async with cluster_of(*nodes) as cluster:
        await together(cluster)
        packed = nodes[0].links.pack([5, b"x" * 1_000])
        for peer in nodes[1:]:
            assert nodes[0].links.send(peer.id, None, packed)
            await until(lambda peer=peer: peer.notes.of(None) == [[5, b"x" * 1_000]])


# ---- limits -----------------------------------------------------------------------------------------


async def test_large_messages_arrive_up_to_the_limit_and_not_beyond() -> None:
    limited = attrs.evolve(QUICK, message_bytes_max=2 * MIB)
    a, b = node_on(settings=limited), node_on(settings=limited)
    async with cluster_of(a, b) as cluster:
        await together(cluster)
        for size in (1, 65_536, 262_144, MIB, 2 * MIB - 100):
            body = secrets.token_bytes(size)
            assert a.links.send(b.id, None, [1, body])
            await until(lambda: b.notes.messages)
            assert b.notes.messages.pop() == (a.id, None, [1, body])
        with pytest.raises(MessageTooLarge, match="in parts"):
            a.links.send(b.id, None, [1, bytes(2 * MIB)])
        with pytest.raises(MessageNotSendable):
            a.links.send(b.id, None, ["no code"])
        assert a.links.send(b.id, None, [2])
        await until(lambda: b.notes.messages)
        assert a.notes.count("disconnected", b.id, None) == 0


async def test_nodes_that_disagree_about_the_limit_are_told() -> None:
    a, b = node_on(settings=attrs.evolve(QUICK, message_bytes_max=2 * MIB)), node_on()
    async with cluster_of(a, b) as cluster:
        await cluster.start()
        await until(lambda: b.link(a, None).ended == "refused")
        await until(lambda: a.links.is_connected(b.id, None))
        assert not b.links.is_connected(a.id, None), "what it may send is more than the other takes"


@pytest.mark.parametrize("limit", ["messages", "bytes"])
async def test_a_full_queue_says_no_and_recovers(limit: str) -> None:
    settings = attrs.evolve(QUICK, heartbeat_ms=60_000, silence_ms_max=600_000)
    settings = attrs.evolve(
        settings, **{"queue_messages_max": 50} if limit == "messages" else {"queue_bytes_max": 4 * MIB}
    )
    a, b = node_on(settings=settings), node_on(settings=settings)
    async with cluster_of(a, b) as cluster:
        await together(cluster, "mail")
        b.links.hold("mail")
        sent = refused = 0
        body = bytes(500_000)
        with trio.fail_after(GIVE_UP_S):
            while refused < 100:  # the kernel's buffers take their share as well
                if a.links.send(b.id, "mail", [1, sent, body]):
                    sent += 1
                    refused = 0
                else:
                    refused += 1
                await trio.sleep(0.002)
        told = a.link(b, "mail")
        assert told.up
        assert told.dropped >= 100
        assert 0 < told.queue_messages <= 50
        assert told.queue_bytes <= (50 * 500_100 if limit == "messages" else 4 * MIB)
        b.links.release("mail")
        await until(lambda: len(b.notes.of("mail")) == sent)
        assert a.links.send(b.id, "mail", [2, sent, b""])
        await until(lambda: len(b.notes.of("mail")) == sent + 1)
        assert [message[1] for message in b.notes.of("mail")] == list(range(sent + 1))
        assert a.link(b, "mail").queue_messages == 0
        assert a.notes.count("disconnected", b.id, "mail") == 0


async def test_a_stuck_group_delays_no_other() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await together(cluster, "stuck", "mail")
        b.links.hold("stuck")
        body = bytes(400_000)
        refused = 0
        with trio.fail_after(GIVE_UP_S):
            while refused < 20:
                refused = 0 if a.links.send(b.id, "stuck", [1, body]) else refused + 1
                await trio.sleep(0.001)
        for number in range(50):
            for group in ("mail", None):
                assert a.links.send(b.id, group, [1, number])
                await until(lambda group=group, number=number: len(b.notes.of(group)) == number + 1)
        read_before = len(b.notes.of("stuck"))
        await until(lambda: a.link(b, "stuck").ended == "silent")
        assert a.notes.count("disconnected", b.id, "mail") == a.notes.count("disconnected", b.id, None) == 0
        assert len(b.notes.of("stuck")) == read_before, "it is held"
        b.links.release("stuck")
        await cluster.connected("stuck")
        assert a.links.send(b.id, "stuck", [2])
        await until(lambda: b.notes.of("stuck")[-1:] == [[2]])


async def test_a_ping_is_answered_and_an_idle_link_stays_up() -> None:
    settings = attrs.evolve(QUICK, heartbeat_ms=100, silence_ms_max=1_000)
    a, b = node_on(settings=settings), node_on(settings=settings)
    async with cluster_of(a, b) as cluster:
        await together(cluster, "mail")
        before = a.link(b, "mail")
        heard = [before.round_trip_ms]

        def new_answers() -> int:
            now = a.link(b, "mail").round_trip_ms
            if now != heard[-1]:
                heard.append(now)
            return len(heard)

        await until(lambda: new_answers() > 12)  # longer than the silence that would end it
        after = a.link(b, "mail")
        assert after.up
        assert after.connections == 1
        assert after.heard_s_ago is not None
        assert after.sent_messages == 0


# ---- what is wrong here -----------------------------------------------------------------------------


async def test_groups_are_named_right_or_refused() -> None:
    a, b = node_on(), node_on()
    links = Links(a.id, a.keys, [a.member, b.member], Notebook(), QUICK)
    with pytest.raises(LinksClosed):
        links.open("mail")
    async with cluster_of(a, b) as cluster:
        await cluster.start(a)
        a.links.open("mail")
        with pytest.raises(GroupOpen):
            a.links.open("mail")
        with pytest.raises(GroupUnknown):
            a.links.open("")
        for operation in (a.links.close, a.links.hold, a.links.release):
            with pytest.raises(GroupUnknown):
                operation("unknown")
        with pytest.raises(GroupUnknown):
            a.links.reset(b.id, "unknown")
        with pytest.raises(LinksClosed):
            await a.links.run()
    with pytest.raises(LinksClosed):
        a.links.open("late")


async def test_an_address_that_cannot_be_listened_on_is_told() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await cluster.start(a)
        taken = Links(
            b.id, b.keys, [a.member, b.member], Notebook(), attrs.evolve(QUICK, listen=a.member.address)
        )
        with trio.fail_after(GIVE_UP_S), pytest.RaisesGroup(AddressInUse):
            await taken.run()
        foreign = Address.parse("203.0.113.1:7710")  # TEST-NET-3 of RFC 5737: nobody's
        elsewhere = Links(b.id, b.keys, [a.member, b.member], Notebook(), attrs.evolve(QUICK, listen=foreign))
        with trio.fail_after(GIVE_UP_S), pytest.RaisesGroup(AddressUnusable):
            await elsewhere.run()


async def test_groups_stay_in_their_range_of_ports() -> None:
    first, last = free_port(), free_port()  # those between them, if there are any, are taken
    ranged = attrs.evolve(QUICK, group_ports=(first, last))
    a, b = node_on(settings=ranged), node_on()
    async with cluster_of(a, b) as cluster:
        await together(cluster)
        a.links.open("mail")
        a.links.open("accounts")
        b.links.open("mail")
        await cluster.connected("mail")
        with pytest.raises(AddressInUse, match=str(first)):
            a.links.open("one too many")
        assert b.links.send(a.id, "mail", [1])
        await until(lambda: a.notes.of("mail"))


async def test_a_wildcard_is_listened_on_and_peers_use_what_they_know() -> None:
    port = free_port("0.0.0.0")
    a = Node(Address(HOST, port), attrs.evolve(QUICK, listen=Address("0.0.0.0", port)))
    b = node_on()
    async with cluster_of(a, b) as cluster:
        await together(cluster, "mail")
        assert b.links.send(a.id, "mail", [1])
        await until(lambda: a.notes.of("mail"))


async def test_a_defect_of_the_receiver_ends_the_links() -> None:
    a, b = node_on(), node_on()

    class Defect(Exception):
        pass

    def react(*_: Any) -> None:
        raise Defect

    with pytest.RaisesGroup(Defect, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            cluster = Cluster(nursery, [a, b])
            await together(cluster)
            b.notes.react = react
            a.links.send(b.id, None, [1])
            await trio.sleep(GIVE_UP_S)


# ---- the middle of things ---------------------------------------------------------------------------


async def test_closing_a_group_in_the_middle_of_its_messages() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await together(cluster, "mail")

        def react(peer: bytes, group: str | None, message: list[Any]) -> None:
            if message == [1, 100]:
                b.links.close("mail")

        b.notes.react = react
        for number in range(1_000):
            assert a.links.send(b.id, "mail", [1, number])
        await until(lambda: not a.links.is_connected(b.id, "mail"))
        assert b.notes.of("mail") == [[1, n] for n in range(101)], "nothing after the close"
        assert a.links.send(b.id, None, [2])
        await until(lambda: b.notes.of(None))


async def test_a_receiver_that_makes_no_sense_of_a_message_resets_the_link() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await together(cluster, "mail", "accounts")

        def react(peer: bytes, group: str | None, message: list[Any]) -> None:
            if message == [1, 10]:
                b.links.reset(peer, group)

        b.notes.react = react
        for number in range(20):
            assert a.links.send(b.id, "mail", [1, number])
        await until(lambda: a.notes.count("disconnected", b.id, "mail") == 1)
        await cluster.connected("mail")
        assert b.notes.of("mail") == [[1, n] for n in range(11)], "what followed isn't handed over"
        assert b.link(a, "mail").malformed == 1
        assert a.links.send(b.id, "mail", [3])
        await until(lambda: b.notes.of("mail")[-1] == [3])
        assert (
            a.notes.count("disconnected", b.id, "accounts") == a.notes.count("disconnected", b.id, None) == 0
        )


async def test_messages_of_an_older_connection_never_come_between_newer_ones() -> None:
    """Two processes with the same key, as of a cloned directory: only the one that greeted last is listened to."""
    a, b = node_on(), node_on()
    clone = Node(a.member.address, attrs.evolve(QUICK, listen=Address(HOST, free_port())), a.keys)
    clone.id, clone.member = a.id, a.member
    async with cluster_of(a, b) as cluster:
        await together(cluster)
        await cluster.start(clone)
        numbers = {1: 0, 2: 0}
        lives: list[int] = []  # who is listened to, in turn
        with trio.fail_after(GIVE_UP_S):
            while len(lives) < 6:
                for code, node in ((1, a), (2, clone)):
                    if node.links.send(b.id, None, [code, numbers[code]]):
                        numbers[code] += 1
                await trio.sleep(0.001)
                lives = [m[0] for m, n in pairwise([[0], *b.notes.of(None)]) if m[0] != n[0]]
        assert b.link(a, None).ungreeted > 0
        for code in (1, 2):
            mine = [message[1] for message in b.notes.of(None) if message[0] == code]
            assert mine == sorted(set(mine)), "in order, none twice"
