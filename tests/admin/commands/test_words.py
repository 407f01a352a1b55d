"""Words of a line become a command and its arguments, or an error that says what to write instead."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.commands.words import find_command, read_arguments


async def _run(context: Context, arguments: Mapping[str, Any]) -> Any:
    return None


def _command(name: str, *parameters: Parameter) -> Command:
    return Command(
        name=name,
        role=Role.VIEWER,
        summary="Does.",
        help="Does.",
        example=name,
        parameters=parameters,
        run=_run,
    )


def _option(name: str, **more: Any) -> Parameter:
    return Parameter(name=name, help="What it is.", option=True, required=False, **more)


LIST = _command("user list")
BLOCK = _command(
    "user block",
    Parameter(name="number", help="Whose.", kind="phone"),
    Parameter(name="reasons", help="Why.", many=True, required=False),
    _option("for", kind="duration", low=1, high=86_400),
    _option("times", kind="integer", low=0, default=3),
    _option("share", kind="number", high=1),
    _option("by", choices=("name", "age"), default="name"),
    _option("quiet", kind="flag"),
)
USER = _command("user", Parameter(name="name", help="Whose."))
ALL = (LIST, BLOCK, USER)


def test_the_longest_name_is_found() -> None:
    assert find_command(ALL, ["user", "block", "+15551230001"]) == (BLOCK, ["+15551230001"])
    assert find_command(ALL, ["user", "x"]) == (USER, ["x"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "see help"),
        (["usr", "list"], "did you mean 'user'"),
        (["zzz"], "there is no command 'zzz': see help"),
        (["\x1b[2Jboo"], "no command '�[2Jboo'"),
    ],
)
def test_what_is_no_command_is_said(words: list[str], said: str) -> None:
    with pytest.raises(CommandError) as raised:
        find_command(ALL, words)
    assert said in str(raised.value)


def test_a_name_that_is_only_begun_shows_how_it_goes_on() -> None:
    with pytest.raises(CommandError, match="goes on with one of: list, block"):
        find_command((LIST, BLOCK), ["user", "bolck"])


def test_values_become_what_they_should_be() -> None:
    words = ["--for", "2m", "+15551230001", "spam", "--by=age", "more", "--quiet", "--", "--share"]
    assert read_arguments(BLOCK, words) == {
        "number": 15551230001,
        "reasons": ("spam", "more", "--share"),
        "for": 120.0,
        "times": 3,
        "share": None,
        "by": "age",
        "quiet": True,
    }


@pytest.mark.parametrize(
    ("word", "seconds"), [("500ms", 0.5), ("30", 30.0), ("30s", 30.0), ("1.5h", 5400.0), ("1d", 86400.0)]
)
def test_durations_have_units(word: str, seconds: float) -> None:
    command = _command("wait", Parameter(name="time", help="How long.", kind="duration"))
    assert read_arguments(command, [word]) == {"time": seconds}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "NUMBER is missing. Usage: user block NUMBER [REASONS …] [--for DURATION]"),
        (["12"], "'12' is no phone number: write it as +15551230001"),
        (["+15551230001", "--for", "soon"], "write a duration, as 500ms"),
        (["+15551230001", "--for", "2d"], "choose a value from 1 to 86400"),
        (["+15551230001", "--for"], "--for needs a value: What it is."),
        (["+15551230001", "--times", "1.5"], "write a whole number"),
        (["+15551230001", "--times", "-1"], "choose at least 0"),
        (["+15551230001", "--share", "2"], "choose at most 1"),
        (["+15551230001", "--share", "nan"], "write a number"),
        (["+15551230001", "--by", "size"], "choose one of name, age"),
        (["+15551230001", "--quiet=1"], "takes no value"),
        (["+15551230001", "--quiet", "--quiet"], "is there twice"),
        (["+15551230001", "--quite"], "did you mean --quiet?"),
        (["+15551230001", "--zzz"], "usage: user block NUMBER"),
    ],
)
def test_a_mistake_is_said_with_its_remedy(words: list[str], said: str) -> None:
    with pytest.raises(CommandError) as raised:
        read_arguments(BLOCK, words)
    assert said in str(raised.value)


def test_a_word_too_many_is_said() -> None:
    with pytest.raises(CommandError, match="'y' is one word too many"):
        read_arguments(USER, ["x", "y"])


@settings(max_examples=100)
@given(st.lists(st.text(max_size=90), max_size=8))
def test_whatever_is_written_is_arguments_or_a_named_error(words: list[str]) -> None:
    for command in ALL:
        found, said = _outcome(command, words)
        assert said.isprintable()
        assert len(said) < 300
        if not said:
            assert set(found) == {parameter.name for parameter in command.parameters}


def _outcome(command: Command, words: list[str]) -> tuple[Mapping[str, Any], str]:
    try:
        return read_arguments(command, words), ""
    except CommandError as error:
        return {}, str(error)
