"""The receiving half of links: one entrance for each group, to which all peers connect; and who is listened to.

Of each peer one connection counts, the last one that it greeted on: so what an older one still had on its way can't
come between newer messages. Whatever a peer does wrong ends its own connection, and is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import trio
import zmq

from replication.rounds import go_round
from replication.zeromq import words
from replication.zeromq.adapter import Frames, Socket
from replication.zeromq.address import Address
from replication.zeromq.binding import forget
from replication.zeromq.boundedlog import BoundedLog
from replication.zeromq.link import Entrance, Greeted, Heard, Traffic
from replication.zeromq.lookout import Lookout
from replication.zeromq.members import Member, Roster
from replication.zeromq.receiver import Receiver
from replication.zeromq.settings import (
    DRAIN_MESSAGES,
    GREETING_BYTES_MAX,
    GROUP_NAME_BYTES_MAX,
    GROUPS_MAX,
    NODE_BYTES,
    LinkSettings,
)
from replication.zeromq.sockets import FAILED_HANDSHAKES, end_monitor, event_of
from replication.zeromq.versions import Versions
from replication.zeromq.versions import refusal as apart
from replication.zeromq.zap import USER_ID, Authorised

_IN: Final = int(zmq.POLLIN)


class Reader:
    """Reads entrances. `versions`: what peers said of their releases when they greeted last. `came` is told of a peer
    that greeted on the control link, and whether it is a new process; `offered` of the groups that a peer has open."""

    __slots__ = (
        "_authorised",
        "_came",
        "_instance",
        "_instances",
        "_joins",
        "_log",
        "_lookout",
        "_offered",
        "_receiver",
        "_roster",
        "_settings",
        "_traffic",
        "_versions",
        "versions",
    )

    def __init__(
        self,
        settings: LinkSettings,
        roster: Roster,
        instance: bytes,
        receiver: Receiver,
        log: BoundedLog,
        traffic: Traffic,
        authorised: Authorised,
        came: Callable[[Member, bool], None],
        offered: Callable[[Member, dict[str, Address]], None],
        lookout: Lookout,
        joins: Callable[[bytes, list[Any]], list[Any] | str],
        versions: Versions,
    ) -> None:
        self._settings = settings
        self._roster = roster
        self._instance = instance
        self._instances: dict[bytes, bytes] = {}  # node → the process that greeted last
        self._receiver = receiver
        self._log = log
        self._traffic = traffic
        self._authorised = authorised
        self._came = came
        self._offered = offered
        self._lookout = lookout
        self._joins = joins
        self._versions = versions  # this node's own
        self.versions: dict[bytes, Versions] = {}

    async def keep(self, entrance: Entrance) -> None:
        """It is read until it is closed."""
        try:
            with entrance.scope:
                self._lookout.add(entrance.socket, self, entrance)
                await go_round(partial(self._watch, entrance.monitor))
        finally:
            entrance.closed = True
            self._lookout.remove(entrance.socket)
            end_monitor(entrance.socket.raw, entrance.monitor)
            entrance.socket.close()
            forget(entrance)

    def attend(self, entrance: Entrance, ends_at: float) -> bool:
        """Hand over what is there, for as long as a turn may be (`lookout.Attendant`)."""
        if entrance.held and not entrance.closed:
            entrance.socket.events()  # or its descriptor would be readable for ever
        for _ in range(DRAIN_MESSAGES):
            if entrance.held or entrance.closed:
                return False
            received = entrance.socket.next_nowait()
            if received is None:
                return False
            self._take(entrance, received)
            if entrance.closed or not entrance.socket.events() & _IN:  # half of what it costs to read nothing
                return False
            if time.monotonic() > ends_at:
                break
        return True

    async def _watch(self, monitor: Socket) -> None:
        """Count the peers that never got as far as to prove a key."""
        while True:
            self._count(await monitor.receive())

    def _count(self, events: Sequence[Frames]) -> None:
        for frames in events:
            if event_of(frames[0].bytes) & FAILED_HANDSHAKES:
                self._traffic.failed_handshakes += 1
                self._log.warn("handshake_failed")

    # ---- one batch -------------------------------------------------------------------------------

    def _take(self, entrance: Entrance, frames: Frames) -> None:
        peer = self._sender(frames[0])
        if peer is None:
            self._traffic.strangers += 1
            return
        route = frames[0].bytes
        heard = entrance.heard.get(peer.node)
        if heard is None:
            heard = entrance.heard[peer.node] = Heard()
        greeted = entrance.greeted.get(peer.node)
        listening = greeted is not None and greeted.route == route
        if not listening and len(frames[-1]) > GREETING_BYTES_MAX:
            self._ignore(entrance, heard, route)
            return
        try:
            if len(frames) != 2:
                raise words.Malformed(f"{len(frames) - 1} frames instead of one")
            data = frames[1].bytes
            said = words.read(data)
            if said[0] == words.HELLO:
                self._greet(entrance, peer, heard, route, said)
            elif said[0] == words.JOIN and entrance.group is None:
                self._join(entrance, peer, route, said)
            elif not listening:
                self._ignore(entrance, heard, route)
            elif said[0] == words.MESSAGES:
                heard.batches += 1
                heard.bytes += len(data)
                self._hand_over(entrance, peer, heard, said)
            elif said[0] >= words.KINDS:
                self._traffic.unknown.note(said[0])
            elif not self._hear(entrance, peer, route, said):
                raise words.Malformed("words that are none")
            heard.at = trio.current_time()
        except words.Malformed as error:
            heard.malformed += 1
            self._log.warn("peer_malformed", peer=peer.node.hex(), group=entrance.group, why=str(error))
            self.reset(entrance, peer.node)
            entrance.socket.reply_nowait(route, words.say(words.RESET, "malformed"))

    def _sender(self, first: zmq.Frame) -> Member | None:
        """By the key that the connection has proved, if that is still authorised."""
        try:
            key = str(first.get(USER_ID))
        except zmq.ZMQError:
            return None
        return self._roster.peer_of(key) if key in self._authorised.keys else None

    def _hand_over(self, entrance: Entrance, peer: Member, heard: Heard, said: list[Any]) -> None:
        received, node, group = self._receiver.received, peer.node, entrance.group
        greeted = entrance.greeted.get(node)
        for place in range(1, len(said)):
            heard.messages += 1
            received(node, group, said[place])
            if entrance.closed or entrance.greeted.get(node) is not greeted:
                return  # closed, or reset, by what it was handed to

    def _hear(self, entrance: Entrance, peer: Member, route: bytes, said: list[Any]) -> bool:
        """The words of a peer that is listened to. Whether there are such words."""
        match said:
            case [words.PING, int(number), *_]:
                entrance.socket.reply_nowait(route, words.say(words.PONG, number))
            case [words.OFFER, list(pairs), *_] if entrance.group is None:
                self._offered(peer, _offers(peer, pairs))
            case _:
                return False
        return True

    def _ignore(self, entrance: Entrance, heard: Heard, route: bytes) -> None:
        """A connection that isn't listened to: an older one, or one that was reset. Its owner may make a new one."""
        heard.ungreeted += 1
        entrance.socket.reply_nowait(route, words.say(words.RESET, "greet first"))

    def _join(self, entrance: Entrance, peer: Member, route: bytes, said: list[Any]) -> None:
        """Before a node runs it asks, over a connection of its own, for what it must know."""
        told = self._joins(peer.node, said[1:])
        if isinstance(told, str):
            entrance.socket.reply_nowait(route, words.say(words.REFUSED, told))
        else:
            entrance.socket.reply_nowait(route, words.say(words.JOINED, told))

    def forget(self, node: bytes) -> None:
        """A node is no peer any more."""
        self._instances.pop(node, None)
        self.versions.pop(node, None)

    # ---- greetings -------------------------------------------------------------------------------

    def _greet(self, entrance: Entrance, peer: Member, heard: Heard, route: bytes, said: list[Any]) -> None:
        why, more = 0, list[Any]()
        match said:
            case [
                words.HELLO,
                words.VERSION,
                bytes(to),
                None | str() as group,
                bytes(instance),
                int(attempt),
                int(most),
                *more,
            ]:
                refusal = self._refusal(entrance, to, group, instance, attempt, most)
                versions = Versions.of_words(more)
                if not refusal and not versions.meets(self._versions.speaks):
                    refusal = apart(peer.node, versions, self._roster.own.node, self._versions)
                    why = words.APART
            case [words.HELLO, int(version), *_]:
                refusal = f"version {version} of the links' language: this node speaks {words.VERSION}"
            case _:
                raise words.Malformed("a greeting that is none")
        if refusal:
            self._log.warn("greeting_refused", peer=peer.node.hex(), group=entrance.group, reason=refusal)
            # Releases that say nothing of their versions take an answer for malformed that has more than a reason.
            entrance.socket.reply_nowait(route, words.say(words.REFUSED, refusal, *([why] if more else ())))
            return
        before = entrance.greeted.get(peer.node)
        if before is not None and before.instance == instance and before.attempt > attempt:
            self._ignore(entrance, heard, route)  # it came late: the peer has connected anew since
            return
        entrance.greeted[peer.node] = Greeted(route, instance, attempt)
        entrance.socket.reply_nowait(route, words.say(words.WELCOME, words.VERSION, self._instance))
        if entrance.group is None:
            is_new = self._instances.get(peer.node) != instance
            self._instances[peer.node] = instance
            self.versions[peer.node] = versions
            self._came(peer, is_new)

    def _refusal(
        self, entrance: Entrance, to: bytes, group: str | None, instance: bytes, attempt: int, most: int
    ) -> str:
        if to != self._roster.own.node:
            return f"this is node {self._roster.own.node.hex()}, not {to[:NODE_BYTES].hex()}: look at the members"
        if group != entrance.group:
            return "another group is here"
        if len(instance) != NODE_BYTES or attempt < 0:
            return "a greeting that makes no sense"
        if most > self._settings.message_bytes_max:
            return f"message_bytes_max is {most} there and {self._settings.message_bytes_max} here: configure the same"
        return ""

    def reset(self, entrance: Entrance, node: bytes) -> None:
        """Listen no longer to the connection of a peer, and tell it, so that it makes a new one."""
        greeted = entrance.greeted.pop(node, None)
        if greeted is not None and not entrance.closed:
            entrance.socket.reply_nowait(greeted.route, words.say(words.RESET, "reset"))


def _offers(peer: Member, pairs: list[Any]) -> dict[str, Address]:
    """Where the groups of a peer are, as seen from here. Raises Malformed."""
    if peer.address is None:
        return {}
    if len(pairs) > GROUPS_MAX:
        raise words.Malformed(f"more than {GROUPS_MAX} groups")
    offers: dict[str, Address] = {}
    for pair in pairs:
        match pair:
            case [str(group), int() | str() as place, *_] if len(group.encode()) <= GROUP_NAME_BYTES_MAX:
                address = peer.address.beside(place)
            case _:
                raise words.Malformed("an offer that is none")
        if address is None:
            raise words.Malformed("an offer of a place that can't be reached")
        offers[group] = address
    return offers
