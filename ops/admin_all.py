"""`waystation admin --all COMMAND …`: one command for every node of the list, and what came of it.

Apart from a command for one node, which needs none of this.
"""

import json
import sys
import time
from collections.abc import Sequence

from admin.channel.roster import Entry
from admin.shell.crowd import Reply, ask_each
from admin.shell.nodes import Nodes
from admin.shell.plain import clean
from admin.shell.rendering import console
from admin.shell.rollout import Event, RollOut, line_of, order_of
from admin.shell.together import show_item, show_together, to_line


def ask_all(entries: Sequence[Entry], words: Sequence[str], silence_s: float | None, *, as_json: bool) -> int:
    """Gives the exit status. `silence_s`: after which a node is given up; None: what the command may take.

    Raises:
        CommandError, OSError
    """
    out = console(sys.stdout)
    nodes = Nodes({entry.name: entry.target for entry in entries})

    def tell(reply: Reply) -> None:
        if as_json:
            sys.stdout.write(to_line(reply) + "\n")
        elif reply.kind == "item":
            show_item(reply, out)
        sys.stdout.flush()

    try:
        order = order_of(words)
        if order is not None:
            return RollOut(nodes, nodes.names, order, lambda event: _say(event, as_json=as_json)).run()
        asked = ask_each(nodes, nodes.names, words, tell, seconds_max=silence_s)
    except KeyboardInterrupt:
        return 130
    if not as_json:
        show_together(asked, out)
        sys.stdout.flush()
    for reply in asked.failed:
        sys.stderr.write(f"waystation: {clean(reply.node)}: {clean(reply.error)}\n")
    if asked.failed:
        sys.stderr.write(f"waystation: {asked.done} of {len(entries)} nodes have done it\n")
    nodes.close()
    return 130 if asked.stopped else int(bool(asked.failed))


def _say(event: Event, *, as_json: bool) -> None:
    """What a roll-out tells."""
    text = json.dumps(event) if as_json else f"{time.strftime('%H:%M:%S')} {clean(line_of(event))}"
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
