"""Before a member is removed for good: whether it is dead, and what may be lost with it.

A member is judged by its own cluster, which hears it all the time and has the copies of what it held. Another cluster
judges it only if none of that one answers: a whole cluster that is lost must be removable, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

import trio

from replication.detectorstate import ALIVE, DEAD
from replication.membership import status
from replication.membership.errors import NotNow
from replication.membership.member import Member
from replication.membership.membership import Membership
from replication.membership.reaching import Reaching
from replication.membership.status import Losses
from replication.replicated import ReplicatedGroup


class Around(Protocol):
    """The cluster, as far as this needs it."""

    me: bytes
    groups: dict[str, ReplicatedGroup]
    membership: Membership


class Removing:
    """Of one node. ask: of which partitions that a node claims has a peer everything? Raises NotNow: it didn't say."""

    def __init__(
        self, around: Around, reaching: Reaching, ask: Callable[[bytes, bytes], Awaitable[Any]]
    ) -> None:
        self._around = around
        self._reaching = reaching
        self._ask = ask

    async def require_dead(self, row: Member, losses: Losses) -> None:
        """Nobody removes a member that lives, or may live.

        Raises:
            NotNow: it does, or may; or its own cluster is to be asked.
        """
        node, name = row.node, row.node.hex()
        thought = ALIVE if node == self._around.me else self._reaching.thought(node)
        if row.belongs and thought != ALIVE:
            there = [one for one in self._siblings(row) if one in losses.answered]
            if there and row.cluster != self._around.membership.own.cluster:
                raise NotNow(
                    f"node {name} is one of cluster {row.cluster!r}: ask node {there[0].hex()} of that one"
                )
            thought = await self._reaching.judged(node)
        if thought == ALIVE:
            raise NotNow(f"node {name} is alive: let it leave, or stop it first")
        if row.belongs and thought != DEAD:
            said = thought or "not heard of"
            raise NotNow(
                f"node {name} isn't known to be dead, but {said}: stop it, and wait until it is dead"
            )

    async def losses(self, row: Member) -> Losses:
        """What may be lost with it. Its own cluster is asked, and who else has copies of what it claims."""
        around = self._around
        if not row.belongs:
            return Losses()
        complete = {(name, p) for name, p in status.sound(around.groups, row.node)}
        answered: set[bytes] = set()

        async def ask(one: bytes) -> None:
            if self._reaching.thought(one) == DEAD or not await self._reaching.linked(one):
                return
            try:
                told = await self._ask(one, row.node)
            except NotNow:
                return
            answered.add(one)
            complete.update((str(name), int(p)) for name, p in told)

        asked = {*self._siblings(row), *self._heirs(row.node)}
        async with trio.open_nursery() as nursery:
            for one in asked:
                nursery.start_soon(ask, one)
        return Losses(
            lost=tuple(status.losses(around.groups, row.node, complete)),
            answered=frozenset(answered),
            silent=tuple(sorted(asked - answered)),
        )

    def _siblings(self, row: Member) -> Iterator[bytes]:
        for one in self._around.membership.roster.members.values():
            if one.belongs and one.cluster == row.cluster and one.node not in (row.node, self._around.me):
                yield one.node

    def _heirs(self, node: bytes) -> Iterator[bytes]:
        members = self._around.membership.roster.members
        for group in self._around.groups.values():
            for part in group.carrier.state.parts:
                if part.claim is not None and part.claim.primary == node:
                    heir = part.claim.heir
                    if heir in members and members[heir].belongs and heir not in (node, self._around.me):
                        yield heir
