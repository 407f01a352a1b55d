"""`waystation admin NODE COMMAND …`: one command, its result, and an exit status for scripts.

The words are the node's to understand; here only the node, the key and the form of the output are chosen.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
from cyclopts import App, Parameter

from admin.channel.client import Client, Target
from admin.channel.errors import ChannelError, Refused
from admin.channel.messages import Malformed
from admin.shell.rendering import console, show, to_json
from ops.failures import told
from ops.keeping import Keeping
from replication.zeromq.errors import LinkError

app = App(name="admin", help="Ask a running node for one command.", help_flags=[], version_flags=[])

KEY: Final = "WAYSTATION_ADMIN_KEY"
NODE_KEY: Final = "WAYSTATION_ADMIN_NODE_KEY"
USAGE: Final = f"""\
Usage: waystation admin NODE COMMAND … [--json] [--output FILE] [--key FILE] [--node-key KEY]

NODE is the data directory of a node on this machine, or host:port of one elsewhere.
COMMAND is one of those that "waystation admin NODE help" shows; "help COMMAND" tells all about it.

  --json           the result as JSON
  --output FILE    write it to a file here: JSON; of profile the stacks, as a flame graph if FILE ends in .svg
  --key FILE       the secret key to ask with; else ${KEY}, else the directory's own
  --node-key KEY   the node's public key (its admin/node.pub); else ${NODE_KEY}, else the directory's own

Exit status: 0 if it was done, 1 if not (the reason is on standard error), 2 if the line makes no sense.
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

    def target(self) -> Target:
        """Raises ChannelError, LinkError, OSError."""
        return Target.find(self.node, Path(self.key) if self.key else None, self.node_key)


class Unclear(Exception):
    """The line makes no sense; the text says why."""


def read_line(tokens: Sequence[str]) -> Line:
    """Our options may stand anywhere before a `--`; all other words are the node's.

    Raises:
        Unclear
    """
    words: list[str] = []
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
        elif name in ("--key", "--node-key", "--output"):
            if not equals and not left:
                raise Unclear(f"{name} needs a value")
            given[name[2:].replace("-", "_")] = value if equals else left.pop()
        else:
            words.append(word)
    if not words:
        raise Unclear("name a node: its data directory, or host:port")
    given.setdefault("key", os.environ.get(KEY, ""))
    given.setdefault("node_key", os.environ.get(NODE_KEY, ""))
    return Line(words[0], tuple(words[1:]), **given)


@app.default
def admin(*tokens: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]) -> None:
    """Ask a running node for one command."""
    if not tokens or tokens[0] in ("--help", "-h"):
        sys.stdout.write(USAGE)
        return
    try:
        line = read_line(tokens)
    except Unclear as error:
        sys.stderr.write(f"waystation: {error}\n\n{USAGE}")
        sys.exit(2)
    words = _meant(line.words)
    out = console(sys.stdout)
    with told(ChannelError, LinkError, Malformed, Refused, OSError), Client(line.target()) as client:
        keeping = Keeping(line.output) if line.output else None

        def item(data: Any) -> None:
            if line.json:
                sys.stdout.write(to_json(data) + "\n")
            else:
                show(data, out)
            sys.stdout.flush()

        try:
            if keeping is None:
                item(client.ask(words, item))
            else:
                item(keeping.keep(client.ask(keeping.words(words), item)))
        except KeyboardInterrupt:
            sys.exit(130)


def _meant(words: Sequence[str]) -> Sequence[str]:
    """`COMMAND --help` asks for help, as it does everywhere; no command at all does, too."""
    if not words:
        return ("help",)
    return ("help", *words[:-1]) if words[-1] in ("--help", "-h") else words
