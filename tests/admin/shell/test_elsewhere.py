"""The history of a node that is asked for it, read as a file is."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from admin.channel.errors import NotReached
from admin.commands.statistics import FIGURES_MAX
from admin.shell.elsewhere import LIVE_S, HistoryElsewhere
from admin.shell.nodes import Nodes
from admin.statistics.history import HistoryUnreadable
from admin.statistics.layout import MINUTE, SECOND

NOW = 1_800_000_000.0
FIGURES = [f"f{number}" for number in range(FIGURES_MAX + 2)]


class FakeNode(Nodes):
    """Has kept `seconds` records, of which f1 is missing."""

    def __init__(self, seconds: int) -> None:
        super().__init__({"far": lambda: pytest.fail("nobody is connected to")})
        self.seconds = seconds
        self.asked: list[Sequence[str]] = []
        self.broken = False

    def ask(
        self,
        name: str,
        words: Sequence[str],
        item: Callable[[Any], None] | None = None,
        *,
        seconds_max: float = 0.0,
        stop: Callable[[], bool] | None = None,
    ) -> Any:
        if self.broken:
            raise NotReached("gone")
        self.asked.append(words)
        kept = words.index("--kept")
        figures, last = words[1:kept], float(words[kept + 2].rstrip("s"))
        return [
            {
                "at": NOW - self.seconds + second,
                **{one: None if one == "f1" else float(one[1:]) for one in figures},
            }
            for second in range(1, self.seconds + 1)
            if self.seconds - second < last
        ]


def reader(node: FakeNode, clock: Callable[[], float] = lambda: 0.0) -> HistoryElsewhere:
    return HistoryElsewhere(node, "far", FIGURES, lambda: NOW, clock)


def test_more_figures_than_one_answer_has_are_put_together() -> None:
    node = FakeNode(5)
    history = reader(node)
    records = history.records(SECOND, since=NOW - 60)
    assert [record.at for record in records] == [NOW - 4 + second for second in range(5)]
    assert {record.covers_s for record in records} == {1.0}
    assert records[0].by_name(history.names()) == {name: float(name[1:]) for name in FIGURES if name != "f1"}
    assert [len(words) - 4 for words in node.asked] == [FIGURES_MAX, 2]
    assert math.isnan(records[0].values[1])


def test_what_is_further_back_is_asked_for_as_far_as_it_goes() -> None:
    node = FakeNode(5)
    reader(node).records(SECOND)
    reader(node).records(MINUTE)
    assert {words[-1] for words in node.asked} == {"3600s", "604800s"}


def test_what_is_new_is_asked_for_once_a_second() -> None:
    node, now = FakeNode(30), [100.0]
    history = reader(node, lambda: now[0])
    newest = history.newest(SECOND, round(NOW) - 3)
    assert [record.sequence for record in newest] == [round(NOW) - 2, round(NOW) - 1, round(NOW)]
    asked = len(node.asked)
    assert history.newest(SECOND, 0) == []
    assert len(node.asked) == asked
    now[0] += LIVE_S
    assert history.newest(SECOND, round(NOW)) == []
    assert len(node.asked) == 2 * asked


def test_a_node_that_does_not_answer_is_named() -> None:
    node = FakeNode(1)
    node.broken = True
    with pytest.raises(HistoryUnreadable, match="far: gone"):
        reader(node).records(SECOND)
