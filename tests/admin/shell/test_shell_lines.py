"""What a line means, what may come next on it, and what is remembered of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.commands.registry import COMMANDS
from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.shell.completion import suggestions
from admin.shell.history import LINES_MAX, LineHistory, history_path
from admin.shell.lines import LINE_MAX, Line, is_secret, read_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", Line("nothing")),
        ("  # a comment", Line("nothing")),
        ("stats mail", Line("run", ("stats", "mail"))),
        ("knob set session.agent 'a node'", Line("run", ("knob", "set", "session.agent", "a node"))),
        ("watch stats", Line("watch", ("stats",), 2.0)),
        ("watch 500ms stats mail", Line("watch", ("stats", "mail"), 0.5)),
        ("json stats", Line("run", ("stats",), json=True)),
        ("stats --json mail", Line("run", ("stats", "mail"), json=True)),
        ("watch 1s stats mail --json", Line("watch", ("stats", "mail"), 1.0, json=True)),
        ("json watch stats", Line("watch", ("stats",), 2.0, json=True)),
        ("top --json", Line("top", json=True)),
        ("use d2 --json", Line("use", ("d2",))),
        ("profile --output 'a b.svg'", Line("run", ("profile",), output="a b.svg")),
        ("stats --output=s.json", Line("run", ("stats",), output="s.json")),
        ("knob set session.agent -- --json", Line("run", ("knob", "set", "session.agent", "--", "--json"))),
        ("user block --help", Line("run", ("help", "user", "block"))),
        ("use d2", Line("use", ("d2",))),
        ("exit", Line("exit")),
        ("quit", Line("exit")),
    ],
)
def test_a_line_is_read(text: str, line: Line) -> None:
    assert read_line(text) == line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user 'block", "close the quote"),
        ("watch", "watch needs a command"),
        ("watch 5", "watch needs a command"),
        ("watch 5x stats", "write a duration"),
        ("watch 1ms stats", "watch every 0.2 to 3600 seconds"),
        ("use", "use takes one"),
        ("stats --output", "--output needs a file"),
        ("watch stats --output f", "asked once"),
        ("top --output f", "asked once"),
        ("x" * (LINE_MAX + 1), "at most"),
    ],
)
def test_a_line_that_makes_no_sense_is_said(text: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        read_line(text)


def words(text: str) -> list[str]:
    return [word for word, _ in suggestions(COMMANDS, ("d1", "d2"), text)]


def test_completion_goes_through_names_options_and_values() -> None:
    assert {"watch", "use", "exit", "help", "user", "stats"} <= set(words(""))
    assert words("user ") == ["block", "delete", "show", "unblock"]
    assert words("user b") == ["block"]
    assert words("connections list --ph") == ["--phase"]
    assert words("connections list --phase ") == ["asking", "greeted", "new", "talking"]
    assert "--phase" not in words("connections list --phase talking ")
    assert words("user show +15551230001 --") == ["--json", "--output"]
    assert words("user show --output x --") == ["--json"]
    assert "mail.sync_delay_ms" in words("knob set mail.")
    assert words("log level w") == ["warning"]
    assert words("watch 2s user sh") == ["show"]
    assert words("help user sh") == ["show"]
    assert words("use ") == ["all", "d1", "d2"]
    assert words("nothing ") == []


def test_every_command_can_be_reached_by_completion() -> None:
    for command in COMMANDS:
        text = ""
        for word in command.name.split(" "):
            assert word in words(text), command.name
            text += f"{word} "


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(["user", "block", "--for", "watch", "2s", "help", "x", "", "use", "-"])))
def test_whatever_is_typed_completion_gives_what_is_begun(parts: list[str]) -> None:
    text = " ".join(parts)
    begun = text.rpartition(" ")[2]
    assert all(word.startswith(begun) for word in words(text))


# ---- history -------------------------------------------------------------------------------------------------


async def _run(context: Context, arguments: Mapping[str, Any]) -> Any:
    return None


SECRET = Command(
    name="key set",
    role=Role.DEPLOYER,
    summary="Does.",
    help="Does.",
    example="key set",
    run=_run,
    parameters=(Parameter(name="key", help="A key.", secret=True),),
)


def test_lines_are_remembered_by_the_next_shell_but_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    one = LineHistory(path, lambda text: is_secret((*COMMANDS, SECRET), text))
    for line in ("stats", "key set 1234", "user show +1555", "two\nlines"):
        one.store_string(line)
    assert path.stat().st_mode & 0o777 == 0o600
    other = LineHistory(path, lambda _: False)
    assert list(other.load_history_strings()) == ["two\nlines", "user show +1555", "stats"]


def test_the_history_is_bounded_and_survives_damage(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = LineHistory(path, lambda _: False)
    path.write_text("".join(f'"line {n}"\n' for n in range(2 * LINES_MAX)) + '"cut off')
    history.store_string("the last")
    assert len(path.read_text().splitlines()) == LINES_MAX + 1
    assert next(iter(history.load_history_strings())) == "the last"


def test_a_history_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    LineHistory(tmp_path / "file" / "history", lambda _: False).store_string("stats")


def test_the_history_is_where_state_belongs() -> None:
    assert history_path({"XDG_STATE_HOME": "/s"}) == Path("/s/waystation/shell-history")
    assert history_path({}).parts[-4:] == (".local", "state", "waystation", "shell-history")
