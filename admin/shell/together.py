"""What several nodes answered, as one text: tables of one form become one table, equal answers are shown once."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from admin.shell.crowd import Asked, Reply
from admin.shell.plain import clean
from admin.shell.rendering import show, show_told


def to_line(reply: Reply) -> str:
    """One reply as one line of JSON, without the line's end."""
    return json.dumps(reply.plain(), ensure_ascii=True)


def show_item(reply: Reply, out: Console) -> None:
    """A line that one of them tells before its result."""
    show_told(reply.data, out, reply.node)


def show_together(asked: Asked, out: Console) -> None:
    """The results. Why there is none of some is for the caller to say."""
    done = [reply for reply in asked.replies if reply.kind == "done"]
    rows = _one_table(done)
    if rows:
        show(rows, out)
        return
    while done:
        first = done[0]
        same = [reply for reply in done if reply.data == first.data]
        if len(asked.replies) > 1:
            out.print(Text(f"{clean(' '.join(reply.node for reply in same))}:", style="bold"))
        show(first.data, out)
        done = [reply for reply in done if reply.data != first.data]


def _one_table(done: Sequence[Reply]) -> list[dict[str, Any]]:
    """Rows of all nodes, with the node in front; nothing if they aren't such, or are the same."""
    if len(done) < 2 or all(reply.data == done[0].data for reply in done):
        return []
    rows: list[dict[str, Any]] = []
    for reply in done:
        if not isinstance(reply.data, list):
            return []
        for row in reply.data:
            if not isinstance(row, dict) or "node" in row or (rows and rows[0].keys() != {"node", *row}):
                return []
            rows.append({"node": reply.node, **row})
    return rows
