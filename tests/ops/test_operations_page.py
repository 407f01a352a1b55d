"""The page on operating has every command, as the table says it, and no other."""

import re
from pathlib import Path

import pytest

from admin.commands.registry import COMMANDS
from admin.commands.table import Command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def row(command: Command) -> str:
    usage = command.usage.replace("|", "\\|")
    return f"| `{usage}` | {command.role.title} | {command.summary} |"


def listed() -> list[str]:
    text = PAGE.read_text("utf-8")
    between = re.search(r"<!-- commands -->\n(.*?)<!-- end of commands -->", text, re.DOTALL)
    assert between is not None
    return between[1].splitlines()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_page_has_every_command(command: Command) -> None:
    assert row(command) in listed()


def test_the_page_has_no_other_and_keeps_their_order() -> None:
    assert listed() == [row(command) for command in COMMANDS]
