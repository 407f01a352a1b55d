"""`waystation admin NODE|--all COMMAND …`: one command, its result, and an exit status for scripts.

The words are the node's to understand; here only the node, the key and the form of the output are chosen. A script asks
often: what only some lines need is loaded when such a line comes.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
from cyclopts import App, Parameter

from admin.channel.client import Client
from admin.channel.errors import ChannelError, Refused
from admin.channel.messages import Malformed
from admin.channel.roster import PLACES, VARIABLE, Entry
from admin.commands.table import CommandError
from admin.commands.words import read_duration
from admin.shell.plain import to_json
from ops.failures import told, until_nobody_reads
from ops.nodes import entries_of
from replication.zeromq.errors import LinkError

app = App(name="admin", help="Ask a running node for one command.", help_flags=[], version_flags=[])

KEY: Final = "WAYSTATION_ADMIN_KEY"
NODE_KEY: Final = "WAYSTATION_ADMIN_NODE_KEY"
USAGE: Final = f"""\
Usage: waystation admin NODE COMMAND … [--json] [--output FILE] [--key FILE] [--node-key KEY]
       waystation admin NODE COMMAND … --all [--timeout TIME] [--json] [--key FILE] [--node-key KEY]
       waystation admin --all COMMAND … [--nodes PLACE] [--timeout TIME] [--json] [--key FILE]

NODE is the data directory of a node on this machine, host:port of one elsewhere, or a name of the list of nodes.
COMMAND is one of those that "waystation admin NODE help" shows; "help COMMAND" tells all about it.

  --all            after NODE: all members of its cluster, at one time; what one answers is no other's trouble. Before
                   the command if that has an --all of its own: NODE --all queues --all. Instead of NODE: of a list
  --nodes PLACE    the list: a file of nodes, taken as it is; a directory that holds data directories, or the address
                   of a node, with all members of their clusters; else ${VARIABLE}, else the first that is there of
                   {", ".join(map(str, PLACES))}
  --timeout TIME   silence after which a node of several is given up, as 10s; else what the command may take
  --json           the result as JSON; of several nodes one object a line, each with its node
  --output FILE    write it to a file here: JSON; of profile the stacks, as a flame graph if FILE ends in .svg
  --key FILE       the secret key to ask with; else ${KEY}, else the list's, else the directory's own
  --node-key KEY   the node's public key (its admin/node.pub); else ${NODE_KEY}, else the list's, else the directory's

With --all, "reload apply" goes node by node: [WHEEL] [--canary N] [--bake TIME] [--plan ID] [--one-way].

Exit status: 0 if it was done (by every node), 1 if not (the reason is on standard error), 2 if the line makes no sense;
of a reload of all, 3 if it was stopped and undone, 4 if it was stopped and not all could be undone.
"""


@attrs.frozen
class Line:
    """What was asked on the command line."""

    node: str
    words: tuple[str, ...]
    json: bool = False
    key: str = ""
    node_key: str = ""
    output: str = ""

    all: bool = False
    nodes: str = ""
    timeout: str = ""

    def entries(self) -> tuple[Entry, ...]:
        """Who is asked. Raises ChannelError, OSError."""
        return entries_of(
            (self.node,) if self.node else (),
            every=self.all,
            place=self.nodes,
            key=Path(self.key) if self.key else None,
            node_key=self.node_key,
        )


_VALUES: Final = ("--key", "--node-key", "--nodes", "--output", "--timeout")


class Unclear(Exception):
    """The line makes no sense; the text says why."""


def read_line(tokens: Sequence[str]) -> Line:
    """Our options may stand anywhere before a `--`; all other words are the node's. So is an `--all` behind a command
    that has one itself.

    Raises:
        Unclear
    """
    node, words = "", list[str]()
    given: dict[str, Any] = {}
    left = list(reversed(tokens))
    while left:
        word = left.pop()
        name, equals, value = word.partition("=")
        if word == "--":
            words += [word, *reversed(left)]
            break
        if word == "--json":
            given["json"] = True
        elif word == "--all" and not given.get("all") and not _takes_all(words[1:]):
            given["all"] = True
            node = words.pop(0) if words else ""
        elif name in _VALUES:
            if not equals and not left:
                raise Unclear(f"{name} needs a value")
            given[name[2:].replace("-", "_")] = value if equals else left.pop()
        else:
            words.append(word)
    if given.get("all"):
        if "output" in given:
            raise Unclear("--output takes the result of one node: leave --all out")
    elif not words:
        raise Unclear("name a node: its data directory, or host:port; or say --all")
    elif "timeout" in given:
        raise Unclear("--timeout goes with --all; a command to one node is ended by Ctrl-C")
    else:
        node = words.pop(0)
    given.setdefault("key", os.environ.get(KEY, ""))
    given.setdefault("node_key", os.environ.get(NODE_KEY, ""))
    return Line(node, tuple(words), **given)


def _takes_all(words: Sequence[str]) -> bool:
    """Whether an `--all` behind these words is the command's own; of one that this release doesn't know it is."""
    if not words:
        return False
    from admin.commands.registry import COMMANDS
    from admin.commands.words import find_command

    try:
        command, _ = find_command(COMMANDS, words)
    except CommandError:
        return True
    return any(parameter.name == "all" for parameter in command.parameters)


@app.default
def admin(*tokens: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]) -> None:
    """Ask a running node for one command."""
    ask(tokens)


def ask(tokens: Sequence[str], view: Callable[[Any], Any] = lambda result: result) -> None:
    """The same. view: what of a result is shown to a person; JSON is as the node said it."""
    if not tokens or tokens[0] in ("--help", "-h"):
        sys.stdout.write(USAGE)
        return
    try:
        line = read_line(tokens)
    except Unclear as error:
        sys.stderr.write(f"waystation: {error}\n\n{USAGE}")
        sys.exit(2)
    words = _meant(line.words)
    with told(ChannelError, LinkError, Malformed, Refused, CommandError, OSError), until_nobody_reads():
        if line.all:
            from ops.admin_all import ask_all

            silence_s = read_duration(line.timeout, "--timeout") if line.timeout else None
            sys.exit(ask_all(line.entries(), words, silence_s, as_json=line.json))
        _ask_one(line, words, view)


def _ask_one(line: Line, words: Sequence[str], view: Callable[[Any], Any]) -> None:
    (entry,) = line.entries()
    write, tell = _writers(as_json=line.json)

    def told(item: Any) -> None:
        tell(item)
        sys.stdout.flush()

    keep, words = _kept(line, words)
    with Client(entry.target()) as client:
        try:
            result = keep(client.ask(words, told))
            write(result if line.json else view(result))
            sys.stdout.flush()
        except KeyboardInterrupt:
            sys.exit(130)


def _writers(*, as_json: bool) -> tuple[Callable[[Any], None], Callable[[Any], None]]:
    """Of a result, and of what is told before it."""
    if as_json:
        return (lambda data: print(to_json(data)),) * 2
    from admin.shell.rendering import console, show, show_told

    out = console(sys.stdout)
    return lambda data: show(data, out), lambda item: show_told(item, out)


def _kept(line: Line, words: Sequence[str]) -> tuple[Callable[[Any], Any], Sequence[str]]:
    """What becomes of the result, and what is asked for it."""
    if not line.output:
        return lambda result: result, words
    from admin.shell.keeping import kept

    return kept(line.output, words)


def _meant(words: Sequence[str]) -> Sequence[str]:
    """`COMMAND --help` asks for help, as it does everywhere; no command at all does, too."""
    if not words:
        return ("help",)
    return ("help", *words[:-1]) if words[-1] in ("--help", "-h") else words
