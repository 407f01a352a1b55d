"""Another key pair for a node, while everybody runs.

Everybody is told of the next key first, and lets both in; when all have it on their disks, the node uses it, and takes
the old one back, for good. If the node ends in between, its next start finishes what it can: the key in its file is the
one that it has.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

import trio

from replication.clustersettings import ClusterSettings
from replication.detector import Detector
from replication.detectorstate import ALIVE, DEAD
from replication.membership.errors import NotNow
from replication.membership.member import with_revoked
from replication.membership.membership import Membership
from replication.membership.roster import Entry
from replication.zeromq.keys import KEY_FILE, ensure_key_file
from replication.zeromq.links import Links

ROTATE_S: Final = 30.0
"""How long it may take until everybody has another key on its disk."""
LOOK_S: Final = 0.1
CALLED_MAX: Final = 2
"""Nodes of each other cluster that are told, of which one must have heard; these tell the others there."""
NEXT_KEY_FILE: Final = f"{KEY_FILE}.next"


class Around(Protocol):
    """The cluster."""

    settings: ClusterSettings
    me: bytes
    links: Links
    detector: Detector

    def within(self) -> AbstractContextManager[None]: ...


class Rotation:
    """One change of this node's key: what the roster is to say of it, and when it may go on. Waits for nothing.

    Args:
        key: the next public key.
    """

    def __init__(self, around: Around, membership: Membership, key: str) -> None:
        self._around = around
        self._membership = membership
        self._key = key

    def begun(self) -> list[Entry]:
        """Everybody is to let both keys in.

        Raises:
            NotNow: not all members of this cluster are alive.
        """
        membership, me = self._membership, self._around.me
        away = [
            one.hex() for one in membership.nodes
            if one != me and self._around.detector.state_of(one) != ALIVE
        ]  # fmt: skip
        if away:
            raise NotNow(f"these members would not hear of the new key: {', '.join(away)}")
        return [membership.roster.edited(me, me, next_key=self._key)]

    def given_up(self) -> list[Entry]:
        """It stays with the key that it has."""
        me = self._around.me
        return [self._membership.roster.edited(me, me, next_key="")]

    def done(self) -> list[Entry]:
        """The next key is used, and the one before is nobody's any more, for good."""
        membership, me = self._membership, self._around.me
        revoked = with_revoked(membership.own)
        return [membership.roster.edited(me, me, key=self._key, next_key="", revoked=revoked)]

    def missing(self) -> list[str]:
        """Who hasn't it on its disk yet: not before there is nobody may it be used, or who comes back without it would
        let nobody in who has it. A change of the row by others may have taken the key out for a moment."""
        membership, me = self._membership, self._around.me
        knows = membership.exchange.has_kept
        if membership.own.next_key != self._key or not membership.is_kept:
            return [me.hex()]
        missing = [one.hex() for one in membership.nodes if one != me and not knows(one)]
        there: dict[str, list[bytes]] = {}
        for row in sorted(membership.others, key=lambda row: row.node):
            there.setdefault(row.cluster, []).append(row.node)
        for label, nodes in there.items():
            if not any(knows(one) for one in nodes):
                missing.append(f"cluster {label!r}")
                for one in [one for one in nodes if not self._is_dead(one)][:CALLED_MAX]:
                    membership.far.reach(one)
        return missing

    def _is_dead(self, node: bytes) -> bool:
        detector = self._around.detector
        return node in detector.state.peers and detector.state_of(node) == DEAD


class Rekeying:
    """Of one node."""

    def __init__(self, around: Around, membership: Membership) -> None:
        self._around = around
        self._membership = membership

    async def rotate(self, seconds: float) -> str:
        """Have another key pair. The new public key; the old one opens nothing any more.

        Raises:
            NotNow: not everybody of this cluster, and somebody of each other one, has it on its disk in time.
        """
        around, membership = self._around, self._membership
        data: Path = around.settings.data
        keys = ensure_key_file(data / NEXT_KEY_FILE, "of this node, for its links to other nodes")
        rotation = Rotation(around, membership, keys.public)
        await membership.edit(rotation.begun())
        with trio.move_on_after(seconds):
            while rotation.missing():  # noqa: ASYNC110 - beats tell
                await trio.sleep(LOOK_S)
        missing = rotation.missing()
        if missing:
            await membership.edit(rotation.given_up())
            raise NotNow(
                f"these have not said in time that the new key is on their disks: {', '.join(missing)}"
            )
        await around.links.rekey(keys)
        (data / NEXT_KEY_FILE).rename(data / KEY_FILE)
        with around.within():
            # Its file says which key it has, whatever becomes of the row here.
            membership.edit_soon(rotation.done())
        return keys.public
