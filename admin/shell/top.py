"""The live view: one thread for each node asks it every second, and this one draws and reads keys.

A node that doesn't answer keeps nobody waiting; it is asked again until it does. What is asked never changes anything.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, Final

from admin.shell.crowd import TOLD, Reply
from admin.shell.nodes import Nodes
from admin.shell.rendering import console, show
from admin.shell.screen import Screen
from admin.shell.together import to_line
from admin.shell.topstate import COLUMNS, Seen, TopState
from admin.shell.topview import view

GLANCE: Final = ("glance",)
EVERY_S: Final = 1.0
SILENCE_S: Final = 5.0
"""After which a node is shown as one that doesn't answer, and is connected to anew."""
DRAW_S: Final = 0.2
"""How often the screen is looked at between keys."""
SAID_MAX: Final = 1_024
"""What nodes said that isn't drawn yet."""
END_S: Final = 1.0
"""For threads to end in, once it is over."""

Said = tuple[str, Mapping[str, Any] | None, str]


class Watchers:
    """Threads that ask. A context manager; `take` gives what came since."""

    def __init__(self, nodes: Nodes, names: Sequence[str], every_s: float = EVERY_S) -> None:
        self._nodes = nodes
        self._names = tuple(names)
        self._every_s = every_s
        self._over = threading.Event()
        self._said: queue.Queue[Said] = queue.Queue(SAID_MAX)
        self._threads = [
            threading.Thread(target=self._watch, args=(name,), name="top", daemon=True) for name in names
        ]

    def __enter__(self) -> "Watchers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        until = time.monotonic() + END_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._nodes.forget(
            [name for name, thread in zip(self._names, self._threads, strict=True) if thread.is_alive()]
        )

    def _watch(self, name: str) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                said: Said = (
                    name,
                    self._nodes.ask(name, GLANCE, seconds_max=SILENCE_S, stop=self._over.is_set),
                    "",
                )
            except TOLD as error:
                said = (name, None, str(error))
            except Exception as error:  # noqa: BLE001 - one node's trouble must not end the view of the others
                said = (name, None, f"{type(error).__name__}: {error}")
            with suppress(queue.Full):  # nobody draws: the next one is newer anyway
                self._said.put_nowait(said)
            self._over.wait(max(0.0, self._every_s - (time.monotonic() - began)))

    def take(self, wait_s: float = 0.0) -> list[Said]:
        """What nodes have said; waits so long for the first."""
        found: list[Said] = []
        try:
            while True:
                found.append(
                    self._said.get(timeout=wait_s) if wait_s and not found else self._said.get_nowait()
                )
        except queue.Empty:
            return found


def run_top(
    nodes: Nodes,
    names: Sequence[str],
    screen: Screen,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> None:
    """Until q or Ctrl-C."""
    state = TopState.of(names)
    with Watchers(nodes, names) as watchers, screen:
        try:
            while True:
                for name, picture, error in watchers.take():
                    state.take(name, picture, error, clock())
                width, height = screen.size
                screen.show(view(state, clock(), wall(), width, height))
                for key in screen.keys(DRAW_S):
                    if not state.press(key):
                        return
        except KeyboardInterrupt:
            return


def show_once(nodes: Nodes, names: Sequence[str], *, as_json: bool, out: IO[str] = sys.stdout) -> list[Reply]:
    """What each says now, as a table or a line of JSON for each; gives those who said nothing."""
    waiting, replies = set(names), []
    with Watchers(nodes, names) as watchers:
        while waiting:
            for name, picture, error in watchers.take(DRAW_S):
                if name in waiting:
                    waiting.remove(name)
                    kind: Any = "error" if picture is None else "done"
                    replies.append(Reply(name, kind, picture, error))
    replies.sort(key=lambda reply: reply.node)
    if as_json:
        out.write("".join(f"{to_line(reply)}\n" for reply in replies))
    else:
        rows = [_row(reply) for reply in replies if reply.kind == "done"]
        if rows:
            show(rows, console(out))
    return [reply for reply in replies if reply.kind == "error"]


def _row(reply: Reply) -> dict[str, Any]:
    """What the view of all nodes has of one; queues and alarms are left to the commands that show them."""
    figures = Seen(reply.data).figures()
    return {"node": reply.node, **{heading: figures.get(name) for heading, name, _ in COLUMNS}}
