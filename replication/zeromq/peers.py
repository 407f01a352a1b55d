"""Peers of links that come, go, rest, and change their keys, while links run. A part of `links.Links`.

A peer that rests is known by its key, so that it may call; nothing is kept up to it. Whoever knows why it rests brings
it back (`admit`) when it calls, or when there is something to say to it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import trio

from replication.zeromq.address import Address
from replication.zeromq.binding import Binder
from replication.zeromq.errors import LinksClosed
from replication.zeromq.incoming import Reader
from replication.zeromq.keys import Keys
from replication.zeromq.link import EXPELLED, NOT_ADMITTED, STRANGE, Entrance, Group, Link
from replication.zeromq.members import Member, Roster
from replication.zeromq.sockets import Sockets
from replication.zeromq.versions import Versions
from replication.zeromq.zap import Authorised


class Peers:
    """What `Links` does about who its peers are."""

    _roster: Roster
    _authorised: Authorised
    _entrances: dict[Group, Entrance]
    _links: dict[tuple[Group, bytes], Link]
    _offers: dict[bytes, dict[str, Address]]
    _reader: Reader
    _binder: Binder
    _sockets: Sockets
    _nursery: trio.Nursery | None
    _resting: set[bytes]

    def admit(self, member: Member) -> None:
        """A node is a peer from now on, or rests no longer, or it has another key or address than before.

        Connections that it has stay; it is connected to anew at another address, and with the keys that it has now.
        """
        if member.node == self._roster.own.node:
            return
        before = self._roster.peer(member.node)
        self._put(before, member)
        if before is None or member.node in self._resting:
            self._resting.discard(member.node)
            for entrance in self._entrances.values():
                self._add_link(entrance, member)
            return
        for (_, node), link in self._links.items():
            if node == member.node:
                link.peer = member
        control = self._links.get((None, member.node))
        if control is not None and member.address != before.address:
            self._point(control, member.address)
            # So that it says anew where its groups are.
            self._reader.reset(self._entrances[None], member.node)

    def know(self, member: Member) -> None:
        """A node may call; nothing is kept up to it until it is admitted. Of one that isn't resting: as `admit`."""
        before = self._roster.peer(member.node)
        if before is not None and member.node not in self._resting:
            self.admit(member)
        elif member.node != self._roster.own.node:
            self._put(before, member)
            self._resting.add(member.node)

    def rest(self, node: bytes) -> None:
        """Close the links to a peer; it may call again. `disconnected` isn't called."""
        if self._roster.peer(node) is not None and node not in self._resting:
            self._close_links(node)
            self._resting.add(node)

    def dismiss(self, node: bytes) -> None:
        """A node is no peer any more: its links are closed, and it isn't let in again. `disconnected` isn't called."""
        member = self._roster.drop(node)
        if member is None:
            return
        self._authorised.keys -= frozenset(member.keys)
        if node in self._resting:
            self._resting.discard(node)
        else:
            self._close_links(node)
        self._reader.forget(node)

    def expel(self, keys: Iterable[str]) -> None:
        """These keys belonged to nodes that were removed: whoever comes with one is told so. Unless it is a peer's."""
        self._authorised.expelled |= frozenset(keys)

    async def rekey(self, keys: Keys) -> None:
        """Have another key pair from now on, which the peers know already. Every link is made anew.

        Raises:
            AddressInUse, AddressUnusable: an address was taken by something else meanwhile.
            LinksClosed: `run` doesn't run.
        """
        if self._nursery is None:
            raise LinksClosed("a key can't be changed now")
        self._sockets.keys = keys
        for entrance in tuple(self._entrances.values()):
            await self._binder.rebind(entrance)
            entrance.socket.nudge()  # what it did may have eaten what tells of a message
        for link in tuple(self._links.values()):
            link.end("another key")
            link.bell.ring()
            await trio.lowlevel.checkpoint()

    def is_resting(self, node: bytes) -> bool:
        """Whether a node is known, and nothing is kept up to it."""
        return node in self._resting

    def refused(self, but: Container[bytes] = ()) -> str:
        """EXPELLED if a peer says that this node was removed, else NOT_ADMITTED if one that answers doesn't know its
        key, else STRANGE if one that answers has another key itself; "" if a peer lets it in, or nobody answers. `but`:
        peers whose word doesn't count."""
        if self.is_heard():
            return ""
        said = {
            link.ended for (group, node), link in self._links.items() if group is None and node not in but
        }
        return next((why for why in (EXPELLED, NOT_ADMITTED, STRANGE) if why in said), "")

    def apart(self) -> dict[bytes, str]:
        """Peers that refuse this node since their releases have no version in common, and what they say."""
        controls = [link for (group, _), link in self._links.items() if group is None]
        return {link.peer.node: link.ended for link in controls if link.apart and not link.up}

    def is_heard(self) -> bool:
        """Whether any peer lets this node in."""
        return any(link.up for (group, _), link in self._links.items() if group is None)

    def versions_of(self, node: bytes) -> Versions | None:
        """What a peer said of its release when it greeted last; None: it has not."""
        return self._reader.versions.get(node)

    # ---- within ----------------------------------------------------------------------------------

    def _kept_up(self) -> Iterator[Member]:
        """The peers that don't rest."""
        return (member for member in self._roster if member.node not in self._resting)

    def _put(self, before: Member | None, member: Member) -> None:
        if before != member:
            self._roster.put(member)
            former = frozenset(before.keys) if before is not None else frozenset()
            self._authorised.keys = (self._authorised.keys - former) | frozenset(member.keys)

    def _close_links(self, node: bytes) -> None:
        for group, entrance in self._entrances.items():
            self._reader.reset(entrance, node)
            entrance.heard.pop(node, None)
            self._close_link(self._links.pop((group, node)))
        self._offers.pop(node, None)

    def _add_link(self, entrance: Entrance, member: Member) -> None:
        raise NotImplementedError

    def _close_link(self, link: Link) -> None:
        raise NotImplementedError

    def _point(self, link: Link, aim: Address | None) -> None:
        raise NotImplementedError
