"""How a node becomes a member, before it runs: it knows one member's key and address, and has a key that was invited.

It asks over the control link, which proves both keys, and is told all that a member must know: its id, the cluster's
name and secret, how many partitions there are, and who the others are. It writes that down; then it can be run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
import trio

from replication.membership.errors import JoinRefused
from replication.membership.keeping import writes_of
from replication.membership.member import ACTIVE, INVITED, Member
from replication.membership.roster import Entry, Roster
from replication.placement import SECRET_SIZE
from replication.tables import IDENTITY
from replication.zeromq import words
from replication.zeromq.adapter import Socket
from replication.zeromq.address import Address, resolve
from replication.zeromq.keys import Keys
from replication.zeromq.settings import LinkSettings
from replication.zeromq.sockets import Sockets
from store.group import OpenGroup
from store.writes import PUT, Write

ANSWER_S: Final = 10.0
"""How long an answer is waited for; an address at which nobody listens, and a key that isn't invited, give none."""


@attrs.frozen(kw_only=True)
class Joined:
    """What a node is told that joins. secret: of the cluster."""

    node: bytes
    name: str
    secret: bytes = attrs.field(repr=False)
    partitions: int
    rows: tuple[Entry, ...]

    def told(self) -> list[Any]:
        """The form in which it is sent."""
        members = [row.row() for row in self.rows if isinstance(row, Member)]
        owners = [row.row() for row in self.rows if not isinstance(row, Member)]
        return [self.node, self.name, self.secret, self.partitions, members, owners]

    @classmethod
    def from_told(cls, told: Any) -> Joined:
        """Raises JoinRefused: it makes no sense."""
        match told:
            case [bytes(node), str(name), bytes(secret), int(partitions), list(members), list(owners), *_]:
                if len(secret) == SECRET_SIZE and 0 < partitions <= 65_536:
                    rows = tuple(Roster().read(members, owners))
                    return cls(node=node, name=name, secret=secret, partitions=partitions, rows=rows)
        raise JoinRefused("the member's answer makes no sense to this release")


async def ask(
    keys: Keys,
    key: str,
    member: Address,
    *,
    address: str,
    public: str = "",
    speaks: tuple[int, int],
    settings: LinkSettings | None = None,
) -> Joined:
    """Ask a member to be let in.

    Args:
        keys: this node's own; the public one was invited.
        key: the member's public key.
        member: where its control link is.
        address: where this node's control link will be, as others reach it.
        public: where phones will find it.

    Raises:
        JoinRefused, AddressUnusable
    """
    sockets = Sockets(keys, settings or LinkSettings())
    sockets.start()
    try:
        socket = Socket(sockets.dealer(await resolve(member), key))
        try:
            socket.raw.connect((await resolve(member)).endpoint())
            with trio.move_on_after(ANSWER_S):
                await socket.send(words.say(words.JOIN, *speaks, address, public))
                return _answer(words.read((await socket.receive(1))[0][0].bytes))
        finally:
            socket.close()
    finally:
        sockets.end()
    raise JoinRefused(
        f"{member} gives no answer: nobody of this key is there, or {keys.public} isn't invited there"
    )


def _answer(said: list[Any]) -> Joined:
    match said:
        case [words.JOINED, told, *_]:
            return Joined.from_told(told)
        case [words.REFUSED, str(reason), *_]:
            raise JoinRefused(reason)
    raise JoinRefused("the member's answer makes no sense to this release")


def asked(roster: Roster, node: bytes, said: Sequence[Any], me: bytes) -> Member | str:
    """A node asks to be let in: its next row, or why it isn't."""
    row = roster.members.get(node)
    match said:
        case [int(low), int(high), str(address), str(public), *_] if row is not None and address:
            belonging = [one for one in roster.members.values() if one.belongs]
            last = min(belonging, key=lambda one: one.speaks[1], default=row)
            if belonging and not low <= last.speaks[1] <= high:
                return (
                    f"member {last.node.hex()} speaks versions {last.speaks[0]} to {last.speaks[1]}, and this node's"
                    f" release {low} to {high}: take a release next to that of the members"
                )
            if row.state not in (INVITED, ACTIVE):
                return "this node is leaving, or was removed"
            return roster.edited(node, me, address=address, public=public, speaks=(low, high))
    return "what was asked makes no sense"


async def keep(group: OpenGroup, joined: Joined) -> None:
    """Write down what was told, in the group `tables.CLUSTER` of a new store; durable on return.

    Raises:
        JoinRefused: the directory belongs to a node already.
        StoreError
    """
    identity = group.table(IDENTITY.name)
    if identity.get(("node",)) is not None:
        raise JoinRefused("this data directory belongs to a node already: join with an empty one")
    values = {
        "secret": joined.secret, "node": joined.node, "partitions": joined.partitions, "name": joined.name,
    }  # fmt: skip
    writes: list[Write] = [(PUT, identity.id, (name,), value) for name, value in values.items()]
    await group.commit([*writes, *writes_of(group, joined.rows, configured=True)])


async def keep_first(group: OpenGroup, row: Member) -> None:
    """Write down the first member of a new cluster, which is this node."""
    await group.commit(writes_of(group, [attrs.evolve(row, counter=1, editor=row.node)]))
