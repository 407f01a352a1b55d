"""`waystation top`: nodes as they are now, all of them or one, until somebody has seen enough."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from admin.channel.errors import ChannelError
from admin.shell.nodes import Nodes
from admin.shell.screen import Screen
from admin.shell.top import run_top, show_once
from ops.admin import KEY, NODE_KEY
from ops.failures import told
from ops.nodes import entries_of
from replication.zeromq.errors import LinkError


def top(
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
    as_json: Annotated[
        bool, Parameter("--json", negative="", help="Once, a line of JSON for each node.")
    ] = False,
    key: Annotated[
        Path | None,
        Parameter(help="The secret key to ask with, instead of the directory's own.", env_var=KEY),
    ] = None,
    node_key: Annotated[
        str, Parameter(help="The node's public key, where it is named by its address.", env_var=NODE_KEY)
    ] = "",
) -> None:
    """Rates, queues, latency, memory and alarms of running nodes, every second; h tells the keys.

    Without a terminal, or with --json, they are shown once, and the exit status is 1 if one didn't answer.
    """
    with told(ChannelError, LinkError, OSError):
        entries = entries_of(nodes, every=every, place=place, key=key, node_key=node_key)
        if len(entries) == 1:
            entries[0].target()  # a mistake in the name is told before the screen is taken
        asked = Nodes({entry.name: entry.target for entry in entries})
        if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            silent = show_once(asked, asked.names, as_json=as_json)
            asked.close()
            for reply in silent:
                sys.stderr.write(f"waystation: {reply.node}: {reply.error}\n")
            sys.exit(int(bool(silent)))
        run_top(asked, asked.names, Screen())
        asked.close()
