"""Waits until a member, of whatever cluster, is there to be asked: one that rests is called first.

Knows nothing of what it is asked.
"""

from __future__ import annotations

from typing import Final, Protocol

import trio

from replication.core.state import ReplicaState
from replication.detector import Detector
from replication.detectorstate import ALIVE, DEAD
from replication.membership.membership import Membership
from replication.membership.status import thought
from replication.zeromq.links import Links

LOOK_S: Final = 0.1
"""Between two looks at what is waited for."""
REACH_S: Final = 3.0
"""How long a link has time to come up."""
JUDGE_S: Final = 5.0
"""How long the detector has time to be sure: twice what it takes by default."""


class Around(Protocol):
    """The cluster, as far as this needs it."""

    links: Links
    detector: Detector
    membership: Membership


class Reaching:
    """Of one node."""

    def __init__(self, around: Around) -> None:
        self._around = around

    async def linked(self, node: bytes) -> bool:
        """Whether there is a link to a member, or soon."""
        around = self._around
        with trio.move_on_after(REACH_S):
            while not around.links.is_connected(node, None):
                around.membership.far.reach(node)
                await trio.sleep(LOOK_S)
            return True
        return False

    async def peer(self, state: ReplicaState, node: bytes) -> None:
        """Until a replica can ask a member for something; or too long."""
        with trio.move_on_after(REACH_S):
            while node not in state.peers or not state.reachable(state.peers[node]):
                self._around.membership.far.reach(node)
                await trio.sleep(LOOK_S)

    async def judged(self, node: bytes) -> str:
        """What is thought of a member: alive or dead, if that is sure soon."""
        with trio.move_on_after(JUDGE_S):
            while self.thought(node) not in (ALIVE, DEAD):
                self._around.membership.far.reach(node)
                await trio.sleep(LOOK_S)
        return self.thought(node)

    def thought(self, node: bytes) -> str:
        """What is thought of it now; "" of who is no peer."""
        return thought(self._around.detector, node)
