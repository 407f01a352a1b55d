"""`waystation prometheus`: where the nodes of a list are scraped, as Prometheus reads it from a file.

The form is that of file_sd_config (prometheus.io/docs/prometheus/latest/configuration/configuration). The nodes are
asked, so what is written is what holds. This module must never scrape anything itself.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from admin.channel.errors import ChannelError
from admin.channel.roster import Entry
from admin.shell.crowd import Reply, ask_each
from admin.shell.nodes import Nodes
from ops.admin import KEY, NODE_KEY
from ops.failures import told
from ops.nodes import entries_of
from replication.zeromq.errors import LinkError

_ANY: Final = ("0.0.0.0", "[::]")  # noqa: S104 - nothing is bound here
_LOOPBACK: Final = ("127.0.0.1", "[::1]", "localhost")


def prometheus(
    *nodes: Annotated[str, Parameter(help="Nodes; without any: all of the list.")],
    place: Annotated[
        str,
        Parameter(
            "--nodes", help="The list: a file of nodes, or a directory that holds their data directories."
        ),
    ] = "",
    output: Annotated[
        Path | None, Parameter(help="File for file_sd_configs, replaced as a whole; else standard output.")
    ] = None,
    key: Annotated[Path | None, Parameter(help="The secret key to ask with.", env_var=KEY)] = None,
    node_key: Annotated[str, Parameter(help="The node's public key.", env_var=NODE_KEY)] = "",
) -> None:
    """Ask nodes where Prometheus is to scrape them, and write what file_sd_configs reads.

    If one doesn't answer nothing is written to a file, so that it doesn't vanish from the targets; exit status 1.
    """
    with told(ChannelError, LinkError, OSError):
        entries = entries_of(nodes, every=not nodes, place=place, key=key, node_key=node_key)
        asked = Nodes({entry.name: entry.target for entry in entries})
        try:
            replies = ask_each(asked, asked.names, ("info",), lambda _: None)
        except KeyboardInterrupt:
            sys.exit(130)
        asked.close()
        for reply in replies.failed:
            sys.stderr.write(f"waystation: {reply.node}: {reply.error}\n")
        text = json.dumps(_targets(entries, replies.replies), indent=2) + "\n"
        if output is None:
            sys.stdout.write(text)
        elif not replies.failed:
            beside = output.with_name(f"{output.name}.new")
            beside.write_text(text, "utf-8")
            os.replace(beside, output)
        sys.exit(1 if replies.failed else 0)


def _targets(entries: Sequence[Entry], replies: Sequence[Reply]) -> list[dict[str, Any]]:
    found = []
    for entry, reply in zip(entries, replies, strict=True):
        if reply.kind != "done":
            continue
        if reply.data.get("prometheus") is None:
            sys.stderr.write(f"waystation: {entry.name} isn't scraped: set statistics.prometheus_port\n")
            continue
        target = _reached(entry, str(reply.data["prometheus"]))
        found.append({"targets": [target], "labels": {"node": entry.name, "node_id": reply.data["node"]}})
    return found


def _reached(entry: Entry, scraped: str) -> str:
    """As it is reached from here: a node that listens on every address is where its channel is."""
    host, _, port = scraped.rpartition(":")
    if entry.directory is not None:
        return f"127.0.0.1:{port}" if host in _ANY else scraped
    if host in _LOOPBACK:
        sys.stderr.write(
            f"waystation: {entry.name} is scraped on {host} of its own machine only: put a tunnel or a proxy there\n"
        )
    return f"{entry.at.rpartition(':')[0]}:{port}" if host in _ANY else scraped
