"""What a typed line means: a message, the choice of a peer, a command. This module must never know who acts on it."""

import attrs

from client.errors import BadRecipient
from client.numbers import parse_number

HELP = (
    "text goes to the chosen peer; '+15551230002 text' goes to that number, and chooses it",
    "/to +15551230002   choose the peer",
    "/status            the connection and what waits",
    "/register          register this device again, after another device took over",
    "/quit              leave; what isn't accepted yet is sent the next time",
)


@attrs.frozen
class Say:
    """Send the text; to None means to the peer."""

    to: int | None
    text: str


@attrs.frozen
class Choose:
    """Make this the peer."""

    to: int


@attrs.frozen
class Command:
    """help, status, register or quit."""

    name: str


@attrs.frozen
class Mistake:
    """What was wrong with the line, for the person who typed it."""

    text: str


@attrs.frozen
class Nothing:
    """An empty line."""


Typed = Say | Choose | Command | Mistake | Nothing

_COMMANDS = frozenset({"help", "status", "register", "quit"})


def understand(line: str) -> Typed:
    """The meaning of one line. '//text' sends '/text'."""
    line = line.strip()
    if not line:
        return Nothing()
    if line.startswith("//"):
        return Say(None, line[1:])
    try:
        if line.startswith("/"):
            name, _, rest = line[1:].partition(" ")
            if name == "to":
                return Choose(parse_number(rest.strip()))
            if name in _COMMANDS and not rest.strip():
                return Command(name)
            return Mistake(f"/{name} is no command here: try /help")
        if line.startswith("+"):
            number, _, text = line.partition(" ")
            text = text.strip()
            return Say(parse_number(number), text) if text else Choose(parse_number(number))
    except BadRecipient as error:
        return Mistake(str(error))
    return Say(None, line)
