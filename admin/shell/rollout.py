"""New code through many nodes, one after the other, from a terminal: it stops at the first that gets worse, and is
undone everywhere.

Each node decides for itself whether it is worse off (its health watch, see docs/hot-reload.md); here it is only asked
what came of it. Nothing is remembered between two runs: the nodes know what they have, so the same command goes on
where a terminal was lost. This module must never know what is in the code.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from admin.commands.reload import COMMANDS as RELOADS
from admin.commands.reload import WATCH_S_MAX
from admin.commands.table import Parameter
from admin.commands.words import read_arguments
from admin.shell.crowd import Asked, Reply, ask_each
from admin.shell.nodes import Nodes

DONE: Final = 0
"""Exit statuses: every node has it;"""
NOT_BEGUN: Final = 1
"""nothing was touched;"""
UNDONE: Final = 3
"""it was stopped, and no node has it by this roll-out any more;"""
MIXED: Final = 4
"""it was stopped, and could not be undone on every node, or that isn't known."""

POLL_S: Final = 1.0
POLL_SILENCE_S: Final = 5.0
LOST_S: Final = 10.0
"""A node that doesn't answer for so long is one that got worse."""
STEP_S: Final = 15.0
"""What a step may take beside its bake: each node watches itself until the last step is over, and a bit longer."""
HISTORY: Final = ("reload", "history", "--last", "8")
_APPLY: Final = ("reload", "apply")

_NODES: Final = next(command for command in RELOADS if command.name == "reload apply")
ROLLOUT: Final = attrs.evolve(
    _NODES,
    summary="Put the new code in place on many nodes, one after the other.",
    help=(
        "Every node plans first; one that doesn't answer, refuses, or has other files ends it before anything is"
        " touched. Then the first --canary nodes get it and are watched for --bake; then each of the others, and as"
        " long. At the first that gets worse it stops, and is taken back on all. Nodes that have it are left out, so"
        " the same command goes on after a lost terminal. Ctrl-C stops it and takes it back; a second one leaves"
        " everything as it is."
    ),
    example="reload apply --canary 1 --bake 60s",
    parameters=(
        *(one for one in _NODES.parameters if one.name != "watch"),
        Parameter(
            name="canary", kind="integer", option=True, required=False, default=1, low=1, high=256,
            help="How many nodes get it first, together.",
        ),
        Parameter(
            name="bake", kind="duration", option=True, required=False, default=60.0, low=0, high=WATCH_S_MAX,
            help="How long nodes must be no worse before the next gets it.",
        ),
        Parameter(
            name="one-way", kind="flag", option=True, required=False,
            help="Also what can't be taken back, because live state has no way back.",
        ),
    ),
)  # fmt: skip
"""What the terminal understands when several nodes are asked to apply."""

Event = dict[str, Any]


@attrs.frozen
class Order:
    """What was asked for. Times in seconds."""

    wheel: str = ""
    plan: str = ""
    canary: int = 1
    bake_s: float = 60.0
    one_way: bool = False

    @property
    def source(self) -> tuple[str, ...]:
        return (self.wheel,) if self.wheel else ()


def order_of(words: Sequence[str]) -> Order | None:
    """A roll-out, if the words ask for one.

    Raises:
        CommandError: they do, and make no sense.
    """
    if tuple(words[:2]) != _APPLY:
        return None
    given = read_arguments(ROLLOUT, words[2:])
    return Order(given["wheel"] or "", given["plan"] or "", given["canary"], given["bake"], given["one-way"])


class _Stop(Exception):
    """It goes no further; the text says why."""


@attrs.define
class RollOut:
    """One. `tell` is called with each event as plain data: `what`, and mostly `node`."""

    nodes: Nodes
    names: tuple[str, ...]
    order: Order
    tell: Callable[[Event], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    applied: dict[str, int] = attrs.Factory(dict)
    """Node → the number of the reload there."""
    _lost_since: dict[str, float] = attrs.Factory(dict)

    def run(self) -> int:
        """The whole of it; gives the exit status. A second Ctrl-C raises KeyboardInterrupt."""
        try:
            plan, todo = self._plan()
        except _Stop as stop:
            self.tell({"what": "not begun", "cause": str(stop)})
            return NOT_BEGUN
        if not todo:
            self.tell({"what": "done", "plan": plan, "nodes": 0})
            return DONE
        try:
            self._go(plan, todo)
        except _Stop as stop:
            return self._undo(plan, str(stop))
        except KeyboardInterrupt:
            return self._undo(plan, "stopped by Ctrl-C")
        self.tell({"what": "done", "plan": plan, "nodes": len(todo)})
        return DONE

    # ---- before anything is touched ------------------------------------------------------------------

    def _plan(self) -> tuple[str, list[str]]:
        """The plan's id, and who doesn't have it yet."""
        asked = self._ask(self.names, ("reload", "plan", *self.order.source))
        if asked.failed:
            for reply in asked.failed:
                self.tell({"what": "failed", "node": reply.node, "cause": reply.error})
            raise _Stop("not every node could plan it: mend those, or leave them out of the list")
        plans = {reply.node: reply.data for reply in asked.replies}
        for name, plan in plans.items():
            for one in plan["refused"]:
                self.tell({"what": "refused", "node": name, **one})
            if not plan["can_be_rolled_back"] and not self.order.one_way and plan["can_be_applied"]:
                self.tell({"what": "one way", "node": name, "notes": plan["notes"]})
        if any(plan["refused"] for plan in plans.values()):
            raise _Stop("what can't be loaded into a running node is refused on all")
        ids = sorted({plan["id"] for plan in plans.values()})
        if len(ids) > 1:
            for name, plan in plans.items():
                self.tell({"what": "differs", "node": name, "plan": plan["id"]})
            raise _Stop("the nodes' files differ: put the same ones in place on all")
        if self.order.plan and self.order.plan != ids[0]:
            raise _Stop(f"{ids[0]} is there, {self.order.plan} was planned")
        todo = [name for name in self.names if plans[name]["can_be_applied"]]
        if not self.order.one_way and not all(plans[name]["can_be_rolled_back"] for name in todo):
            raise _Stop("it can't be taken back: say --one-way if it is meant")
        for name in self.names:
            self.tell({"what": "planned" if name in todo else "has it", "node": name, "plan": ids[0]})
        return ids[0], todo

    # ---- node by node ----------------------------------------------------------------------------------

    def _go(self, plan: str, todo: list[str]) -> None:
        canaries = todo[: self.order.canary]
        steps = [canaries, *([name] for name in todo[self.order.canary :])]
        for number, step in enumerate(steps):
            left = len(steps) - number
            watch_s = min(WATCH_S_MAX, (self.order.bake_s + STEP_S) * left)
            for name in step:
                self._apply(plan, name, watch_s)
            self._bake(step)

    def _apply(self, plan: str, name: str, watch_s: float) -> None:
        words = (*_APPLY, *self.order.source, "--plan", plan, "--watch", f"{watch_s:g}s")
        (reply,) = self._ask((name,), words).replies
        if reply.kind == "error":
            raise _Stop(f"{name}: {reply.error}")
        done = reply.data
        self.applied[name] = done["reload"]
        self.tell({"what": "applied", "node": name, "plan": plan, "pause_ms": done["pause_ms"]})

    def _bake(self, step: Sequence[str]) -> None:
        self.tell({"what": "baking", "nodes": list(step), "seconds": self.order.bake_s})
        until = self.clock() + self.order.bake_s
        while True:
            self._look()
            left = until - self.clock()
            if left <= 0 and not self._lost_since:
                break
            self.sleep(min(POLL_S, max(left, POLL_S / 4)))
        for name in step:
            self.tell({"what": "no worse", "node": name})

    def _look(self) -> None:
        """What became of it on every node that has it by now."""
        asked = self._ask(tuple(self.applied), HISTORY, seconds_max=POLL_SILENCE_S)
        for reply in asked.replies:
            if reply.kind == "error":
                since = self._lost_since.setdefault(reply.node, self.clock())
                if self.clock() - since >= LOST_S:
                    raise _Stop(f"{reply.node}: {reply.error}")
                continue
            self._lost_since.pop(reply.node, None)
            worse = _worse(reply.data, self.applied[reply.node])
            if worse:
                self.tell({"what": "worse", "node": reply.node, "cause": worse})
                raise _Stop(f"{reply.node} got worse: {worse}")

    # ---- back --------------------------------------------------------------------------------------------

    def _undo(self, plan: str, cause: str) -> int:
        """On every node where this plan is in effect, whoever put it there: it isn't wanted anywhere."""
        self.tell({"what": "undoing", "cause": cause})
        # On all at one time: what is bad is to go quickly.
        asked = ask_each(self.nodes, self.names, ("reload", "rollback", "--plan", plan), lambda _: None)
        left = []
        for reply in asked.replies:
            if reply.kind == "error":
                left.append(reply.node)
                self.tell({"what": "not undone", "node": reply.node, "cause": reply.error})
            elif reply.data["state"] == "rolled_back":
                self.tell({"what": "undone", "node": reply.node})
        left += self._restarted(asked.replies)
        self.tell(
            {"what": "mixed" if left else "stopped", "cause": cause, "plan": plan, "left": sorted(set(left))}
        )
        return MIXED if left else UNDONE

    def _restarted(self, replies: Sequence[Reply]) -> list[str]:
        """Who ended meanwhile has started from the files on disk, where nothing can be rolled back; nor can it where
        another reload followed."""
        here = tuple(reply.node for reply in replies if reply.kind == "done" and reply.node in self.applied)
        found = []
        for reply in ask_each(self.nodes, here, HISTORY, lambda _: None).replies if here else ():
            entry = _entry(reply.data or (), self.applied[reply.node])
            if entry is None or entry["state"] != "rolled_back":
                found.append(reply.node)
                cause = reply.error or _worse(reply.data, self.applied[reply.node]) or "it is still in effect"
                self.tell({"what": "not undone", "node": reply.node, "cause": cause})
        return found

    def _ask(self, names: Sequence[str], words: Sequence[str], seconds_max: float | None = None) -> Asked:
        asked = ask_each(self.nodes, names, words, lambda _: None, seconds_max=seconds_max)
        if asked.stopped:
            raise KeyboardInterrupt
        return asked


def _entry(history: Sequence[Event], number: int) -> Event | None:
    return next((one for one in history if one["id"] == number), None)


def _worse(history: Sequence[Event], number: int) -> str:
    """Why a node isn't as it should be; "" if it is."""
    entry = _entry(history, number)
    if entry is None:
        return "its reload is in its history no more"
    if entry["state"] in ("begun", "watched") or (entry["state"] == "kept" and not entry["cause"]):
        return ""
    by = f" by {entry['rolled_back_by']}" if entry.get("rolled_back_by") else ""
    return f"{entry['state'].replace('_', ' ')}{by}: {entry['cause'] or 'for no cause that is told'}"


def line_of(event: Event) -> str:
    """An event for a person."""
    what = str(event["what"])
    where = f"{event['node']}: " if "node" in event else ""
    rest = {name: value for name, value in event.items() if name not in ("what", "node")}
    if what == "refused":
        return f"{where}refused: {event['module']}.{event['name']}: {event['cause']}: {event['remedy']}"
    told = ", ".join(
        f"{name.replace('_', ' ')} {' '.join(value) if isinstance(value, list) else value}"
        for name, value in rest.items()
        if value not in ("", [], None)
    )
    return f"{where}{what}{f' ({told})' if told else ''}"
