"""Nodes in processes of their own: killed, stopped, and our own process held up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel

from replication.zeromq.knocking import knock
from replication.zeromq.members import Member
from tests.replication.zeromq.cluster import GIVE_UP_S, QUICK, Cluster, Node, cluster_of, node_on, until

QUICK_TO_MISS = {"heartbeat_ms": 100, "silence_ms_max": 1_000}
SETTINGS = attrs.evolve(QUICK, **QUICK_TO_MISS)


class Child:
    """The process of a node."""

    def __init__(self, node: Node, members: list[Member]) -> None:
        self._told = {
            "node": node.id.hex(),
            "public": node.keys.public,
            "secret": node.keys.secret,
            "members": [[member.node.hex(), member.key, str(member.address)] for member in members],
            "settings": QUICK_TO_MISS,
        }
        self.process: subprocess.Popen[bytes]

    async def start(self) -> None:
        await trio.to_thread.run_sync(self._start)

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.replication.zeromq.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(self._told).encode() + b"\n")
        self.process.stdin.flush()
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line == b"ready\n":
                return
        raise AssertionError("the process ended")

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class World:
    """Two nodes here, a and c; b is a process."""

    def __init__(self, cluster: Cluster, child: Child) -> None:
        self.a, self.b, self.c = cluster.nodes
        self.cluster = cluster
        self.child = child
        self.sent = 0

    async def echoed(self) -> None:
        """Until something sent to b from now on has come back, on both links."""
        for group in (None, "mail"):
            self.sent += 1
            with trio.fail_after(GIVE_UP_S):
                while [2, self.sent] not in self.a.notes.of(group, self.b.id):
                    self.a.links.send(self.b.id, group, [1, self.sent])
                    await trio.sleep(0.01)

    async def others_undisturbed(self) -> None:
        for group in (None, "mail"):
            self.sent += 1
            assert self.a.links.send(self.c.id, group, [1, self.sent])
            await until(lambda g=group: [1, self.sent] in self.c.notes.of(g))
            assert self.a.notes.count("disconnected", self.c.id, group) == 0


@pytest.fixture
async def world() -> AsyncIterator[World]:
    a, b, c = (node_on(settings=SETTINGS) for _ in "abc")
    async with cluster_of(a, b, c) as cluster:
        await cluster.start(a, c)
        for node in (a, c):
            node.links.open("mail")
        child = Child(b, cluster.members)
        try:
            await child.start()
            made = World(cluster, child)
            await made.echoed()
            await cluster.connected("mail", [a, c])
            yield made
        finally:
            child.end()


async def test_a_killed_process_is_noticed_and_its_successor_found(world: World) -> None:
    a, b = world.a, world.b
    for life in range(1, 4):
        for number in range(500):  # in the middle of traffic
            a.links.send(b.id, "mail", [1, "traffic", life, number])
        world.child.signal(signal.SIGKILL)
        for group in (None, "mail"):
            await until(lambda g=group, n=life: a.notes.count("disconnected", b.id, g) == n)
        assert not a.links.send(b.id, "mail", [1])
        await world.others_undisturbed()
        await until(lambda: b.id in a.refused)
        world.child.end()
        await world.child.start()
        await world.echoed()
        a.refused.clear()
        mine = [m[3] for m in a.notes.of("mail", b.id) if m[1] == "traffic" and m[2] == life]
        assert mine == list(range(len(mine))), "echoes in order, without a gap, up to the kill"


async def test_a_stopped_process_is_noticed_and_comes_back(world: World) -> None:
    a, b = world.a, world.b
    for stop in range(1, 3):
        world.child.signal(signal.SIGSTOP)
        try:
            for group in (None, "mail"):
                await until(lambda g=group, n=stop: a.notes.count("disconnected", b.id, g) == n)
                assert a.link(b, group).ended in ("silent", "no welcome", "handshake failed", "unreachable")
            await world.others_undisturbed()
            assert await knock(b.member.address) is False, "its kernel answers for it"
        finally:
            world.child.signal(signal.SIGCONT)
        await world.echoed()
    assert not a.refused


async def test_a_stopped_process_takes_no_more_than_its_queue(world: World) -> None:
    a, b = world.a, world.b
    world.child.signal(signal.SIGSTOP)
    try:
        taken = 0
        body = bytes(1_000_000)
        while a.links.send(b.id, "mail", [3, body]) and taken < 10_000:
            taken += 1
            await trio.lowlevel.checkpoint()
        assert taken * len(body) <= 2 * a.settings.queue_bytes_max
        await until(lambda: not a.links.is_connected(b.id, "mail"))
        told = a.link(b, "mail")
        assert told.queue_bytes == told.queue_messages == 0
        assert told.lost > 0
    finally:
        world.child.signal(signal.SIGCONT)
    await world.echoed()


async def test_who_was_held_up_himself_blames_nobody(world: World) -> None:
    a, b, c = world.a, world.b, world.c
    before: list[Any] = [a.link(peer, group).connections for peer in (b, c) for group in (None, "mail")]
    time.sleep(3 * SETTINGS.silence_ms_max / 1000)  # noqa: ASYNC251 - the loop of a and c stands still
    for _ in range(3):
        await world.others_undisturbed()
        await trio.sleep(SETTINGS.heartbeat_ms / 1000)
    links = [a.link(c, group) for group in (None, "mail")]
    assert [link.connections for link in links] == before[2:]
    await world.echoed()
