"""One command for several nodes at one time: bounded, and each has its own time and its own trouble.

Nothing is repeated: of a node that fell silent nobody can know whether it had done what it was asked.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import attrs

from admin.channel.errors import ChannelError, Refused
from admin.channel.messages import Malformed
from admin.commands.registry import COMMANDS
from admin.commands.table import SECONDS_MAX_DEFAULT, CommandError
from admin.commands.words import find_command
from admin.shell.nodes import Nodes
from replication.zeromq.errors import LinkError

PARALLEL_MAX: Final = 16
"""Nodes that are asked at one time."""
REPLIES_WAITING_MAX: Final = 1_024
"""Until the terminal has shown them; then whoever has more waits."""
GRACE_S: Final = 5.0
"""For which a node may be silent beyond the time that a command may take."""
TOLD: Final = (ChannelError, LinkError, Malformed, Refused, OSError)
"""What a command may end with that is said in a line."""
LOOK_S: Final = 0.25
"""How often it is looked whether anybody is still at it."""
NOT_SHOWN: Final = "what it answered was lost when it was stopped"
NOT_ASKED: Final = "not asked: it was stopped before"


@attrs.frozen
class Reply:
    """kind: a line before the result; the result; or why there is none, in `error`. other_node: because what was asked
    is for another node."""

    node: str
    kind: Literal["item", "done", "error"]
    data: Any = None
    error: str = ""
    other_node: bool = False

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        said: dict[str, Any] = {"error": self.error} if self.kind == "error" else {"data": self.data}
        other = {"other_node": True} if self.other_node else {}
        return {"node": self.node, "kind": self.kind, **said, **other}


@attrs.frozen
class Asked:
    """What came of it: the last reply of each node, in the order in which they were named. stopped: by Ctrl-C."""

    replies: tuple[Reply, ...]
    stopped: bool = False

    @property
    def failed(self) -> tuple[Reply, ...]:
        """Whoever left it to another node has failed only if no node has done it."""
        done = any(reply.kind == "done" for reply in self.replies)
        return tuple(
            reply for reply in self.replies if reply.kind == "error" and not (done and reply.other_node)
        )

    @property
    def done(self) -> int:
        """How many nodes have."""
        return sum(reply.kind == "done" for reply in self.replies)


def silence_of(words: Sequence[str]) -> float:
    """Seconds of silence after which a node is given up that was asked this."""
    try:
        return find_command(COMMANDS, words)[0].seconds_max + GRACE_S
    except CommandError:  # a node of a newer version may know it
        return SECONDS_MAX_DEFAULT + GRACE_S


def ask_each(
    nodes: Nodes,
    names: Sequence[str],
    words: Sequence[str],
    tell: Callable[[Reply], None],
    *,
    seconds_max: float | None = None,
    parallel: int = PARALLEL_MAX,
) -> Asked:
    """Ask every one of these nodes, and wait for all.

    Ctrl-C ends the command on every node where it runs, and waits for their answers; a second one doesn't wait.

    Args:
        tell: called on this thread with each reply as it comes.
        seconds_max: silence after which one node is given up; None: see `silence_of`.
    """
    silence_s = silence_of(words) if seconds_max is None else seconds_max
    replies: queue.Queue[Reply] = queue.Queue(REPLIES_WAITING_MAX)
    stop = threading.Event()
    waiting = deque(names)

    def work() -> None:
        while True:
            try:
                name = waiting.popleft()
            except IndexError:
                return
            replies.put(_ask(nodes, name, words, replies.put, silence_s, stop))

    threads = [
        threading.Thread(target=work, name="ask", daemon=True) for _ in range(min(parallel, len(names)))
    ]
    for thread in threads:
        thread.start()
    last: dict[str, Reply] = {}
    while len(last) < len(names):
        try:
            reply = replies.get(timeout=LOOK_S)
            if reply.kind != "item":
                last[reply.node] = reply
            tell(reply)
        except queue.Empty:
            if not any(thread.is_alive() for thread in threads) and replies.empty():
                break  # Ctrl-C came while one was taken
        except KeyboardInterrupt:
            if stop.is_set():
                nodes.forget(names)
                raise
            stop.set()
    lost = {name: Reply(name, "error", error=NOT_SHOWN) for name in names}
    return Asked(tuple((lost | last)[name] for name in names), stop.is_set())


def _ask(
    nodes: Nodes,
    name: str,
    words: Sequence[str],
    put: Callable[[Reply], None],
    silence_s: float,
    stop: threading.Event,
) -> Reply:
    if stop.is_set():
        return Reply(name, "error", error=NOT_ASKED)
    try:
        data = nodes.ask(
            name,
            words,
            lambda item: put(Reply(name, "item", item)),
            seconds_max=silence_s,
            stop=stop.is_set,
        )
    except TOLD as error:
        return Reply(name, "error", error=str(error), other_node=getattr(error, "other_node", False))
    except Exception as error:  # noqa: BLE001 - one node's trouble must not keep the others' answers back
        return Reply(name, "error", error=f"{type(error).__name__}: {error}")
    return Reply(name, "done", data)
