"""Peers that come and go, and change their keys, while links run."""

from __future__ import annotations

import attrs
import trio

from replication.zeromq.keys import make_keys
from replication.zeromq.members import Member
from tests.replication.zeromq.cluster import Cluster, Node, cluster_of, node_on, until


async def lone(cluster: Cluster, *nodes: Node) -> None:
    """Each knows only itself, and has the group open."""
    for node in nodes:
        await node.start(cluster.nursery, [node.member])
        node.links.open("g")


def introduce(a: Node, b: Node) -> None:
    a.links.admit(b.member)
    b.links.admit(a.member)


async def test_who_is_admitted_is_connected_in_every_group_and_who_is_dismissed_is_heard_no_more() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await lone(cluster, a, b)
        assert not a.links.send(b.id, "g", [1])
        introduce(a, b)
        await cluster.connected("g")
        assert a.links.send(b.id, "g", [1, "hello"])
        await until(lambda: b.notes.of("g") == [[1, "hello"]])
        b.links.dismiss(a.id)
        assert not b.links.is_connected(a.id, "g")
        assert b.links.statistics().links == ()
        await until(lambda: not a.links.is_connected(b.id, "g"))  # it isn't answered any more
        before = b.links.statistics().refused + b.links.statistics().strangers
        await until(lambda: b.links.statistics().refused + b.links.statistics().strangers > before)
        assert b.notes.of("g") == [[1, "hello"]]
        b.links.admit(a.member)
        await cluster.connected("g")


async def test_a_peer_whose_address_is_not_known_is_waited_for() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await lone(cluster, a, b)
        a.links.admit(attrs.evolve(b.member, address=None))
        b.links.admit(a.member)
        await until(lambda: b.links.is_connected(a.id, None))
        assert not a.links.is_connected(b.id, None)
        a.links.admit(b.member)
        await cluster.connected("g")


async def test_a_key_is_changed_while_everybody_runs_and_the_old_one_opens_nothing() -> None:
    a, b, old = node_on(), node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await lone(cluster, a, b)
        introduce(a, b)
        await cluster.connected("g")
        keys = make_keys()
        b.links.admit(attrs.evolve(a.member, next_key=keys.public))
        await a.links.rekey(keys)
        await cluster.connected("g")
        b.links.admit(Member(a.id, keys.public, a.member.address))
        await cluster.connected("g")
        assert a.links.send(b.id, "g", [2])
        await until(lambda: [2] in b.notes.of("g"))
        # Somebody who has the former key, and says that he is the same node.
        old.id, old.keys = a.id, a.keys
        old.member = Member(a.id, a.keys.public, old.member.address)
        await old.start(cluster.nursery, [old.member, b.member])
        before = b.links.statistics().refused
        await until(lambda: b.links.statistics().refused > before)
        assert not old.links.is_connected(b.id, None)
        await trio.lowlevel.checkpoint()
