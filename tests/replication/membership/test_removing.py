"""Who may be removed for good: only a member that is known to be dead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from replication.detectorstate import ALIVE, DEAD, SUSPECT, UNKNOWN
from replication.membership.errors import NotNow
from replication.membership.member import ACTIVE, INVITED, Member
from replication.membership.reaching import JUDGE_S, Reaching
from replication.membership.removing import Removing
from replication.membership.status import Losses

ME, NODE = bytes(8), bytes(range(8))


class Detector:
    """What is thought of a member, which may change."""

    def __init__(self, thought: str, later: str = "", after_s: float = 0.0) -> None:
        peers = {NODE: None} if thought else {}
        self.state = SimpleNamespace(peers=peers)
        self._thought, self._later, self._after = thought, later, after_s

    def state_of(self, _: bytes) -> str:
        return self._later if self._later and trio.current_time() >= self._after else self._thought


async def nobody(*_: object) -> Any:
    raise AssertionError("nobody is asked")


def removing(detector: Detector) -> Removing:
    far = SimpleNamespace(is_far=lambda node: False, reach=lambda node: None)
    membership = SimpleNamespace(far=far, own=SimpleNamespace(cluster=""), roster=SimpleNamespace(members={}))
    around: Any = SimpleNamespace(
        me=ME, groups={}, membership=membership, detector=detector, links=SimpleNamespace()
    )
    return Removing(around, Reaching(around), nobody)


@pytest.mark.parametrize(
    ("thought", "words"),
    [
        (SUSPECT, f"isn't known to be dead, but {SUSPECT}"),
        (UNKNOWN, f"isn't known to be dead, but {UNKNOWN}"),
        ("", "isn't known to be dead, but not heard of"),
        (ALIVE, "is alive"),
    ],
)
async def test_a_member_that_may_live_is_not_removed(
    autojump_clock: trio.testing.MockClock, thought: str, words: str
) -> None:
    with pytest.raises(NotNow, match=words):
        await removing(Detector(thought)).require_dead(Member(node=NODE, state=ACTIVE), Losses())
    assert trio.current_time() >= (0 if thought == ALIVE else JUDGE_S - 0.1), (
        "the detector has time to be sure"
    )


async def test_a_suspect_that_turns_out_to_be_dead_is_removed(autojump_clock: trio.testing.MockClock) -> None:
    detector = Detector(SUSPECT, DEAD, JUDGE_S / 2)
    await removing(detector).require_dead(Member(node=NODE, state=ACTIVE), Losses())
    assert trio.current_time() < JUDGE_S


async def test_a_suspect_that_turns_out_to_live_is_not(autojump_clock: trio.testing.MockClock) -> None:
    detector = Detector(UNKNOWN, ALIVE, JUDGE_S / 2)
    with pytest.raises(NotNow, match="is alive"):
        await removing(detector).require_dead(Member(node=NODE, state=ACTIVE), Losses())


async def test_who_never_ran_is_removed_whatever_is_thought_of_it() -> None:
    assert not Member(node=NODE, state=INVITED).belongs
    await removing(Detector(UNKNOWN)).require_dead(Member(node=NODE, state=INVITED), Losses())
