"""One of two nodes of different clusters parts, and the other doesn't: they find to one another again."""

from __future__ import annotations

from pathlib import Path

from tests.replication.members import Members, members_of
from tests.replication.membership.test_far import FAR, KEPT
from tests.replication.zeromq.cluster import until


def hears(members: Members, one: str, other: str) -> bool:
    """Whether one node's replica has a peer in the other that can be asked for something."""
    state = members[one].group("kept").carrier.state
    peer = state.peers.get(members.node(other))
    return peer is not None and state.reachable(peer)


async def test_who_parted_alone_is_told_again_what_the_other_knows(tmp_path: Path) -> None:
    async with members_of(tmp_path, "a", KEPT) as members:
        members.changes = {"membership": FAR}
        await members.join("c", "a", cluster="south")
        await until(lambda: hears(members, "a", "c") and hears(members, "c", "a"))
        a, far = members.node("a"), members["c"].membership.far
        far.part(a)  # as of one that is thought dead
        assert not hears(members, "c", "a")
        far._quiet.clear()
        far.use(a)
        await until(lambda: hears(members, "a", "c") and hears(members, "c", "a"))
