"""A line's words made into a command and its arguments: by the table, with the mistake and its remedy in the error.

The node does this, whoever asks; a terminal only splits the line. What the words mean is the command's.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from admin.commands.table import NAME_WORDS_MAX, Command, CommandError, Parameter

_UNITS: Final = MappingProxyType({"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0})
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?")
_INTEGER: Final = re.compile(r"-?[0-9](?:[0-9_]{0,20}[0-9])?")
_PHONE: Final = re.compile(r"\+?([1-9][0-9]{6,14})")
SHOWN_MAX: Final = 60
"""Characters of a wrong word that an error repeats."""


def find_command(commands: Sequence[Command], words: Sequence[str]) -> tuple[Command, Sequence[str]]:
    """The command with the longest name that the words begin with, and the words after it.

    Raises:
        CommandError: there is none.
    """
    by_name = {command.name: command for command in commands}
    for count in range(min(NAME_WORDS_MAX, len(words)), 0, -1):
        found = by_name.get(" ".join(words[:count]))
        if found is not None:
            return found, words[count:]
    raise CommandError(_no_such_command(list(by_name), words))


def _no_such_command(names: list[str], words: Sequence[str]) -> str:
    if not words:
        return "no command was given: see help"
    begun = [name for name in names if name.split(" ")[0] == words[0]]
    if begun:
        return (
            f"{shown(words[0])!r} goes on with one of: {', '.join(name.partition(' ')[2] for name in begun)}"
        )
    near = difflib.get_close_matches(words[0], [name.split(" ")[0] for name in names], n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "see help"
    return f"there is no command {shown(words[0])!r}: {remedy}"


def shown(word: str) -> str:
    """What of somebody else's word an error repeats: short, and without what would move a terminal's cursor."""
    clean = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in word
    )
    return clean if len(clean) <= SHOWN_MAX else clean[: SHOWN_MAX - 1] + "…"


def read_arguments(command: Command, words: Sequence[str]) -> Mapping[str, Any]:
    """The value of every parameter, by its name; what was left out has its default.

    `--name value` and `--name=value` are the same; after `--` everything is by place.

    Raises:
        CommandError: something is missing, too much, or not what it should be.
    """
    by_name = {parameter.name: parameter for parameter in command.parameters if parameter.option}
    given: dict[str, Any] = {}
    by_place: list[str] = []
    left = list(reversed(words))
    while left:
        word = left.pop()
        if word == "--":
            by_place += reversed(left)
            break
        if not word.startswith("--"):
            by_place.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        option = by_name.get(name)
        if option is None:
            raise CommandError(_no_such_option(command, name, list(by_name)))
        if name in given:
            raise CommandError(f"--{name} is there twice: leave one out")
        if option.kind == "flag":
            if equals:
                raise CommandError(f"--{name} takes no value: leave it out")
            given[name] = True
        else:
            if not equals and not left:
                raise CommandError(f"--{name} needs a value: {option.help}")
            given[name] = _value(option, value if equals else left.pop())
    _place(command, by_place, given)
    for parameter in command.parameters:
        if parameter.name not in given:
            if parameter.required:
                raise CommandError(f"{parameter.name.upper()} is missing. Usage: {command.usage}")
            given[parameter.name] = False if parameter.kind == "flag" else _default(parameter)
    return MappingProxyType(given)


def _default(parameter: Parameter) -> Any:
    return () if parameter.many and parameter.default is None else parameter.default


def _place(command: Command, words: list[str], given: dict[str, Any]) -> None:
    rest = list(words)
    for parameter in command.parameters:
        if parameter.option or not rest:
            continue
        if parameter.many:
            given[parameter.name] = tuple(_value(parameter, word) for word in rest)
            return
        given[parameter.name] = _value(parameter, rest.pop(0))
    if rest:
        raise CommandError(f"{shown(rest[0])!r} is one word too many. Usage: {command.usage}")


def _no_such_option(command: Command, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean --{near[0]}?" if near else f"usage: {command.usage}"
    return f"{command.name} has no option --{shown(name)}: {remedy}"


def _value(parameter: Parameter, word: str) -> Any:
    kind = parameter.kind
    if kind == "text":
        if parameter.choices and word not in parameter.choices:
            raise CommandError(
                f"{parameter.name} is {shown(word)!r}: choose one of {', '.join(parameter.choices)}"
            )
        return word
    if kind == "phone":
        found = _PHONE.fullmatch(word)
        if found is None:
            raise CommandError(f"{shown(word)!r} is no phone number: write it as +15551230001")
        return int(found[1])
    value = _number(parameter, word)
    low, high = parameter.low, parameter.high
    if (low is not None and value < low) or (high is not None and value > high):
        raise CommandError(f"{parameter.name} is {shown(word)}: choose {_bounds(low, high)}")
    return value


def _bounds(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"a value from {low:g} to {high:g}"


def _number(parameter: Parameter, word: str) -> float:
    if parameter.kind == "integer":
        if _INTEGER.fullmatch(word) is None:
            raise CommandError(f"{parameter.name} is {shown(word)!r}: write a whole number")
        return int(word)
    if parameter.kind == "duration":
        return read_duration(word, parameter.name)
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CommandError(f"{parameter.name} is {shown(word)!r}: write a number")
    return value


def read_duration(word: str, name: str) -> float:
    """Seconds. Raises CommandError."""
    found = _DURATION.fullmatch(word)
    if found is None:
        raise CommandError(f"{name} is {shown(word)!r}: write a duration, as 500ms, 30s, 10m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2] or "s"]
