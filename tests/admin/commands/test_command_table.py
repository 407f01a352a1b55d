"""What a command may be, and what it finds."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from admin.commands.registry import COMMANDS
from admin.commands.table import Command, CommandError, Context, Parameter, Role, in_order


async def _run(context: Context, arguments: Mapping[str, Any]) -> Any:
    return arguments


def _command(name: str = "a thing", **changes: Any) -> Command:
    return Command(
        **{
            "name": name,
            "role": Role.VIEWER,
            "summary": "Does.",
            "help": "It does.",
            "example": name,
            "run": _run,
            **changes,
        }
    )


def _place(name: str, **more: Any) -> Parameter:
    return Parameter(name=name, help="What it is.", **more)


def test_the_higher_role_may_what_the_lower_may() -> None:
    assert Role.VIEWER < Role.OPERATOR < Role.DEPLOYER
    assert [role.title for role in Role] == ["viewer", "operator", "deployer"]


def test_usage_shows_places_options_and_flags() -> None:
    command = _command(
        parameters=(
            _place("number", kind="phone"),
            _place("words", many=True, required=False),
            _place("for", kind="duration", option=True, required=False),
            _place("all", kind="flag", option=True, required=False),
            _place("by", choices=("name", "age"), option=True, required=False),
        )
    )
    assert command.usage == "a thing NUMBER [WORDS …] [--for DURATION] [--all] [--by name|age]"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "A thing"},
        {"name": ""},
        {"name": "one two three four"},
        {"summary": "Two\nlines."},
        {"help": ""},
        {"example": "another thing"},
        {"seconds_max": 0},
        {"parameters": (_place("x"), _place("x"))},
        {"parameters": (_place("x", required=False), _place("y"))},
        {"parameters": (_place("x", many=True), _place("y"))},
    ],
    ids=str,
)
def test_a_command_that_nobody_could_use_is_not_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        _command(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Seconds"},
        {"name": "x", "kind": "flag", "required": False},
        {"name": "x", "option": True},
        {"name": "x", "kind": "integer", "choices": ("1",)},
        {"name": "x", "low": 1},
        {"name": "x", "default": "y"},
        {"name": "x", "option": True, "many": True, "required": False},
    ],
    ids=str,
)
def test_a_parameter_that_makes_no_sense_is_not_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        _place(**wrong)


def test_a_name_is_in_the_table_once() -> None:
    one, other = _command("b"), _command("a")
    assert in_order((one, other)) == (other, one)
    with pytest.raises(AssertionError, match="twice"):
        in_order((one, other, attrs.evolve(one, summary="Another.")))


def test_a_service_is_found_by_its_class_or_missed_aloud() -> None:
    context = Context(
        node=None,  # type: ignore[arg-type]
        asker="test",
        role=Role.VIEWER,
        clock=lambda: 0.0,
        services={int: 7},
    )
    assert context.service(int) == 7
    with pytest.raises(CommandError, match="without str"):
        context.service(str)


def test_the_table_is_in_order() -> None:
    assert in_order(COMMANDS) == COMMANDS
