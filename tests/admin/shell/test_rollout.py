"""New code through several nodes: in order, watched, and undone everywhere at the first that gets worse."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from admin.channel.errors import NotReached, Refused
from admin.commands.table import CommandError
from admin.shell.nodes import Nodes
from admin.shell.rollout import DONE, MIXED, NOT_BEGUN, UNDONE, Order, RollOut, line_of, order_of


@attrs.define
class FakeNode:
    """A node that reloads as it is told."""

    plan: str = "new"
    has_it: bool = False
    refused: list[dict[str, str]] = attrs.Factory(list)
    way_back: bool = True
    broken: str = ""
    apply_fails: str = ""
    worse_after_looks: int = 0
    dies_after_looks: int = 0
    history: list[dict[str, Any]] = attrs.Factory(list)
    in_effect: bool = False
    looks: int = 0
    watch: str = ""

    def ask(self, words: Sequence[str]) -> Any:
        if self.broken:
            raise NotReached(self.broken)
        match tuple(words[:2]):
            case ("reload", "plan"):
                return {
                    "id": self.plan,
                    "can_be_applied": not self.has_it and not self.refused,
                    "can_be_rolled_back": self.way_back,
                    "refused": self.refused,
                    "notes": [],
                }
            case ("reload", "apply"):
                if self.apply_fails:
                    raise Refused(self.apply_fails)
                assert words[2:5] == ("--plan", self.plan, "--watch")
                self.watch = words[5]
                self.in_effect = True
                self.history.append({"id": 7, "state": "watched", "cause": "", "rolled_back_by": None})
                return {"reload": 7, "pause_ms": 1.5}
            case ("reload", "history"):
                self.looks += 1
                if self.looks == self.worse_after_looks:
                    self.in_effect = False
                    self.history[-1] |= {
                        "state": "rolled_back",
                        "rolled_back_by": "health watch",
                        "cause": "errors: 9",
                    }
                if self.looks == self.dies_after_looks:
                    self.history[-1] |= {"state": "cut_off", "cause": "the node ended"}
                    self.in_effect = False
                return self.history
            case ("reload", "rollback"):
                assert words[2:] == ("--plan", self.plan)
                if not self.in_effect:
                    return {"state": "nothing to roll back"}
                self.in_effect = False
                self.history[-1]["state"] = "rolled_back"
                return {"state": "rolled_back"}
        raise AssertionError(words)


class FakeCluster(Nodes):
    def __init__(self, nodes: dict[str, FakeNode]) -> None:
        super().__init__(dict.fromkeys(nodes, lambda: pytest.fail("nobody is connected to")))
        self.nodes = nodes

    def ask(
        self,
        name: str,
        words: Sequence[str],
        item: Callable[[Any], None] | None = None,
        *,
        seconds_max: float = 0.0,
        stop: Callable[[], bool] | None = None,
    ) -> Any:
        return self.nodes[name].ask(tuple(words))


class Run:
    """One roll-out under a clock of its own."""

    def __init__(self, order: Order | None = None, **nodes: FakeNode) -> None:
        self.nodes = nodes
        self.events: list[dict[str, Any]] = []
        self.now = 0.0
        self.on_sleep: Callable[[], None] = lambda: None
        self._roll = RollOut(
            FakeCluster(nodes),
            tuple(nodes),
            order or Order(),
            self.events.append,
            lambda: self.now,
            self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_sleep()

    def run(self) -> int:
        status = self._roll.run()
        assert all(line_of(event) for event in self.events)
        return status

    def what(self, *kinds: str) -> list[tuple[str, str]]:
        return [(one["what"], one.get("node", "")) for one in self.events if one["what"] in kinds]


def test_canaries_first_and_then_one_after_the_other_each_after_the_bake_of_those_before() -> None:
    run = Run(Order(canary=2, bake_s=60), a=FakeNode(), b=FakeNode(), c=FakeNode(), d=FakeNode())
    assert run.run() == DONE
    assert run.what("applied", "no worse", "baking") == [
        ("applied", "a"),
        ("applied", "b"),
        ("baking", ""),
        ("no worse", "a"),
        ("no worse", "b"),
        ("applied", "c"),
        ("baking", ""),
        ("no worse", "c"),
        ("applied", "d"),
        ("baking", ""),
        ("no worse", "d"),
    ]
    assert 180 <= run.now < 185
    assert [run.nodes[name].watch for name in "abcd"] == ["225s", "225s", "150s", "75s"], (
        "until the last step"
    )


def test_the_first_that_gets_worse_stops_it_and_it_is_undone_on_all() -> None:
    run = Run(a=FakeNode(), b=FakeNode(worse_after_looks=3), c=FakeNode())
    assert run.run() == UNDONE
    assert run.what("applied", "worse", "undone") == [
        ("applied", "a"),
        ("applied", "b"),
        ("worse", "b"),
        ("undone", "a"),
    ]
    assert not any(node.in_effect for node in run.nodes.values())
    assert "errors: 9" in run.events[-1]["cause"]


def test_one_that_was_baked_before_is_still_looked_at() -> None:
    run = Run(a=FakeNode(worse_after_looks=70), b=FakeNode(), c=FakeNode())
    assert run.run() == UNDONE
    assert [name for _, name in run.what("applied")] == ["a", "b"]


def test_an_apply_that_fails_is_undone_where_it_was_done() -> None:
    run = Run(a=FakeNode(), b=FakeNode(apply_fails="files changed meanwhile"))
    assert run.run() == UNDONE
    assert "files changed meanwhile" in run.events[-1]["cause"]
    assert not run.nodes["a"].in_effect


def test_one_that_has_it_is_left_out_and_undone_with_the_others() -> None:
    """So the same command goes on after a lost terminal."""
    left = FakeNode(has_it=True, in_effect=True, history=[{"id": 3, "state": "watched", "cause": ""}])
    run = Run(a=left, b=FakeNode())
    assert run.run() == DONE
    assert run.what("has it", "planned", "applied") == [("has it", "a"), ("planned", "b"), ("applied", "b")]
    run = Run(a=left, b=FakeNode(worse_after_looks=1))
    assert run.run() == UNDONE
    assert not left.in_effect
    run = Run(a=FakeNode(has_it=True))
    assert (run.run(), run.what("applied")) == (DONE, [])


@pytest.mark.parametrize(
    ("other", "order", "cause"),
    [
        (FakeNode(broken="nobody listens"), Order(), "not every node could plan it"),
        (
            FakeNode(refused=[{"module": "m", "name": "C", "kind": "k", "cause": "why", "remedy": "so"}]),
            Order(),
            "refused on all",
        ),
        (FakeNode(plan="else"), Order(), "files differ"),
        (FakeNode(way_back=False), Order(), "--one-way"),
        (FakeNode(), Order(plan="former"), "former was planned"),
    ],
)
def test_nothing_is_touched_unless_all_can_do_it(other: FakeNode, order: Order, cause: str) -> None:
    run = Run(order, a=FakeNode(), b=other)
    assert run.run() == NOT_BEGUN
    assert cause in run.events[-1]["cause"]
    assert not run.nodes["a"].history


def test_what_has_no_way_back_is_done_if_it_is_meant() -> None:
    assert Run(Order(one_way=True), a=FakeNode(way_back=False)).run() == DONE


def test_a_node_that_falls_silent_got_worse_and_who_cannot_be_reached_is_said() -> None:
    run = Run(a=FakeNode(), b=FakeNode())
    run.on_sleep = lambda: setattr(run.nodes["a"], "broken", "no answer" if run.now > 5 else "")
    assert run.run() == MIXED
    assert run.what("applied", "not undone") == [("applied", "a"), ("not undone", "a")]
    assert run.events[-1]["left"] == ["a"]
    assert run.now < 30


def test_a_short_silence_is_none() -> None:
    run = Run(a=FakeNode())
    run.on_sleep = lambda: setattr(run.nodes["a"], "broken", "no answer" if 5 < run.now < 12 else "")
    assert run.run() == DONE


def test_a_node_that_ended_has_started_from_its_files_and_cannot_be_undone() -> None:
    run = Run(a=FakeNode(dies_after_looks=2), b=FakeNode())
    assert run.run() == MIXED
    assert run.events[-1]["left"] == ["a"]


def test_ctrl_c_undoes_it() -> None:
    run = Run(a=FakeNode(), b=FakeNode())

    def interrupt() -> None:
        raise KeyboardInterrupt

    run.on_sleep = interrupt
    assert run.run() == UNDONE
    assert "Ctrl-C" in run.events[-1]["cause"]
    assert not run.nodes["a"].in_effect


def test_the_words_of_it_are_read() -> None:
    assert order_of(["reload", "plan"]) is None
    assert order_of(["reload", "apply"]) == Order()
    assert order_of(
        ["reload", "apply", "w.whl", "--canary", "3", "--bake", "2m", "--plan", "x", "--one-way"]
    ) == Order("w.whl", "x", 3, 120.0, True)
    with pytest.raises(CommandError, match="no option --watch"):
        order_of(["reload", "apply", "--watch", "3s"])
