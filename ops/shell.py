"""`waystation shell`: commands of running nodes, one after the other, with completion and history."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from admin.channel.errors import ChannelError
from admin.commands.registry import COMMANDS
from admin.shell.history import LineHistory, history_path
from admin.shell.lines import is_secret
from admin.shell.nodes import Nodes
from admin.shell.shell import shell_on, typed
from ops.admin import KEY, NODE_KEY
from ops.failures import told
from ops.nodes import entries_of
from replication.zeromq.errors import LinkError


def shell(
    *nodes: Annotated[
        str, Parameter(help="Data directories of nodes on this machine, host:port, or names of the list.")
    ],
    every: Annotated[
        bool, Parameter("--all", negative="", help="All members of the nodes' clusters, or all of the list.")
    ] = False,
    place: Annotated[
        str,
        Parameter(
            "--nodes", help="The list: a file of nodes, or a directory that holds their data directories."
        ),
    ] = "",
    key: Annotated[
        Path | None,
        Parameter(help="The secret key to ask with, instead of the directory's own.", env_var=KEY),
    ] = None,
    node_key: Annotated[
        str, Parameter(help="The node's public key, where it is named by its address.", env_var=NODE_KEY)
    ] = "",
) -> None:
    """Operate running nodes from a prompt; with several, every command is for all until `use` chooses one.

    Without a terminal, lines are read from standard input, and the exit status is 1 if one of them failed.
    """
    with told(ChannelError, LinkError, OSError):
        entries = entries_of(nodes, every=every, place=place, key=key, node_key=node_key)
        finds = {entry.name: entry.target for entry in entries}
        if not every and (nodes or len(finds) == 1):
            for find in finds.values():
                find()  # a mistake in the names is told before anything is typed
        asked = Nodes(finds)
        try:
            made = shell_on(asked)
            if sys.stdin.isatty():
                history = LineHistory(history_path(dict(os.environ)), partial(is_secret, COMMANDS))
                made.run(typed(made, COMMANDS, asked.names, history))
                return
            made.run(sys.stdin)
        finally:
            asked.close()
    sys.exit(1 if made.failed else 0)
