"""A load begins when partitions are where they are wanted, and its error says what happened meanwhile."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from ops.bench import cluster_load, clusters
from ops.bench.exchange import NotAllArrivedError
from ops.faults.stage import StageError
from ops.faults.town import Town


class FakeTown:
    """Two nodes; each look at the first one is the next of these: (moves under way, partitions to be moved)."""

    def __init__(self, looks: list[tuple[int, int]]) -> None:
        self.nodes = [0, 1]
        self._looks = iter(looks)
        self._look = (0, 0)
        self.left = len(looks)
        self.asked_while_moving = self.whole = 0

    def status(self, node: int) -> dict[str, Any]:
        if node == 0:
            self._look = next(self._looks, (0, 0))
            self.left -= 1
        return {"rebalancing": {"under_way": 0 if node == 0 else self._look[0]}}

    def ask(self, node: int, *words: str) -> dict[str, Any]:
        assert words == ("rebalance",)
        self.asked_while_moving += bool(self._look[0])
        return {"to_move": 0 if node == 0 else self._look[1]}

    def wait_whole(self, seconds_max: float) -> dict[str, Any]:
        self.whole += 1
        return {}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(clusters, "PLACED_SECONDS", 0.02)


@pytest.mark.parametrize("last", [(1, 0), (0, 1)], ids=["is moved", "is to be moved"])
def test_it_waits_for_what_is_moved_and_for_what_is_to_be(last: tuple[int, int]) -> None:
    town = FakeTown([(3, 9), (0, 7), (2, 5), last])
    clusters.wait_placed(cast("Town", town))
    assert town.left <= -1, "looked until there was nothing"
    assert town.whole == 1, "who took over may have had one copy for a moment"
    assert not town.asked_while_moving, "asking tries again at once what failed"


def test_what_never_ends_is_told() -> None:
    town = FakeTown([(0, 4)] * 100_000)
    with pytest.raises(StageError, match="4 partitions"):
        clusters.wait_placed(cast("Town", town), 0.05)


def test_a_load_that_is_spoiled_says_what_happened_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: Iterator[dict[str, int]] = iter(
        ({"announced": 120, "moved": 5}, {"announced": 145, "moved": 9})
    )

    def spoiled(*_: object, **__: object) -> None:
        raise NotAllArrivedError("cluster: repeated=25")

    monkeypatch.setattr(clusters, "wait_placed", lambda _: None)
    monkeypatch.setattr(clusters, "members_of", lambda _: None)
    monkeypatch.setattr(clusters, "_happened", lambda _: next(happened))
    monkeypatch.setattr(cluster_load, "load", spoiled)
    with pytest.raises(NotAllArrivedError, match=r"repeated=25; meanwhile: \{'announced': 25, 'moved': 4\}"):
        clusters.load(cast("Town", FakeTown([])), 120, 5, 1.0)
