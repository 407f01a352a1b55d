"""What a line of the shell means: words for the node, or one of the few things that the shell does itself. Pure."""

import shlex
from collections.abc import Sequence
from typing import Final, Literal

import attrs

from admin.commands.table import Command, CommandError
from admin.commands.words import find_command, read_duration

LINE_MAX: Final = 8_192
WATCH_S_DEFAULT: Final = 2.0
WATCH_S_MIN: Final = 0.2
WATCH_S_MAX: Final = 3_600.0

OWN: Final = (
    ("watch", "watch [SECONDS] COMMAND …: repeat a command until Ctrl-C"),
    ("top", "the nodes as they are now, every second; h tells its keys, q leaves it"),
    ("use", "use NODE|all: which of the shell's nodes the next commands are for"),
    ("json", "json COMMAND …: the result as JSON"),
    ("exit", "leave; so does Ctrl-D"),
)
"""What the shell does itself, and its help."""


@attrs.frozen
class Line:
    """what: run words; or repeat them every `seconds`; or use the node `words[0]`; or the live view; or leave; or
    nothing."""

    what: Literal["run", "watch", "use", "top", "exit", "nothing"]
    words: tuple[str, ...] = ()
    seconds: float = 0.0
    json: bool = False


def read_line(text: str) -> Line:
    """Raises CommandError: a quote isn't closed, or the shell's own words make no sense."""
    if len(text) > LINE_MAX:
        raise CommandError(f"a line has at most {LINE_MAX} characters")
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise CommandError(f"{str(error).lower()}: close the quote") from None
    if not words:
        return Line("nothing")
    match words:
        case ["exit" | "quit"]:
            return Line("exit")
        case ["top"]:
            return Line("top")
        case ["json", "top"]:
            return Line("top", json=True)
        case ["top", *_]:
            raise CommandError("top takes nothing more: choose with use whom it is for")
        case ["use", node]:
            return Line("use", (node,))
        case ["use", *_]:
            raise CommandError("use takes one of the shell's nodes, or all")
        case ["watch", *rest]:
            return _watch(rest)
        case ["json", *rest] if rest:
            return Line("run", tuple(rest), json=True)
        case [*rest, "--help" | "-h"] if rest:
            return Line("run", ("help", *rest))
    return Line("run", tuple(words))


def _watch(words: Sequence[str]) -> Line:
    seconds, rest = WATCH_S_DEFAULT, list(words)
    if rest and rest[0][:1].isdigit():
        seconds = read_duration(rest.pop(0), "watch")
    if not rest:
        raise CommandError("watch needs a command: watch 2s stats mail")
    if not WATCH_S_MIN <= seconds <= WATCH_S_MAX:
        raise CommandError(f"watch every {WATCH_S_MIN:g} to {WATCH_S_MAX:g} seconds")
    return Line("watch", tuple(rest), seconds)


def is_secret(commands: tuple[Command, ...], text: str) -> bool:
    """Whether a line may hold what mustn't be kept in a history."""
    try:
        line = read_line(text)
        command, _ = find_command(commands, line.words)
    except CommandError:
        return False
    return any(parameter.secret for parameter in command.parameters)
