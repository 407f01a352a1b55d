"""What a line of the shell means: words for the node, or one of the few things that the shell does itself. Pure."""

import shlex
from collections.abc import Sequence
from typing import Any, Final, Literal

import attrs

from admin.commands.table import Command, CommandError, Parameter
from admin.commands.words import find_command, read_duration

LINE_MAX: Final = 8_192
WATCH_S_DEFAULT: Final = 2.0
WATCH_S_MIN: Final = 0.2
WATCH_S_MAX: Final = 3_600.0

OWN: Final = (
    ("watch", "watch [SECONDS] COMMAND …: repeat a command until Ctrl-C"),
    ("top", "the nodes as they are now, every second; h tells its keys, q leaves it"),
    ("use", "use NODE|all: which of the shell's nodes the next commands are for"),
    ("json", "json COMMAND …: the result as JSON, as COMMAND … --json; of watch and top, too"),
    ("exit", "leave; so does Ctrl-D"),
)
"""What the shell does itself, and its help."""
FORM: Final = (
    Parameter(
        name="json", help="The result as JSON.", kind="flag", option=True, required=False, default=False
    ),
    Parameter(
        name="output",
        help="The result of one node into a file here: JSON; of profile a flame graph, if it ends in .svg.",
        option=True,
        required=False,
        default="",
    ),
)
"""What every command takes beside its own, as in `waystation admin`: it isn't sent to a node."""


@attrs.frozen
class Line:
    """what: run words; or repeat them every `seconds`; or use the node `words[0]`; or the live view; or leave; or
    nothing. json: the result is shown as JSON. output: the file that it goes to instead."""

    what: Literal["run", "watch", "use", "top", "exit", "nothing"]
    words: tuple[str, ...] = ()
    seconds: float = 0.0
    json: bool = False
    output: str = ""


def read_line(text: str) -> Line:
    """Raises CommandError: a quote isn't closed, or the shell's own words make no sense."""
    if len(text) > LINE_MAX:
        raise CommandError(f"a line has at most {LINE_MAX} characters")
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise CommandError(f"{str(error).lower()}: close the quote") from None
    words, form = _form(words)
    while words[:1] == ["json"] and len(words) > 1:
        words, form["json"] = words[1:], True
    line = _meant(words)
    if form.get("output") and line.what != "run":
        raise CommandError("--output takes the result of a command that is asked once")
    return attrs.evolve(line, **form) if line.what in ("run", "watch", "top") else line


def _form(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The line without what says how its result is to be shown; and that."""
    left, kept = list(words), list[str]()
    form: dict[str, Any] = {}
    while left and left[0] != "--":
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if word == "--json":
            form["json"] = True
        elif name == "--output":
            if not equals and not left:
                raise CommandError("--output needs a file")
            form["output"] = value if equals else left.pop(0)
        else:
            kept.append(word)
    return kept + left, form


def _meant(words: Sequence[str]) -> Line:
    match words:
        case []:
            return Line("nothing")
        case ["exit" | "quit"]:
            return Line("exit")
        case ["top"]:
            return Line("top")
        case ["top", *_]:
            raise CommandError("top takes nothing more: choose with use whom it is for")
        case ["use", node]:
            return Line("use", (node,))
        case ["use", *_]:
            raise CommandError("use takes one of the shell's nodes, or all")
        case ["watch", *rest]:
            return _watch(rest)
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
