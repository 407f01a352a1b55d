"""What a member's links tell, handed to whoever it is for: the detector, a group's replica, a channel of the host.

Knows which channel carries what, and nothing of what is said on it. All of it happens within a pass of the host: what
one wake-up of the links brought is one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from replication.control import Control
from replication.core import replica
from replication.detector import Detector
from replication.forwarding import ANSWER, ASK
from replication.hosting import Channel, Host
from replication.membership.membership import Membership
from replication.replicated import ReplicatedGroup
from replication.zeromq.links import Links


class Around(Protocol):
    """The cluster, as far as this needs it."""

    groups: dict[str, ReplicatedGroup]
    links: Links
    detector: Detector
    membership: Membership
    control: Control

    def now(self) -> int: ...
    def within(self) -> AbstractContextManager[None]: ...
    def flush(self) -> None: ...


class Hearing:
    """Of one member (`zeromq.receiver.Receiver`). judged: takes the detector's effects. groups_on: channel → the group
    whose messages it carries. channels: the host's own."""

    def __init__(
        self, around: Around, host: Host, judged: Callable[[Iterable[tuple[Any, ...]]], None]
    ) -> None:
        self._around = around
        self._host = host
        self._judged = judged
        self.groups_on: dict[str, str] = {}
        self.channels: dict[str, Channel] = {}
        self._reading = False  # what one wake-up of a link brought is being handed over
        self._heard: set[bytes] = set()  # peers that spoke in it, for the detector to be told of once

    def received(self, peer: bytes, group: str | None, message: list[Any]) -> None:
        """A message came."""
        around = self._around
        if not self._reading:
            self._reading = True
            self._host.begin()
        if group is None:
            if around.links.is_resting(peer):
                around.membership.far.called(peer)
            around.control.received(peer, message, around.now())
            return
        if peer not in self._heard:
            self._heard.add(peer)
            self._judged(around.detector.heard(peer, around.now()))
        channel = self.channels.get(group)
        if channel is not None:
            if around.membership.others and around.membership.far.is_far(peer):
                around.membership.far.use(peer)
            channel.received(peer, message)
            return
        one = self._on(group)
        if one is None:
            return
        if message[0] == ASK:
            one.asked(peer, message)
        elif message[0] == ANSWER:
            one.forwarding.answer(peer, message)
        else:
            state = one.carrier.state
            state.now = around.now()
            replica.received(state, peer, message)
            one.carrier.drain()

    def passed(self) -> None:
        """One wake-up's messages have been handed over."""
        if self._reading:
            self._reading = False
            self._heard.clear()
            self._around.flush()
            self._host.end()

    def connected(self, peer: bytes, group: str | None) -> None:
        """A link is up: greet."""
        with self._around.within():
            if group is None:
                self._around.membership.far.connected(peer)
            one = self._on(group)
            if one is not None and peer in one.carrier.state.peers:
                state = one.carrier.state
                state.now = self._around.now()
                state.peers[peer].hailed_at = -(10**12)
                replica.tick(state)
                one.carrier.drain()
            elif group in self.channels:
                self.channels[group].connected(peer)

    def disconnected(self, peer: bytes, group: str | None) -> None:
        """A link is down: what was asked over it won't be answered, and what was told may be forgotten there."""
        with self._around.within():
            one = self._on(group)
            if one is not None:
                one.forwarding.gone(peer)
                replica.disconnected(one.carrier.state, peer)
            elif group in self.channels:
                self.channels[group].disconnected(peer)

    def parted(self, peer: bytes) -> None:
        """A peer is about to be none any more: no link tells of it again."""
        for name, channel in tuple(self.channels.items()):
            if self._around.links.is_connected(peer, name):
                channel.disconnected(peer)
        for one in tuple(self._around.groups.values()):
            one.forwarding.gone(peer)

    def _on(self, channel: str | None) -> ReplicatedGroup | None:
        return self._around.groups.get(self.groups_on.get(channel, "")) if channel is not None else None
