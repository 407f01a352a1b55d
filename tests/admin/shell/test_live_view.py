"""The live view without a terminal: what is shown of what nodes said, and what keys do to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.shell.screen import Row, changes, keys_of
from admin.shell.topstate import COLUMNS, LATE_S, SORTS, TopState
from admin.shell.topview import KEYS, ONE, view


def picture(**more: Any) -> dict[str, Any]:
    figures = dict.fromkeys((name for _, name, _ in ONE), 1.0)
    return {
        "node": "ab" * 8,
        "version": "v1",
        "up_s": 60.0,
        "draining": False,
        **figures,
        "sessions": 5,
        "taken_per_s": 10.0,
        "delivered_per_s": 9.0,
        "accepted_ms_p99": 3.0,
        "lag_ms_p99": 0.5,
        "cpu_percent": 12.0,
        "resident_bytes": 64 << 20,
        "queues": [],
        "alarms": [],
        "alarms_raised": 0,
        **more,
    }


def queue(name: str, length: int, age_s: float = 0.5) -> dict[str, Any]:
    return {
        "queue": name,
        "length": length,
        "in_per_s": 1.0,
        "out_per_s": 2.0,
        "age_s": age_s,
        "drain_s": None,
    }


def texts(state: TopState, width: int = 80, height: int = 24) -> list[str]:
    rows = view(state, 100.0, 1_800_000_000.0, width, height)
    assert len(rows) == height
    assert rows[-1].text == KEYS[:width]
    return [row.text for row in rows]


def three() -> TopState:
    state = TopState.of(["a", "b", "c"])
    state.take("a", picture(taken_per_s=5, queues=[queue("mail", 40, 2.0)]), "", 100.0)
    state.take("b", picture(taken_per_s=500, accepted_ms_p99=30), "", 100.0)
    return state


def test_all_nodes_have_a_line_and_together_one() -> None:
    lines = texts(three())
    assert lines[1].split() == ["node", *(heading for heading, _, _ in COLUMNS)]
    assert lines[2].split()[:4] == ["a", "5", "5", "9"]
    assert lines[4].split() == ["c", "…"]
    assert lines[5].split() == ["all", "3", "10", "505", "18", "30", "0.5", "40", "2", "24", "128", "0"]
    assert lines[6].split()[:2] == ["node", "queue"]
    assert lines[7].split() == ["a", "mail", "40", "1", "2", "2", "-"]


def test_it_is_sorted_by_every_column_and_reversed() -> None:
    state = three()
    assert state.ordered() == ["a", "b", "c"]
    state.press("s")
    state.press("s")
    assert (state.sort, state.ordered()) == ("in/s", ["b", "a", "c"])
    state.press("r")
    assert state.ordered() == ["a", "b", "c"], "who isn't known is last either way"
    state.press("S")
    state.press("S")
    assert (state.sort, state.ordered()) == ("node", ["c", "b", "a"])
    for _ in SORTS:
        state.press("s")
        assert sorted(state.ordered()) == ["a", "b", "c"]


def test_one_node_is_chosen_and_left_again() -> None:
    state = three()
    for key in ("down", "enter"):
        assert state.press(key)
    lines = texts(state)
    assert lines[1].startswith("b  abababababababab  v1  up 60 s")
    assert any("accepted p99 ms        30" in line for line in lines)
    state.press("escape")
    assert state.chosen == "b"
    assert texts(state)[1].startswith("node")
    assert texts(TopState.of(["only"]))[0].endswith("only")


def test_of_a_member_its_cluster_is_shown_and_of_a_node_that_stands_alone_nothing() -> None:
    state = TopState.of(["only"])
    state.take("only", picture(), "", 100.0)
    assert "members" not in "".join(texts(state))
    of_members = {"members": 3, "members_alive": 2, "partitions_unserved": 45, "copies_lag_s": 12.5}
    state.take("only", picture(**of_members), "", 101.0)
    lines = texts(state)
    for said in ("members alive           2", "unserved               45", "copies lag s         12.5"):
        assert any(said in line for line in lines), said
    assert "links down              -" in "".join(lines), "what isn't known"


def test_a_node_that_is_silent_is_lost_and_comes_back() -> None:
    state = three()
    state.take("a", None, "nobody listens", 101.0)
    lines = texts(state)
    assert lines[0].split("  ")[2:4] == ["3 nodes", "1 lost"]
    assert lines[2].startswith("a          lost, last heard 0 s ago: nobody listens")
    assert not any("mail" in line for line in lines), "what waits there isn't known now"
    assert state.is_lost("b", 100.0 + LATE_S + 1)
    state.take("a", picture(), "", 102.0)
    assert not state.is_lost("a", 102.0)


def test_during_a_pause_the_picture_stays() -> None:
    state = three()
    before = texts(state)[1:]
    state.press("p")
    state.take("a", picture(taken_per_s=77), "", 100.5)
    assert texts(state)[1:] == before
    assert texts(state)[0].endswith("PAUSED")
    assert not state.is_lost("a", 1_000.0)
    state.press(" ")
    state.take("a", picture(taken_per_s=77), "", 100.5)
    assert texts(state)[2].split()[2] == "77"


def test_alarms_are_shown_in_red_whoever_has_them() -> None:
    state = three()
    alarm = {"name": "lag mail", "since": 1_800_000_000.0 - 300, "text": "waits\x1b[2J", "value": 1}
    state.take("b", picture(alarms=[alarm], alarms_raised=1), "", 100.0)
    rows = view(state, 100.0, 1_800_000_000.0, 80, 24)
    (row,) = [row for row in rows if row.text.startswith("ALARM")]
    assert row == Row("ALARM for 5 m  b: waits\N{REPLACEMENT CHARACTER}[2J", "alarm")


def test_the_chosen_one_of_many_is_on_the_screen() -> None:
    state = TopState.of([f"n{number:02}" for number in range(50)])
    for name in state.nodes:
        state.take(name, picture(queues=[queue("mail", 9)]), "", 100.0)
    for _ in range(30):
        state.press("down")
    rows = view(state, 100.0, 0.0, 80, 24)
    (row,) = [row for row in rows if row.style == "chosen"]
    assert row.text.startswith("n30")
    assert any("more: choose" in row.text for row in rows)
    assert any(row.text.startswith("all 50") for row in rows)


@given(st.lists(st.sampled_from(["s", "S", "r", "up", "down", "enter", "escape", "p", "h", "x"])))
def test_no_keys_break_it(keys: list[str]) -> None:
    state = three()
    for key in keys:
        assert state.press(key)
        for width, height in ((80, 24), (20, 6), (200, 60)):
            texts(state, width, height)
    state.helping = False
    assert not state.press("q")


class Glass:
    """What a terminal makes of it: rows that are addressed, written and cleared to their end."""

    def __init__(self, height: int) -> None:
        self.rows = [""] * height

    def write(self, text: str) -> int:
        written = text.split("\x1b[")
        touched = 0
        place = 0
        for part in written[1:]:
            code = next(at for at, character in enumerate(part) if character.isalpha())
            if part[code] == "H":
                place = int(part[:code].split(";")[0]) - 1
                self.rows[place] = ""
                touched += 1
            self.rows[place] += part[code + 1 :]
        return touched


@given(
    st.lists(st.sampled_from("abc"), max_size=5),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["plain", "chosen"])), max_size=5),
)
def test_only_what_changed_is_written(before: list[str], after: list[tuple[str, Any]]) -> None:
    glass = Glass(5)
    first, second = [Row(text) for text in before], [Row(*one) for one in after]
    glass.write(changes([], first, 10))
    touched = glass.write(changes(first, second, 10))
    padded = second + [Row("")] * (5 - len(second))
    assert [row.rstrip() for row in glass.rows] == [row.text for row in padded]
    same = sum(one == other for one, other in zip(first, second, strict=False))
    assert touched == max(len(first), len(second)) - same


@pytest.mark.parametrize(
    ("sent", "keys"),
    [("\x1b[A\x1b[Bq", ["up", "down", "q"]), ("\x1b", ["escape"]), ("\r\x04", ["enter", "q"]), ("", [])],
)
def test_keys_have_names(sent: str, keys: list[str]) -> None:
    assert keys_of(sent) == keys
