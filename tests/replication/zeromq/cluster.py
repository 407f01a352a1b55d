"""Nodes with links in one Trio loop, each with a receiver that writes down what it is told."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import trio

from replication.zeromq.address import Address
from replication.zeromq.keys import Keys, make_keys
from replication.zeromq.links import Links
from replication.zeromq.members import Member
from replication.zeromq.settings import LinkSettings

GIVE_UP_S = 60.0


def loopback(last: int) -> str:
    """An address of this machine (RFC 1122: all of 127/8 is) that other test processes don't use: no port is taken."""
    return f"127.{64 + (os.getpid() >> 8) % 64}.{os.getpid() % 256}.{last}"


HOST = loopback(1)
PORTS = itertools.count(10_000 + os.getpid() * 7 % 10_000)
"""Below /proc/sys/net/ipv4/ip_local_port_range. Each process has its own, for addresses that all of them use."""
QUICK = LinkSettings(heartbeat_ms=200, silence_ms_max=4_000, retry_ms_min=20, retry_ms_max=200)
"""Links that notice and mend faster than they would need to."""


async def until(holds: Callable[[], Any]) -> None:
    """Wait for what must come about. Nobody is told of it, so it is looked at again and again."""
    with trio.fail_after(GIVE_UP_S):
        while not holds():  # noqa: ASYNC110
            await trio.sleep(0.005)


def free_port(host: str = HOST) -> int:
    """Never the same twice, and none of those that the kernel gives to whoever wants any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in PORTS:
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise AssertionError("there is no end to the ports")


class Notebook:
    """A receiver that writes everything down, and may do something besides."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, str | None, list[Any]]] = []
        self.events: list[tuple[str, bytes, str | None]] = []
        self.passes = 0
        self.react: Callable[[bytes, str | None, list[Any]], object] = lambda *_: None

    def received(self, peer: bytes, group: str | None, message: list[Any]) -> None:
        self.messages.append((peer, group, message))
        self.react(peer, group, message)

    def passed(self) -> None:
        self.passes += 1

    def connected(self, peer: bytes, group: str | None) -> None:
        self.events.append(("connected", peer, group))

    def disconnected(self, peer: bytes, group: str | None) -> None:
        self.events.append(("disconnected", peer, group))

    def of(self, group: str | None, peer: bytes | None = None) -> list[list[Any]]:
        return [m for p, g, m in self.messages if g == group and peer in (None, p)]

    def count(self, event: str, peer: bytes, group: str | None) -> int:
        return self.events.count((event, peer, group))


class Node:
    """One node: what it is for good, and its present life."""

    def __init__(self, address: Address, settings: LinkSettings, keys: Keys | None = None) -> None:
        self.id = secrets.token_bytes(8)
        self.keys = keys or make_keys()
        self.member = Member(self.id, self.keys.public, address)
        self.settings = settings
        self.notes = Notebook()
        self.refused: list[bytes] = []
        """Peers that were told of as refusing, each time."""
        self.enough = False
        """Whether there is nothing more to find out of them."""
        self.links: Links
        self._scope: trio.CancelScope | None = None
        self._gone = trio.Event()

    async def start(self, nursery: trio.Nursery, members: list[Member]) -> None:
        self.notes = Notebook()
        self.refused = []
        self.links = Links(self.id, self.keys, members, self.notes, self.settings, refused=self._refused)
        self._scope = trio.CancelScope()
        self._gone = trio.Event()
        await nursery.start(self._run)

    def _refused(self, peer: bytes) -> bool:
        self.refused.append(peer)
        return self.enough

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        assert self._scope is not None
        try:
            with self._scope:
                await self.links.run(task_status)
        finally:
            self._gone.set()

    async def stop(self) -> None:
        assert self._scope is not None
        self._scope.cancel()
        await self._gone.wait()

    def link(self, peer: Node, group: str | None) -> Any:
        """The statistics of one link."""
        return next(
            link for link in self.links.statistics().links if link.peer == peer.id and link.group == group
        )


class Cluster:
    """Nodes that know one another."""

    def __init__(self, nursery: trio.Nursery, nodes: list[Node]) -> None:
        self.nursery = nursery
        self.nodes = nodes
        self.members = [node.member for node in nodes]

    async def start(self, *nodes: Node) -> None:
        for node in nodes or self.nodes:
            await node.start(self.nursery, self.members)

    async def connected(self, group: str | None = None, nodes: list[Node] | None = None) -> None:
        """Until each of these can send to each other."""
        nodes = nodes or self.nodes
        await until(
            lambda: all(a.links.is_connected(b.id, group) for a in nodes for b in nodes if a is not b)
        )


def node_on(host: str = HOST, settings: LinkSettings = QUICK) -> Node:
    return Node(Address(host=host, port=free_port(host)), settings)


@contextlib.asynccontextmanager
async def cluster_of(*nodes: Node) -> AsyncIterator[Cluster]:
    """Not yet started; all stopped at the end."""
    async with trio.open_nursery() as nursery:
        yield Cluster(nursery, list(nodes))
        nursery.cancel_scope.cancel()
