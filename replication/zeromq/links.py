"""The links of a node: to every peer one for control, and one for each group that both have open.

Put together here from `outgoing` (sends), `incoming` (receives) and `zap` (who may connect). A group's links have
sockets of their own, so that a group that is stuck, or has much to carry, never delays another. It carries messages
and knows nothing of what they mean.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import trio

from replication.rounds import go_round
from replication.zeromq import words
from replication.zeromq.address import Address, resolve
from replication.zeromq.binding import Binder
from replication.zeromq.boundedlog import BoundedLog
from replication.zeromq.errors import (
    AddressUnusable,
    GroupOpen,
    GroupUnknown,
    LinksClosed,
    MessageTooLarge,
    TooManyGroups,
)
from replication.zeromq.incoming import Reader
from replication.zeromq.keys import Keys
from replication.zeromq.knocking import Knocker
from replication.zeromq.link import Entrance, Group, Link, Traffic
from replication.zeromq.lookout import Lookout
from replication.zeromq.members import Member, Roster
from replication.zeromq.offers import Offers
from replication.zeromq.outgoing import Dialer
from replication.zeromq.receiver import Receiver
from replication.zeromq.settings import GROUP_NAME_BYTES_MAX, GROUPS_MAX, NODE_BYTES, LinkSettings
from replication.zeromq.sockets import Sockets
from replication.zeromq.statistics import LinksStatistics, link_statistics
from replication.zeromq.versions import Versions
from replication.zeromq.words import Message
from replication.zeromq.zap import Authorised, Gatekeeper


class Links(Offers):
    """All links of one node. Everything but `run` is synchronous, and for the thread of the Trio loop.

    Args:
        node: this node's id, 8 bytes.
        keys: its key pair.
        members: all nodes of the cluster, this one too.
        receiver: what messages and changes are handed to.
        chance: where the jitter of retries comes from.
        joins: what a node is told that wants to join (its id, what it said of itself), or why it is refused.
        called: told of a peer that rests and has connected.
        refused: told of a peer whose side has closed the connection to its control entrance, where nobody listens any
            more; again as long as that is so, for some seconds, or until it says that it is enough.
        versions: of what nodes say, as this release understands them; peers that have none of them aren't listened to.

    Raises:
        MembersUnusable
    """

    def __init__(
        self,
        node: bytes,
        keys: Keys,
        members: Iterable[Member],
        receiver: Receiver,
        settings: LinkSettings | None = None,
        chance: random.Random | None = None,
        joins: Callable[[bytes, list[Any]], list[Any] | str] = lambda *_: "nobody joins here now",
        called: Callable[[bytes], None] = lambda _: None,
        refused: Callable[[bytes], bool] = lambda _: False,
        versions: Versions | None = None,
    ) -> None:
        self.settings = settings = settings or LinkSettings()
        self._roster = Roster(members, node, keys.public)
        self._log = log = BoundedLog()
        self._receiver = receiver
        self._traffic = traffic = Traffic()
        self._sockets = Sockets(keys, settings)
        self.lookout = Lookout()
        self._binder = Binder(self._sockets, settings)
        self._authorised = Authorised(self._roster.keys())
        instance = secrets.token_bytes(NODE_BYTES)
        self._dialer = Dialer(
            self._sockets,
            settings,
            instance,
            receiver,
            log,
            self._offer,
            self._turned,
            chance or random.Random(),
            versions or Versions(),
            traffic.unknown,
            self.lookout,
        )
        self._reader = Reader(
            settings,
            self._roster,
            instance,
            receiver,
            log,
            self._traffic,
            self._authorised,
            self._came,
            self._offered,
            self.lookout,
            joins,
            versions or Versions(),
        )
        self._entrances: dict[Group, Entrance] = {}
        self._links: dict[tuple[Group, bytes], Link] = {}
        self._resting: set[bytes] = set()
        self._called = called
        self._knocker = Knocker(refused)
        self._offers: dict[bytes, dict[str, Address]] = {}
        self._listen: Address | None = None  # numeric, once `run` runs
        self._nursery: trio.Nursery | None = None
        self._ended = False

    # ---- running ---------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. When it has started, it listens, and groups can be opened.

        When it ends, everything is closed at once; what was queued is lost.

        Raises:
            LinksClosed: links run once.
            AddressUnusable, AddressInUse: this node's address can't be listened on.
            Whatever the receiver raises.
        """
        if self._listen is not None or self._ended:
            raise LinksClosed("these links have been run before", "make new ones")
        gatekeeper = Gatekeeper(self._sockets.start(), self._authorised, self._log)
        try:
            own = self.settings.listen or self._roster.own.address
            if own is None:
                raise AddressUnusable("this node's own address isn't known", "say where it listens")
            self._listen = await resolve(own)
            gatekeeper.start()
            self.lookout.open()
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(gatekeeper.run)
                entrance = self._binder.bind_control(self._listen)
                self._enter(entrance)
                nursery.start_soon(self._flush_when_rung)
                nursery.start_soon(go_round, self._look_when_ready, name=self._look_when_ready)
                nursery.start_soon(go_round, self._beat, name=self._beat)
                task_status.started()
        finally:
            self._ended = True
            self._nursery = None
            gatekeeper.stop()
            self._sockets.end()
            self.lookout.close()

    async def _flush_when_rung(self) -> None:
        while True:
            await self._traffic.bell.wait()
            self.flush()

    async def _look_when_ready(self) -> None:
        if await self.lookout.ready():
            self._traffic.in_pass = True
            try:
                self.look()
            finally:
                self._traffic.in_pass = False
            self.flush()

    def look(self) -> None:
        """Hand over what links have brought, for as long as a turn may be. For whoever `lookout` was lent to.

        Raises:
            Whatever the receiver raises.
        """
        self.lookout.look()
        self._receiver.passed()

    async def _beat(self) -> None:
        due = trio.current_time()
        while True:
            due = await self._beat_once(due)

    async def _beat_once(self, due: float) -> float:
        await trio.sleep_until(due)
        self._dialer.beat(self._links.values(), due)
        return trio.current_time() + self.settings.heartbeat_ms / 1000

    # ---- groups ----------------------------------------------------------------------------------

    def open(self, group: str, *, messages_max: int | None = None, bytes_max: int | None = None) -> None:
        """Open the links of a group to every peer that has it open too, now or later.

        Args:
            messages_max, bytes_max: what may wait for one peer; None: as the settings say.

        Raises:
            GroupOpen, TooManyGroups, AddressInUse, AddressUnusable
            LinksClosed: `run` doesn't run.
        """
        if self._nursery is None or self._listen is None:
            raise LinksClosed(f"group {group!r} can't be opened now")
        if group in self._entrances:
            raise GroupOpen(f"group {group!r} is open")
        if len(self._entrances) > GROUPS_MAX:
            raise TooManyGroups(f"{GROUPS_MAX} groups are open")
        if not 0 < len(group.encode()) <= GROUP_NAME_BYTES_MAX:
            raise GroupUnknown(f"{group!r} can't be a group", f"choose 1 to {GROUP_NAME_BYTES_MAX} bytes")
        entrance = self._binder.bind_group(group, self._listen)
        entrance.queue = (
            messages_max or self.settings.queue_messages_max,
            bytes_max or self.settings.queue_bytes_max,
        )
        self._enter(entrance)
        self._announce()

    def close(self, group: str) -> None:
        """Close a group's links, here and now. What is queued is lost; `disconnected` isn't called.

        Raises:
            GroupUnknown
        """
        entrance = self._entrance(group)
        del self._entrances[group]
        entrance.closed = True
        entrance.scope.cancel()
        for member in self._kept_up():
            self._close_link(self._links.pop((group, member.node)))
        self._announce()

    def hold(self, group: str) -> None:
        """Stop reading what comes for a group, until `release`: its peers' queues fill, and their sends say False.

        The rest of a batch is still handed over. A group that is held for longer than `silence_ms_max` is
        disconnected for its peers, and connected again some time after its release.

        Raises:
            GroupUnknown
        """
        entrance = self._entrance(group)
        entrance.held = True

    def release(self, group: str) -> None:
        """Read again.

        Raises:
            GroupUnknown
        """
        entrance = self._entrance(group)
        entrance.held = False
        entrance.socket.nudge()

    # ---- messages --------------------------------------------------------------------------------

    def send(self, peer: bytes, group: str | None, message: Message | bytes) -> bool:
        """Queue a message for a peer; it goes out when the pass ends, the loop is free, or at `flush`.

        Args:
            group: None for the control link.
            message: a list or tuple that begins with a code; or what `pack` made of one.

        Returns:
            Whether it was queued. False: not connected, or the queue is full. True is no promise that it arrives.

        Raises:
            MessageTooLarge, MessageNotSendable: our own mistakes; never for what a peer does.
        """
        link = self._links.get((group, peer))
        if link is None:
            return False
        outbox = link.outbox
        if type(message) is bytes:
            taken = link.up and outbox.put(message)
        else:
            taken = link.up and outbox.has_room(1) and outbox.put(self.pack(message))
        if not taken:
            link.dropped += 1
            return False
        if not link.dirty:
            link.dirty = True
            traffic = self._traffic
            traffic.dirty.append(link)
            if not traffic.in_pass:
                traffic.bell.ring()
        return True

    def pack(self, message: Message) -> bytes:
        """A message in the form in which it travels, for `send` to more than one peer.

        Raises:
            MessageTooLarge, MessageNotSendable
        """
        data = words.encode_message(message)
        if len(data) > self.settings.message_bytes_max:
            raise MessageTooLarge(
                f"a message of {len(data)} bytes; {self.settings.message_bytes_max} are allowed"
            )
        return data

    def flush(self) -> None:
        """Let everything that was queued go out now, as far as ZeroMQ takes it."""
        dirty = self._traffic.dirty
        while dirty:
            link = dirty.popleft()
            link.dirty = False
            if link.up and not link.outbox.blocked:
                self._dialer.flush(link)

    def reset(self, peer: bytes, group: str | None) -> None:
        """What this peer says on this link makes no sense: listen no longer, and let it connect anew.

        Raises:
            GroupUnknown
        """
        entrance = self._entrance(group)
        heard = entrance.heard.get(peer)
        if heard is not None:
            heard.malformed += 1
        self._reader.reset(entrance, peer)

    def authorise(self, keys: Iterable[str]) -> None:
        """Hear from members with these public keys from now on, and from no others; at first, from all.

        Who was authorised and isn't any more stays connected and is no longer heard, nor answered: he is soon "silent".
        """
        self._authorised.keys = frozenset(keys)

    def is_connected(self, peer: bytes, group: str | None) -> bool:
        """Whether `send` would reach the peer."""
        link = self._links.get((group, peer))
        return link is not None and link.up

    def statistics(self) -> LinksStatistics:
        """Of every link, and of who wanted in."""
        now = trio.current_time()
        return LinksStatistics(
            links=tuple(
                link_statistics(link, self._entrances[group].heard.get(node), now)
                for (group, node), link in self._links.items()
            ),
            groups=len(self._entrances) - 1,
            admitted=self._authorised.admitted,
            refused=self._authorised.refused,
            failed_handshakes=self._traffic.failed_handshakes,
            strangers=self._traffic.strangers,
        )

    @property
    def unknown(self) -> Mapping[str, int]:
        """Words of links that this release doesn't know, by kind: a newer one's."""
        return self._traffic.unknown.counts

    # ---- opening and closing ---------------------------------------------------------------------

    def _enter(self, entrance: Entrance) -> None:
        assert self._nursery is not None
        group = entrance.group
        self._entrances[group] = entrance
        self._nursery.start_soon(self._reader.keep, entrance)
        for member in self._kept_up():
            self._add_link(entrance, member)

    def _add_link(self, entrance: Entrance, member: Member) -> None:
        assert self._nursery is not None
        group = entrance.group
        link = Link(
            member,
            group,
            self._links.get((None, member.node)) if group is not None else None,
            entrance.queue or (self.settings.queue_messages_max, self.settings.queue_bytes_max),
        )
        link.aim = member.address if group is None else self._offers.get(member.node, {}).get(group)
        self._links[group, member.node] = link
        self._nursery.start_soon(self._dialer.keep, link)

    def _close_link(self, link: Link) -> None:
        link.closed = True
        link.end("closed")
        link.bell.ring()

    def _entrance(self, group: Group) -> Entrance:
        entrance = self._entrances.get(group)
        if entrance is None:
            raise GroupUnknown(f"group {group!r} isn't open")
        return entrance
