"""A copy of this program's sources, one revision of it after another: what a node under reload is started from.

A revision changes what functions of sessions, router and mailbox compile to, not what they do, unless a fault is asked
for. The sources that this process runs are never touched. This module must never know of a node.
"""

import ast
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

ROOT: Final = Path(__file__).resolve().parents[2]
COPIED: Final = ("admin", "client", "node", "ops", "replication", "store")
CHANGED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "node/service.py": ("received", "end_pass", "_welcome", "closed"),
        "node/session.py": ("refuse", "unexpected"),
        "node/talk.py": ("send", "ack", "_may_send", "ping"),
        "node/outlet.py": ("deliver", "accepted", "flush"),
        "node/mail/numbering.py": ("send",),
        "node/mail/acking.py": ("ack", "_ack"),
        "node/mail/delivery.py": ("fetched", "scanned"),
        "node/mail/driver.py": ("drain", "_commit", "_committed"),
    }
)
"""File → functions and methods that every revision changes."""
Place = Literal["session", "edge", "router"]
FAULTS: Final[Mapping[Place, tuple[str, str, str]]] = MappingProxyType(
    {
        "session": ("node/talk.py", "send", "frame[3]"),
        "edge": ("node/routed.py", "send", "frame[3]"),
        "router": ("node/outlet.py", "deliver", "effect[4]"),
    }
)
"""Where a message passes → file, function, and what is its number there. edge: on a member of a cluster."""


class Revisions:
    """In a folder of their own. `environment`: what a process needs to be started from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in COPIED:
            # With bytecode, if there is any: it is of these files as long as they keep their times.
            shutil.copytree(ROOT / package, folder / package)
        files = {*CHANGED, *(file for file, _, _ in FAULTS.values())}
        self._texts = {name: (folder / name).read_text("utf-8") for name in sorted(files)}

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def revise(self, number: int) -> None:
        """Every function of `CHANGED` has another body, that does the same."""
        for name, functions in CHANGED.items():
            self._write(name, functions, f"_revision = {number}")

    def fault(self, place: Place, one_in: int) -> None:
        """A function raises for every message of whose number this is a divisor."""
        name, function, number = FAULTS[place]
        self._write(
            name, (function,), f"if {number} % {one_in} == 0: raise RuntimeError('a fault of the test')"
        )

    def restore(self) -> None:
        """As they were copied."""
        for name, text in self._texts.items():
            (self.folder / name).write_text(text, "utf-8")

    def _write(self, name: str, functions: tuple[str, ...], line: str) -> None:
        (self.folder / name).write_text(with_line(self._texts[name], functions, line), "utf-8")


def with_line(text: str, functions: tuple[str, ...], line: str) -> str:
    """A source whose functions of these names begin with a line more, behind their documentation."""
    lines = text.splitlines()
    found = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in functions
    ]
    assert {node.name for node in found} == set(functions), f"not all of {functions} are there"
    for node in sorted(found, key=lambda node: node.lineno, reverse=True):
        first = node.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        place = (first.end_lineno or first.lineno) if documented else first.lineno - 1
        lines.insert(place, " " * first.col_offset + line)
    return "\n".join(lines) + "\n"
