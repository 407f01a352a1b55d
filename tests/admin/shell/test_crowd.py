"""Several nodes at one time: in parallel but bounded, each with its own trouble, and ended by Ctrl-C."""

import io
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from admin.channel.errors import NotReached, Refused
from admin.shell.crowd import NOT_ASKED, Asked, Reply, ask_each, silence_of
from admin.shell.nodes import Nodes
from admin.shell.rendering import console
from admin.shell.together import show_together, to_line

GIVE_UP_S = 10.0
Answer = Callable[[Callable[[Any], None], Callable[[], bool]], Any]


class FakeNodes(Nodes):
    """Nodes that answer as they are told."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(dict.fromkeys(answers, lambda: pytest.fail("nobody is connected to")))
        self._answers = answers
        self.silences: list[float] = []
        self.forgotten: list[str] = []

    def ask(
        self,
        name: str,
        words: Sequence[str],
        item: Callable[[Any], None] | None = None,
        *,
        seconds_max: float = 0.0,
        stop: Callable[[], bool] | None = None,
    ) -> Any:
        self.silences.append(seconds_max)
        assert item is not None
        assert stop is not None
        return self._answers[name](item, stop)

    def forget(self, names: Sequence[str]) -> None:
        self.forgotten += names


def give(data: Any) -> Answer:
    return lambda _item, _stop: data


def fail(error: Exception) -> Answer:
    def raised(_item: Callable[[Any], None], _stop: Callable[[], bool]) -> Any:
        raise error

    return raised


def test_what_one_answers_is_no_others_trouble() -> None:
    nodes = FakeNodes(
        {"a": fail(NotReached("gone")), "b": give(1), "c": fail(Refused("no")), "d": fail(ValueError("odd"))}
    )
    told: list[Reply] = []
    asked = ask_each(nodes, nodes.names, ("ping",), told.append)
    assert [reply.node for reply in asked.replies] == ["a", "b", "c", "d"]
    assert asked.replies[1] == Reply("b", "done", 1)
    assert [reply.error.split(" ")[0] for reply in asked.failed] == ["gone", "no", "ValueError:"]
    assert sorted(told, key=lambda reply: reply.node) == list(asked.replies)
    assert not asked.stopped


def test_who_leaves_it_to_another_node_has_not_failed_if_one_has_done_it() -> None:
    other = fail(Refused("ask a", other_node=True))
    asked = ask_each(FakeNodes({"a": give(1), "b": other, "c": other}), "abc", ("ping",), lambda reply: None)
    assert (asked.failed, asked.done) == ((), 1)
    assert json.loads(to_line(asked.replies[1]))["other_node"] is True
    asked = ask_each(
        FakeNodes({"a": fail(Refused("no")), "b": other, "c": give(1)}), "abc", ("ping",), lambda reply: None
    )
    assert [reply.node for reply in asked.failed] == ["a"]
    asked = ask_each(FakeNodes({"a": fail(Refused("no")), "b": other}), "ab", ("ping",), lambda reply: None)
    assert [reply.node for reply in asked.failed] == ["a", "b"]


def test_no_more_are_asked_at_one_time_than_may_be() -> None:
    together = threading.Barrier(3)
    running = threading.Semaphore(3)

    def answer(_item: Callable[[Any], None], _stop: Callable[[], bool]) -> Any:
        assert running.acquire(blocking=False), "a fourth"
        together.wait(GIVE_UP_S)
        running.release()
        return True

    nodes = FakeNodes(dict.fromkeys("abcdef", answer))
    asked = ask_each(nodes, nodes.names, ("ping",), lambda reply: None, parallel=3)
    assert [reply.data for reply in asked.replies] == [True] * 6


def test_the_time_of_each_is_that_of_the_command_or_as_asked() -> None:
    nodes = FakeNodes({"a": give(1)})
    ask_each(nodes, ("a",), ("ping",), lambda reply: None)
    ask_each(nodes, ("a",), ("reload", "plan"), lambda reply: None)
    ask_each(nodes, ("a",), ("a", "newer", "one"), lambda reply: None, seconds_max=2)
    assert nodes.silences == [35.0, 125.0, 2]
    assert silence_of(("a", "newer", "one")) == 35.0


def test_ctrl_c_ends_it_everywhere_and_a_second_one_does_not_wait() -> None:
    ends = threading.Event()

    def until_stopped(item: Callable[[Any], None], stop: Callable[[], bool]) -> Any:
        item("begun")
        while not stop():
            ends.wait(0.01)
        raise Refused("ended")

    def never(item: Callable[[Any], None], stop: Callable[[], bool]) -> Any:
        until_stopped_once = threading.Event()
        item("begun")
        while not stop():
            until_stopped_once.wait(0.01)
        item("still here")
        ends.wait(GIVE_UP_S)

    def interrupt(reply: Reply) -> None:
        if reply.kind == "item":
            raise KeyboardInterrupt

    nodes = FakeNodes({"a": until_stopped, "b": give(2)})
    asked = ask_each(nodes, nodes.names, ("drain",), interrupt, parallel=1)
    assert asked == Asked((Reply("a", "error", error="ended"), Reply("b", "error", error=NOT_ASKED)), True)
    nodes = FakeNodes({"a": never})
    with pytest.raises(KeyboardInterrupt):
        ask_each(nodes, nodes.names, ("drain",), interrupt)
    assert nodes.forgotten == ["a"], "its thread still has the connection"
    ends.set()


def shown(*replies: Reply) -> list[str]:
    out = io.StringIO()
    show_together(Asked(replies), console(out))
    return [line for line in out.getvalue().splitlines() if line.strip()]


def test_tables_of_one_form_are_one_and_equal_answers_are_shown_once() -> None:
    rows = shown(Reply("a", "done", [{"x": 1}]), Reply("b", "done", []), Reply("c", "done", [{"x": 2}]))
    assert [row.split() for row in rows[:1] + rows[2:]] == [["node", "x"], ["a", "1"], ["c", "2"]]
    assert shown(Reply("a", "done", "same"), Reply("b", "done", "else"), Reply("c", "done", "same")) == [
        "a c:",
        "same",
        "b:",
        "else",
    ]
    assert shown(Reply("a", "done", [{"x": 1}]), Reply("b", "done", [{"y": 1}]))[0] == "a:"


def test_a_reply_is_a_line_of_json() -> None:
    assert json.loads(to_line(Reply("a", "error", error="no\n"))) == {
        "node": "a",
        "kind": "error",
        "error": "no\n",
    }
    assert "\n" not in to_line(Reply("a", "item", {"x": "\n"}))
