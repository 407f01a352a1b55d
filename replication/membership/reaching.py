"""Waits until a member, of whatever cluster, is there to be asked: one that rests is called first.

Knows nothing of what it is asked.
"""

from __future__ import annotations

from typing import Final, Protocol

import trio

from replication.detector import Detector
from replication.detectorstate import ALIVE, DEAD
from replication.membership.membership import Membership
from replication.membership.status import thought
from replication.zeromq.links import Links

LOOK_S: Final = 0.1
"""Between two looks at what is waited for."""
REACH_S: Final = 8.0
"""How long a member has time to be there: one that has just parted takes no call for a while (`far.QUIET_MS`)."""
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
        """Whether a member can be asked, or soon; one that rested must hear us, or its answer has no way."""
        with trio.move_on_after(REACH_S):
            while not self._is_linked(node):
                self._around.membership.far.reach(node)
                await trio.sleep(LOOK_S)
            return True
        return False

    def _is_linked(self, node: bytes) -> bool:
        around = self._around
        there = not around.membership.far.is_far(node) or self.thought(node) == ALIVE
        return there and around.links.is_connected(node, None)

    async def judged(self, node: bytes) -> str:
        """What is thought of a member: alive or dead, if that is sure soon."""
        if self._around.membership.far.is_far(node):
            await self.linked(node)
        with trio.move_on_after(JUDGE_S):
            while self.thought(node) not in (ALIVE, DEAD):
                self._around.membership.far.reach(node)
                await trio.sleep(LOOK_S)
        return self.thought(node)

    def thought(self, node: bytes) -> str:
        """What is thought of it now; "" of who is no peer."""
        return thought(self._around.detector, node)
