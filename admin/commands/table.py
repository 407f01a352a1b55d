"""What a command is: its name, who may run it, what it takes, its help, and the function that does it.

Shell, one-shot commands, completion, help and tests are made of these values. A module of commands makes them and
`registry` lists them; neither a terminal nor a channel is known here.
"""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import attrs

if TYPE_CHECKING:  # a terminal that knows roles and words loads no node for it
    from node.running import Running

T = TypeVar("T")

SECONDS_MAX_DEFAULT: Final = 30.0
"""How long a command may take that says nothing else."""
SECONDS_MAX: Final = 86_400.0
NAME_WORDS_MAX: Final = 3

Kind = Literal["text", "integer", "number", "flag", "duration", "phone"]
"""What a parameter's value becomes: str, int, float, bool, seconds as a float ("90s", "5m", "2h", "1d"), or the digits
of a phone number (E.164, its + may be left out) as an int."""

_WORD: Final = re.compile(r"[a-z][a-z0-9-]*")


class Role(enum.IntEnum):
    """Who may do what; the higher may do all that the lower may."""

    VIEWER = 1
    """Look; changes nothing."""
    OPERATOR = 2
    """Change what the node does: knobs, sessions, users, draining."""
    DEPLOYER = 3
    """Change the node's code, and hand it over to another process."""

    @property
    def title(self) -> str:
        """As it is written in files and shown."""
        return self.name.lower()


class CommandError(Exception):
    """The command can't do what it was asked. The text says why, and what to do; it is shown and audited as it is."""


class OtherNode(CommandError):
    """It is for another node of the cluster, which the text names. Where all were asked, that is no failure as long as
    one has done it."""


@attrs.frozen(kw_only=True)
class Parameter:
    """One thing that a command takes: by its place, or as `--name VALUE` (a flag: `--name`).

    low, high: bounds of integer, number and duration, both included. choices: what a text may be.
    many: a text by place that takes all words that are left; the value is a tuple of them.
    secret: never shown in the audit log, nor kept in a shell's history. suggestions: what completion offers beside.
    """

    name: str
    help: str
    kind: Kind = "text"
    option: bool = False
    required: bool = True
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    many: bool = False
    secret: bool = False
    suggestions: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        assert _WORD.fullmatch(self.name), f"{self.name!r}: small letters, digits and hyphens"
        assert self.help, f"{self.name}: say what it is"
        assert self.option or self.kind != "flag", f"{self.name}: a flag is an option"
        assert not (self.required and (self.option or self.default is not None)), (
            f"{self.name}: an option, or what has a default, is not required: say required=False"
        )
        assert not self.choices or self.kind == "text", f"{self.name}: only a text has choices"
        assert not self.many or (self.kind == "text" and not self.option), f"{self.name}: many texts by place"
        bounded = self.low is not None or self.high is not None
        assert not bounded or self.kind in ("integer", "number", "duration"), f"{self.name}: has no bounds"

    @property
    def usage(self) -> str:
        """As it stands in a line of usage: NUMBER, [--seconds DURATION], [WORD …]."""
        if self.option:
            return f"[--{self.name}]" if self.kind == "flag" else f"[--{self.name} {self._value}]"
        word = f"{self._value} …" if self.many else self._value
        return word if self.required else f"[{word}]"

    @property
    def _value(self) -> str:
        if self.choices:
            return "|".join(self.choices)
        return self.kind.upper() if self.option else self.name.upper()


def _nobody(item: Any) -> None:
    """Nobody listens."""


def _nothing() -> Mapping[type[Any], Any]:
    return MappingProxyType({})


@attrs.frozen(kw_only=True)
class Context:
    """What a command may use.

    asker: the name of the key that asks. clock: seconds since 1970. commands: the table. services: what the composition
    root put beside the node, by its class. tell: shows the asker a line of plain data before the result (progress, a
    trace); it never waits, and what the asker doesn't take in time is dropped and counted.
    """

    node: Running
    asker: str
    role: Role
    clock: Callable[[], float]
    commands: tuple[Command, ...] = ()
    services: Mapping[type[Any], Any] = attrs.Factory(_nothing)
    tell: Callable[[Any], None] = _nobody

    def service(self, kind: type[T]) -> T:
        """What the composition root registered for this class.

        Raises:
            CommandError: this node runs without it.
        """
        found = self.services.get(kind)
        if found is None:
            raise CommandError(f"this node runs without {kind.__name__}: see [admin] in its configuration")
        assert isinstance(found, kind)
        return found


Run = Callable[[Context, Mapping[str, Any]], Awaitable[Any]]
"""Gives plain data: dict, list, tuple, str, int, float, bool, None; a list of dicts with equal keys is shown as a
table. Arguments are there by their parameters' names, every one, checked."""


@attrs.frozen(kw_only=True)
class Command:
    """name: one to three words. summary: one line. help: whole, for somebody who doesn't know the code. example: the
    words after `waystation admin NODE`, without any; a test runs it. seconds_max: after that it is cancelled."""

    name: str
    role: Role
    summary: str
    help: str
    example: str
    parameters: tuple[Parameter, ...] = ()
    run: Run
    seconds_max: float = SECONDS_MAX_DEFAULT

    def __attrs_post_init__(self) -> None:
        words = self.name.split(" ")
        assert 0 < len(words) <= NAME_WORDS_MAX, self.name
        assert all(map(_WORD.fullmatch, words)), f"{self.name!r}: small letters, digits and hyphens"
        assert self.summary, f"{self.name}: the summary is missing"
        assert "\n" not in self.summary, f"{self.name}: the summary is one line"
        assert self.help, f"{self.name}: the help is missing"
        assert f"{self.example} ".startswith(f"{self.name} "), (
            f"{self.name}: the example begins with its name"
        )
        assert 0 < self.seconds_max <= SECONDS_MAX, f"{self.name}: seconds_max is {self.seconds_max}"
        names = [parameter.name for parameter in self.parameters]
        assert len(set(names)) == len(names), f"{self.name}: a parameter's name is there twice"
        places = [parameter for parameter in self.parameters if not parameter.option]
        for before, after in itertools.pairwise(places):
            assert before.required or not after.required, f"{self.name}: {after.name} can't be left out"
            assert not before.many, f"{self.name}: {before.name} leaves nothing for {after.name}"

    @property
    def usage(self) -> str:
        """One line: its name and what it takes."""
        return " ".join((self.name, *(parameter.usage for parameter in self.parameters)))


def in_order(commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """The table: by name, each name once."""
    ordered = tuple(sorted(commands, key=lambda command: command.name))
    for one, next_one in itertools.pairwise(ordered):
        assert one.name != next_one.name, f"{one.name!r} is there twice"
    return ordered
