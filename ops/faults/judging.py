"""What a run of a cluster is judged by beside its histories' promises: how long partitions stood still for moves, how
long senders waited meanwhile, and what a cut between clusters cost those whom it doesn't concern.

Times are judged where the machine had time for the nodes. Else they are told, with what the machine took.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from ops.faults.siege import Cut
from ops.faults.waits import Lost, Message, Span, summary, within
from replication.core.holds import LONG_MS

HOLD_MS: Final = LONG_MS
PLANNED: Final = frozenset({"ASSIGN", "MOVE"})
"""Spans in which nothing happens but planned moves: whoever talks waits for these alone."""
FIRST_S: Final = 4.0
"""Of a cut. Whoever has sent something by then and heard nothing at its end was kept waiting in silence."""
_LONG: Final = re.compile(r"^timestamp=(\S+) .*event=stood_still_long .*\bms=(\d+)", re.MULTILINE)


@frozen
class Machine:
    """What the machine took from the run. lost: from everybody, in a span of the clock; offset: what is to be added to
    that clock for seconds since the epoch."""

    lost: Lost
    offset: float
    busy: bool


def long_holds(logs: Iterable[str], machine: Machine, apart: Sequence[Span] = ()) -> list[int]:
    """Milliseconds of holds that were too long, but for what the machine took from everybody meanwhile: of nodes' logs,
    in all lives. apart: when a node was paused or cut off. Where a hold ends in one of these, who gave couldn't give
    up, or who took couldn't say that it serves, and the other one waited until it was dead."""
    found = []
    for log in logs:
        for when, ms in _LONG.findall(log):
            end = datetime.fromisoformat(when).timestamp() - machine.offset
            held = int(ms) - 1000 * machine.lost(end - int(ms) / 1000, end)
            if held > HOLD_MS and not any(span.begin <= end <= span.end for span in apart):
                found.append(round(held))
    return sorted(found)


def waits(messages: Sequence[Message], spans: Sequence[Span], machine: Machine) -> dict[str, dict[str, Any]]:
    """By what was done, and of the time in which nothing was (`nothing`). What was sent while something was done waited
    for that, and not for what was begun before its answer came: after a cut that is 2 s."""
    found: dict[str, dict[int, Message]] = {span.name: {} for span in spans}
    disturbed: dict[int, Message] = {}
    for during in (True, False):
        before = frozenset(disturbed)
        for span in spans:
            some = {id(m): m for m in within(messages, span) if id(m) not in before}
            if during:
                some = {key: m for key, m in some.items() if m.sent >= span.begin}
            found[span.name] |= some
            disturbed |= some
    calm = [m for m in messages if id(m) not in disturbed]
    return {
        "nothing": summary(calm, machine.lost),
        **{name: summary(found[name].values(), machine.lost) for name in sorted(found)},
    }


def held_talk(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is wrong with how long senders waited while partitions were moved: longer than a hold may last and than what
    one message of a hundred takes anyway."""
    most = HOLD_MS + found["nothing"]["wait_ms_p99"]
    return [
        f"{name}: a sender waited for {found[name]['wait_ms_most']} ms, more than {most:.0f}"
        for name in sorted(PLANNED & found.keys())
        if found[name]["wait_ms_most"] > most
    ]


def of_cut(messages: Sequence[Message], cut: Cut, machine: Machine) -> dict[str, Any]:
    """inside: pairs of one cluster, in each of them; `quiet_clusters`: in how many of them nobody talked. across: those
    of several; of their pairs, how many were told `busy`, and how many were told nothing (`silent`)."""
    there = [m for m in within(messages, cut.span) if m.sent >= cut.span.begin]
    of = {user: n for n, users in enumerate(cut.insides) for user in users}
    known = [m for m in there if m.sender in of and m.recipient in of]
    inside = [m for m in known if of[m.sender] == of[m.recipient]]
    across = [m for m in known if of[m.sender] != of[m.recipient]]
    told = {(m.sender, m.recipient) for m in across if m.busy}
    silent = {
        (m.sender, m.recipient)
        for m in across
        if m.sent <= cut.span.begin + FIRST_S and (m.answered is None or m.answered > cut.span.end)
    } - told
    return {
        "cluster": cut.span.name,
        "seconds": round(cut.span.end - cut.span.begin, 1),
        "inside": {
            **summary(inside, machine.lost),
            "quiet_clusters": len(cut.insides) - len({of[m.sender] for m in inside}),
        },
        "across": {
            **summary(across, machine.lost),
            "pairs_told_busy": len(told),
            "pairs_silent": len(silent),
        },
    }


def cost_of_cut(found: Mapping[str, Any], usual_ms: float) -> list[str]:
    """What is wrong with what a cut cost."""
    inside, across, label = found["inside"], found["across"], found["cluster"]
    wrong = []
    if inside["quiet_clusters"]:
        wrong.append(f"{label} was cut off, and within a cluster nobody talked: that proves nothing of it")
    if inside["busy"] or inside["unanswered"]:
        wrong.append(f"{label} was cut off, and {inside['busy']} within a cluster were told busy")
    if inside["wait_ms_most"] > HOLD_MS + usual_ms:
        wrong.append(f"{label} was cut off, and one within a cluster waited for {inside['wait_ms_most']} ms")
    if across["pairs_silent"]:
        wrong.append(f"{label} was cut off, and {across['pairs_silent']} pairs were told nothing")
    return wrong
