"""Results as text: they fit the terminal, say everything, and move no cursor."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.shell.plain import to_json
from admin.shell.rendering import console, show, show_told


def shown(result: Any, width: int | None = None) -> str:
    out = io.StringIO()
    show(result, console(out, width))
    return out.getvalue()


def test_equal_rows_are_a_table_with_numbers_to_the_right() -> None:
    text = shown([{"name": "a", "count": 5}, {"name": "long name", "count": 12_345}])
    lines = [line.split() for line in text.splitlines() if line.strip()]
    assert lines[0] == ["name", "count"]
    assert lines[2:] == [["a", "5"], ["long", "name", "12345"]]
    ends = [line.rstrip() for line in text.splitlines() if line.rstrip().endswith("5")]
    assert len({len(line) for line in ends}) == 1


def test_a_mapping_is_two_columns_and_its_tables_come_below() -> None:
    text = shown({"a": {"b": 1, "c": {"d": True}}, "rows": [{"x": 1}], "none": None, "empty": {}})
    lines = [line.split() for line in text.splitlines() if line.strip()]
    assert lines[:4] == [["a.b", "1"], ["a.c.d", "yes"], ["none", "-"], ["empty", "-"]]
    assert lines[4:6] == [["rows"], ["x"]]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "-"),
        ("changed", "changed"),
        (1.25, "1.25"),
        ([], "nothing"),
        (["a", "b"], "a\nb"),
        (False, "no"),
    ],
)
def test_plain_values_are_lines(result: Any, said: str) -> None:
    assert shown(result) == f"{said}\n"


def test_without_a_terminal_nothing_is_cut_or_folded() -> None:
    assert "x" * 5_000 in shown([{"text": "x" * 5_000, "n": 1}])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=100),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(20, 120))
def test_whatever_the_result_it_fits_and_no_cursor_moves(result: Any, width: int) -> None:
    text = shown(result, width)
    assert all(character.isprintable() or character == "\n" for character in text)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({"name": st.text("abc \n", max_size=200), "n": st.integers()}), min_size=1)
)
def test_a_table_is_no_wider_than_its_terminal(rows: list[dict[str, Any]]) -> None:
    assert all(len(line) <= 60 for line in shown(rows, 60).splitlines())


def test_markup_in_a_result_is_shown_as_it_is() -> None:
    assert "[bold]x[/bold] :smile:" in shown({"agent": "[bold]x[/bold] :smile:"})


def test_what_is_told_before_a_result_is_a_line_each() -> None:
    file = io.StringIO()
    out = console(file)
    frame = {"at": 12.5, "way": "in", "verb": "SEND", "to": None, "sizes": [3, 4], "who": "\x1b[2Ja"}
    show_told(frame, out)
    show_told("half", out, "n1")
    first, second = file.getvalue().splitlines()
    assert first.startswith("at=12.5  way=in  verb=SEND  sizes=3 4  who=")
    assert first.isprintable()
    assert second == "n1: half"


def test_json_is_the_result_itself_and_safe_to_print() -> None:
    result = {"a": [1, None, "\x1b[2Jé"]}
    assert json.loads(to_json(result)) == result
    assert to_json(result).isascii()
