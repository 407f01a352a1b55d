"""What peers have open, as they say over their control links, and what follows when one of these comes or goes. A part
of `links.Links`.

Where a group's entrance is can be known only from the peer itself; so the links of groups wait for that of control.
"""

from __future__ import annotations

from collections.abc import Callable

from replication.zeromq import words
from replication.zeromq.address import Address
from replication.zeromq.knocking import Knocker, knock
from replication.zeromq.link import Link
from replication.zeromq.members import Member
from replication.zeromq.outgoing import Dialer
from replication.zeromq.peers import Peers


class Offers(Peers):
    """What `Links` does about where its peers are."""

    _dialer: Dialer
    _knocker: Knocker
    _called: Callable[[bytes], None]

    def knock(self, node: bytes, told: Callable[[bool | None], None]) -> None:
        """Find out whether anybody listens where a peer does (`knocking.knock`); `told` is called later, if ever."""
        member = self._roster.peer(node)
        if self._nursery is not None and member is not None and member.address is not None:
            self._nursery.start_soon(_tell, member.address, told)

    def _offer(self) -> bytes:
        groups = [[group, entrance.place] for group, entrance in self._entrances.items() if group is not None]
        return words.say(words.OFFER, groups)

    def _announce(self) -> None:
        for member in self._kept_up():
            link = self._links.get((None, member.node))
            if link is not None and link.up:
                link.offer_due = True
                if not link.outbox.blocked:
                    self._dialer.flush(link)

    def _came(self, member: Member, is_new: bool) -> None:
        """A peer greeted on the control link: it is worth trying it, and what an earlier process of it said is void."""
        if member.node in self._resting:
            self._called(member.node)
        if is_new:
            self._offered(member, {})
        link = self._links.get((None, member.node))
        if link is not None and not link.up:
            link.bell.ring()

    def _offered(self, member: Member, offers: dict[str, Address]) -> None:
        self._offers[member.node] = offers
        for group in self._entrances:
            link = self._links.get((group, member.node))
            if group is not None and link is not None:
                self._point(link, offers.get(group))

    def _turned(self, control: Link) -> None:
        """A control link came up or went down: those of the groups wait for it."""
        if control.up:
            for group in self._entrances:
                link = self._links.get((group, control.peer.node))
                if group is not None and link is not None:
                    link.bell.ring()
        elif self._nursery is not None and self._knocker.is_due(control):
            self._nursery.start_soon(self._knocker.keep, control)

    def _point(self, link: Link, aim: Address | None) -> None:
        if link.aim != aim:
            link.aim = aim
            link.end("moved" if aim is not None else "withdrawn")
        link.bell.ring()


async def _tell(address: Address, told: Callable[[bool | None], None]) -> None:
    told(await knock(address))
