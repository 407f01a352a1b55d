"""After many reconnects, and after the end, nothing is left: no descriptor, no task, no thread."""

from __future__ import annotations

import gc
import os
import threading

import trio
import trio.testing

from replication.zeromq.address import Address
from replication.zeromq.members import Member
from tests.replication.zeromq.cluster import cluster_of, node_on, until
from tests.replication.zeromq.raw import RawPeer
from tests.replication.zeromq.test_cuts import Wire

RECONNECTS = 100


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def tasks() -> int:
    root = trio.lowlevel.current_root_task()
    assert root is not None
    count, todo = 0, [root]
    while todo:
        task = todo.pop()
        count += 1
        todo += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return count


async def test_a_hundred_reconnects_leave_nothing() -> None:
    async with trio.open_nursery() as nursery:
        wire = Wire(nursery)
        await wire.start()
        a, b = wire.a, wire.b
        before = None
        for number in range(RECONNECTS):
            connected = a.link(b, "mail").connections
            for proxy in wire.to_b:
                proxy.reset()
            await until(
                lambda n=connected: a.link(b, "mail").connections > n and a.links.is_connected(b.id, None)
            )
            if number == 4:  # what is needed once has been made
                gc.collect()
                before = descriptors(), tasks(), threading.active_count()
        assert before is not None
        gc.collect()
        await until(lambda: (descriptors(), tasks(), threading.active_count()) <= before)
        assert tasks() <= before[1]
        assert threading.active_count() <= before[2]
        assert len(b.links._entrances["mail"].greeted) == 1
        nursery.cancel_scope.cancel()


async def test_nothing_is_left_of_closed_groups() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await cluster.start()
        await cluster.connected()
        counts = []
        for number in range(20):
            a.links.open("a alone")
            for node in cluster.nodes:
                node.links.open("both")
            if number % 2:  # else in the middle of it
                await cluster.connected("both")
            a.links.close("a alone")
            for node in cluster.nodes:
                node.links.close("both")
            await trio.testing.wait_all_tasks_blocked()
            counts.append((descriptors(), tasks()))
        await until(lambda: descriptors() <= counts[3][0] and tasks() <= counts[3][1])


async def test_nothing_is_left_of_a_peer_that_connects_and_goes() -> None:
    a, c = node_on(), node_on()
    async with cluster_of(a, c) as cluster:
        await cluster.start(a)
        counts = []
        for number in range(30):
            with RawPeer(a, c.keys) as peer:
                await peer.welcome(number)
            counts.append(descriptors())
        await until(lambda: descriptors() <= counts[3])


async def test_nothing_is_left_of_links_that_end() -> None:
    gc.collect()
    before = descriptors(), tasks()
    for _ in range(5):
        a, b = node_on(), node_on()
        async with cluster_of(a, b) as cluster:
            await cluster.start()
            for node in cluster.nodes:
                node.links.open("mail")
            await cluster.connected("mail")
        await until(lambda: (descriptors(), tasks()) <= (before[0] + 4, before[1]))  # pyzmq's collector stays


async def test_nothing_is_left_of_failed_attempts() -> None:
    a, b = node_on(), node_on()
    unknown = Member(b.id, b.keys.public, Address("nowhere.invalid", 1))
    for peer in (b.member, unknown):
        async with trio.open_nursery() as nursery:
            await a.start(nursery, [a.member, peer])
            await until(lambda: a.link(b, None).attempts >= 5)
            before = descriptors(), tasks()
            await until(lambda: a.link(b, None).attempts >= 15)
            await until(
                lambda n=before: descriptors() <= n[0] + 4 and tasks() <= n[1] + 3
            )  # one attempt is going on
            nursery.cancel_scope.cancel()
