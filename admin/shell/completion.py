"""What may come next on a line, from the command table alone. Pure, but for the lines that hand it to the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from admin.commands.table import Command, Parameter
from admin.shell.lines import FORM, OWN

SHOWN_MAX: Final = 200
_BEFORE_A_COMMAND: Final = ("watch", "json", "help")


def suggestions(commands: Sequence[Command], nodes: Sequence[str], text: str) -> list[tuple[str, str]]:
    """Words that may take the place of the last, unfinished one, each with a line about it."""
    words = text.split(" ")
    *before, begun = [word for word in words[:-1] if word] + words[-1:]
    if before[:1] == ["use"]:
        found: Iterable[tuple[str, str]] = (
            ((node, "") for node in (*nodes, "all")) if len(before) == 1 else ()
        )
    else:
        own = not before
        while before and before[0] in _BEFORE_A_COMMAND:
            if before[0] == "watch" and len(before) > 1 and before[1][:1].isdigit():
                before = before[1:]
            before = before[1:]
        found = _next(commands, before)
        if own:
            found = (*found, *OWN)
    return sorted({word: about for word, about in found if word.startswith(begun)}.items())[:SHOWN_MAX]


def _next(commands: Sequence[Command], before: list[str]) -> Iterator[tuple[str, str]]:
    for command in commands:
        name = command.name.split(" ")
        if len(before) < len(name) and name[: len(before)] == before:
            last = len(before) == len(name) - 1
            yield name[len(before)], command.summary if last else f"{name[0]} …"
        elif before[: len(name)] == name:
            yield from _arguments(command, before[len(name) :])


def _arguments(command: Command, given: list[str]) -> Iterator[tuple[str, str]]:
    options = {f"--{one.name}": one for one in (*command.parameters, *FORM) if one.option}
    waiting = options.get(given[-1]) if given else None
    if waiting is not None and waiting.kind != "flag":
        yield from _values(waiting)
        return
    yield from ((name, one.help) for name, one in options.items() if name not in given)
    places = [one for one in command.parameters if not one.option]
    taken = _count_places(options, given)
    if taken < len(places):
        yield from _values(places[taken])


def _count_places(options: dict[str, Parameter], given: list[str]) -> int:
    count, skip = 0, False
    for word in given:
        if skip:
            skip = False
        elif word in options:
            skip = options[word].kind != "flag"
        elif not word.startswith("--"):
            count += 1
    return count


def _values(parameter: Parameter) -> Iterator[tuple[str, str]]:
    for word in (*parameter.choices, *parameter.suggestions):
        yield word, parameter.help


class TableCompleter(Completer):
    """The same for prompt_toolkit."""

    def __init__(self, commands: tuple[Command, ...], nodes: Sequence[str]) -> None:
        self._commands = commands
        self._nodes = nodes

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        begun = text.rpartition(" ")[2]
        for word, about in suggestions(self._commands, self._nodes, text):
            yield Completion(word, start_position=-len(begun), display_meta=about)
