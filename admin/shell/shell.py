"""The shell: reads lines, asks the nodes, shows what they answer, until its end. It must know no single command."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.history import History
from rich.console import Console
from rich.text import Text

from admin.commands.table import Command, CommandError
from admin.shell.completion import TableCompleter
from admin.shell.crowd import TOLD, Reply, ask_each
from admin.shell.keeping import kept
from admin.shell.lines import OWN, Line, read_line
from admin.shell.nodes import Nodes
from admin.shell.plain import clean, to_json
from admin.shell.rendering import console, show
from admin.shell.rollout import DONE, Event, Order, RollOut, line_of, order_of
from admin.shell.screen import Screen
from admin.shell.together import show_item, show_together, to_line
from admin.shell.top import run_top, show_once


class Shell:
    """One person's shell.

    Args:
        sleep: waits between two looks of `watch`.
    """

    def __init__(self, nodes: Nodes, out: Console, sleep: Callable[[float], None] = time.sleep) -> None:
        self._nodes = nodes
        self._out = out
        self._sleep = sleep
        self.failed = 0

    @property
    def prompt(self) -> str:
        """Names whom the next command is for."""
        chosen = self._nodes.chosen
        return f"{chosen[0] if len(chosen) == 1 else f'all {len(chosen)}'}> "

    def run(self, lines: Iterable[str]) -> None:
        """Do what the lines say, until there are no more or one says exit."""
        for text in lines:
            if not self.do(text):
                return

    def do(self, text: str) -> bool:
        """One line; False: it was the last."""
        try:
            line = read_line(text)
        except CommandError as error:
            self._say(str(error))
            return True
        match line.what:
            case "exit":
                return False
            case "use":
                if not self._nodes.choose(line.words[0]):
                    self._say(
                        f"there is no node {line.words[0]!r}: choose {', '.join(self._nodes.names)} or all"
                    )
            case "watch":
                self._watch(line)
            case "top":
                self._top(line)
            case "run":
                self._ask(line)
        return True

    def _ask(self, line: Line) -> bool:
        """Whether all could be asked; False: Ctrl-C."""
        names = self._nodes.chosen
        done = self._ask_one(names[0], line) if len(names) == 1 else self._ask_each(names, line)
        if not done:
            self._out.print(Text("ended"))
            return False
        if line.words == ("help",) and not line.json and not line.output:
            show([{"in this shell": usage} for _, usage in OWN], self._out)
        return True

    def _ask_one(self, name: str, line: Line) -> bool:
        try:
            keep, words = kept(line.output, line.words)
            self._show(keep(self._nodes.ask(name, words, lambda data: self._show(data, line))), line)
        except TOLD as error:
            self._say(str(error))
        except KeyboardInterrupt:
            return False
        return True

    def _ask_each(self, names: tuple[str, ...], line: Line) -> bool:
        def tell(reply: Reply) -> None:
            if line.json:
                self._out.file.write(to_line(reply) + "\n")
            elif reply.kind == "item":
                show_item(reply, self._out)

        try:
            if line.output:
                raise CommandError("--output takes the result of one node: choose it with use")
            order = order_of(line.words)
        except CommandError as error:
            self._say(str(error))
            return True
        try:
            if order is not None:
                return self._roll_out(names, order, as_json=line.json)
            asked = ask_each(self._nodes, names, line.words, tell)
        except KeyboardInterrupt:
            return False
        if not line.json:
            show_together(asked, self._out)
        for reply in asked.failed:
            self._say(f"{reply.node}: {reply.error}")
        return not asked.stopped

    def _roll_out(self, names: tuple[str, ...], order: Order, *, as_json: bool) -> bool:
        def tell(event: Event) -> None:
            if as_json:
                self._out.file.write(f"{json.dumps(event)}\n")
            else:
                self._out.print(Text(clean(line_of(event))))

        if RollOut(self._nodes, names, order, tell).run() != DONE:
            self.failed += 1
        return True

    def _watch(self, line: Line) -> None:
        try:
            while True:
                if self._out.is_terminal and not line.json:
                    self._out.clear()
                if not line.json:  # what is JSON is for a program, or to be scrolled through
                    self._out.print(
                        Text(f"every {line.seconds:g} s: {' '.join(line.words)}   (Ctrl-C ends)", style="dim")
                    )
                if not self._ask(line):
                    return
                self._sleep(line.seconds)
        except KeyboardInterrupt:
            self._out.print()

    def _top(self, line: Line) -> None:
        names = self._nodes.chosen
        if self._out.is_terminal and sys.stdin.isatty() and not line.json:
            run_top(self._nodes, names, Screen())
            return
        for reply in show_once(self._nodes, names, as_json=line.json, out=self._out.file):
            self._say(f"{reply.node}: {reply.error}")

    def _show(self, data: Any, line: Line) -> None:
        if line.json:
            self._out.file.write(to_json(data) + "\n")
        else:
            show(data, self._out)

    def _say(self, text: str) -> None:
        self.failed += 1
        self._out.print(Text(clean(text), style="red"))


def typed(
    shell: Shell, commands: tuple[Command, ...], names: tuple[str, ...], history: History
) -> Iterator[str]:
    """Lines as somebody types them, with completion and history. Ctrl-C drops a line, Ctrl-D ends."""
    session: PromptSession[str] = PromptSession(
        history=history, completer=TableCompleter(commands, names), complete_while_typing=False
    )
    while True:
        try:
            yield session.prompt(lambda: shell.prompt)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def shell_on(nodes: Nodes, out: TextIO = sys.stdout) -> Shell:
    """A shell that writes to `out`."""
    return Shell(nodes, console(out))
