"""How long senders waited until the node had answered for their messages, and who was told to come again: from the
histories of a run, for the spans in which something was done to it.

It must never know what was done.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from ops.faults.recorder import CONNECTED
from ops.history.format import Event
from ops.history.reader import find_files, read_file

NS: Final = 1_000_000_000
ANSWERS: Final = frozenset({"accepted", "refused", "receipt"})
"""After one of them its sender knows what has become of a message. A receipt may come in place of `accepted`, if the
connection was lost in between."""
Lost = Callable[[float, float], float]
"""Seconds that the machine took from everybody within a span of the clock."""


@frozen
class Span:
    """Something was done from `begin` to `end`, seconds of the histories' clock."""

    name: str
    begin: float
    end: float


@frozen
class Message:
    """One that was sent, and when it was taken or refused (None: never). busy: how often its sender was told to come
    again. reconnected: its sender's connection was made anew meanwhile."""

    sender: int
    recipient: int
    sent: float
    answered: float | None
    busy: int
    reconnected: bool = False


def messages(folder: Path) -> list[Message]:
    """All of the histories in a folder, by the time at which they were sent first."""
    found: list[Message] = []
    open_: dict[tuple[int, int, str], dict[int, tuple[float, int]]] = {}
    connected: dict[int, list[float]] = {}
    for path in find_files([folder]):
        for _, event in read_file(path):
            if isinstance(event, Event):
                if event.event == "note" and (event.note or "").startswith(CONNECTED):
                    connected.setdefault(event.user, []).append(event.at_ns / NS)
                _take(event, open_, found)
    found += [
        Message(sender, recipient, sent, None, busy)
        for (sender, recipient, _), numbers in open_.items()
        for sent, busy in numbers.values()
    ]
    for times in connected.values():
        times.sort()
    judged = (evolve(one, reconnected=_anew(one, connected.get(one.sender, []))) for one in found)
    return sorted(judged, key=lambda message: message.sent)


def _anew(message: Message, connected: Sequence[float]) -> bool:
    """Whether its sender connected while it was under way, at one of these times."""
    at = bisect_right(connected, message.sent)
    return at < len(connected) and (message.answered is None or connected[at] <= message.answered)


def _take(
    event: Event, open_: dict[tuple[int, int, str], dict[int, tuple[float, int]]], found: list[Message]
) -> None:
    numbers = open_.setdefault((event.sender, event.recipient, event.stream), {})
    at = event.at_ns / NS
    if event.event == "sent":
        numbers.setdefault(event.n, (at, 0))
    elif event.event == "busy" and event.n in numbers:
        sent, busy = numbers[event.n]
        numbers[event.n] = sent, busy + 1
    elif event.event in ANSWERS:
        for n in [n for n in numbers if event.n <= n <= event.end]:
            sent, busy = numbers.pop(n)
            found.append(Message(event.sender, event.recipient, sent, at, busy))


def within(all_: Iterable[Message], span: Span, users: Collection[int] | None = None) -> list[Message]:
    """Those that were under way in a span; if `users` are named, among these."""
    return [
        message
        for message in all_
        if message.sent <= span.end
        and (message.answered is None or message.answered >= span.begin)
        and (users is None or (message.sender in users and message.recipient in users))
    ]


def summary(some: Iterable[Message], lost: Lost = lambda begin, end: 0.0) -> dict[str, Any]:
    """How many, how long they waited, without what the machine took from everybody, and how many were told busy.
    `stayed` are those whose senders' connections did: the others waited for that, too."""
    some = list(some)

    def waited(among: Iterable[Message]) -> list[float]:
        return sorted(
            1000 * (message.answered - message.sent - lost(message.sent, message.answered))
            for message in among
            if message.answered is not None
        )

    all_ = waited(some)
    stayed = waited(message for message in some if not message.reconnected)
    return {
        "messages": len(some),
        "wait_ms_p50": _share(all_, 50),
        "wait_ms_p99": _share(all_, 99),
        "wait_ms_most": _share(all_, 100),
        "reconnected": sum(message.reconnected for message in some),
        "stayed_ms_p99": _share(stayed, 99),
        "stayed_ms_most": _share(stayed, 100),
        "busy": sum(message.busy > 0 for message in some),
        "unanswered": sum(message.answered is None for message in some),
    }


def _share(waited: Sequence[float], percent: int) -> float:
    """So many of a hundred waited no longer."""
    return round(waited[min(len(waited) - 1, len(waited) * percent // 100)], 1) if waited else 0.0
