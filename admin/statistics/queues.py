"""Every queue of a node: its length, how fast things come and go, how old its oldest is, and when it will be empty.

What is counted of a queue differs: what came, what went, or neither. Came = went + length, so one of the two is enough.
The age follows from the counts, if a queue is first in, first out: its head came when as many had come as have gone by
now. Without counts the age is the time since it was last seen empty, which it can't be above.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import attrs

from admin.statistics.rates import move, shown
from admin.statistics.series import Line

ARRIVALS_MAX: Final = 128
"""Remembered of one queue; with more, every other is forgotten, and ages become coarser."""
GROUPINGS_MAX: Final = 16
"""Sets of groups of which the queues are remembered; a node has one, and another when a group is made."""


@attrs.frozen(kw_only=True)
class Queue:
    """Where a queue's figures are. A `{group}` in the name stands for each group of the store.

    length, came, went: sums of figures. limit: the figure that says how long it may be.
    """

    name: str
    length: tuple[str, ...]
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    limit: str = ""
    holds: str

    def of(self, group: str) -> Queue:
        """The queue of one group."""

        def put(paths: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(path.replace("{group}", group) for path in paths)

        return attrs.evolve(
            self,
            name=self.name.replace("{group}", group),
            length=put(self.length),
            came=put(self.came),
            went=put(self.went),
        )


QUEUES: Final = (
    Queue(
        name="soon",
        length=("hub.soon_waiting",),
        went=("hub.soon_called",),
        holds="functions of other parts for the next pass",
    ),
    Queue(
        name="handshakes",
        length=("hub.handshaking",),
        went=("hub.handshakes_done", "hub.handshakes_failed"),
        holds="connections whose TLS handshake isn't done",
    ),
    Queue(
        name="writers",
        length=("hub.blocked_writers",),
        holds="connections that don't take what is written to them",
    ),
    Queue(
        name="mail",
        length=("mail.pending",),
        came=("mail.taken",),
        holds="messages that are neither on disk nor acknowledged",
    ),
    Queue(name="pairs", length=("mail.dirty",), came=("mail.marked",), holds="pairs to be written"),
    Queue(
        name="receipts",
        length=("mail.dirty_receipts",),
        came=("mail.receipts_marked",),
        holds="receipts to be written",
    ),
    Queue(
        name="loads",
        length=("mail.loads_waiting",),
        came=("mail.loads",),
        holds="events that wait for their pair to be read",
    ),
    Queue(name="boxes", length=("mail.boxes_loading",), holds="mailboxes that are being read"),
    Queue(name="stalled", length=("mail.reads_stalled",), holds="reads without room in the store's queue"),
    Queue(name="wipes", length=("mail.wipes",), holds="mailboxes that are being ended with their device"),
    Queue(
        name="pins",
        length=("accounts.courier.waiting", "accounts.courier.in_hand"),
        went=(
            "accounts.courier.delivered",
            "accounts.courier.failed",
            "accounts.courier.broken",
            "accounts.courier.too_old",
        ),
        limit="accounts.courier.waiting_max",
        holds="PINs for the gateway",
    ),
    Queue(
        name="registrations",
        length=("accounts.registration.in_store",),
        limit="accounts.registration.in_store_max",
        holds="PIN requests and registrations that wait for the store",
    ),
    Queue(
        name="replaced",
        length=("accounts.registration.waiting_for_wipe",),
        limit="accounts.registration.waiting_for_wipe_max",
        holds="registrations that wait for the former device's mail to be ended",
    ),
    Queue(
        name="entrance",
        length=("logins_waiting",),
        limit="logins_waiting_max",
        holds="logins that wait for their turn",
    ),
    Queue(
        name="logins",
        length=("accounts.login.reading",),
        holds="logins that wait for their account to be read",
    ),
    Queue(
        name="results",
        length=("store.results_waiting",),
        went=("store.results_delivered",),
        holds="results of the store for the loop",
    ),
    Queue(
        name="commits of {group}",
        length=("store.groups.{group}.queue_rows",),
        went=("store.groups.{group}.rows",),
        holds="rows to be committed",
    ),
    Queue(
        name="reads of {group}",
        length=("store.groups.{group}.cold_reads_waiting",),
        went=("store.groups.{group}.cold_reads",),
        holds="reads that a thread does",
    ),
    Queue(
        name="tee",
        length=("tee.entries",),
        went=("tee.taken",),
        limit="tee.entries_max",
        holds="what phones said, for the test node",
    ),
    Queue(
        name="alarms",
        length=("statistics.webhook.waiting",),
        went=("statistics.webhook.told", "statistics.webhook.failed", "statistics.webhook.dropped"),
        holds="events of alarms for the webhook",
    ),
)


@lru_cache(GROUPINGS_MAX)
def queues_of(groups: tuple[str, ...]) -> tuple[Queue, ...]:
    """All queues of a node whose store has these groups."""
    return tuple(
        queue.of(group) for queue in QUEUES for group in (groups if "{group}" in queue.name else ("",))
    )


def step(
    line: Line,
    queue: Queue,
    value: Callable[[str], float],
    now: float,
    interval_s: float,
    by: tuple[float, float, float],
) -> None:
    """A second is over: take in what the queue's figures are now. The first time (`interval_s` 0) sets the marks."""
    before, line.length = line.length, sum(map(value, queue.length))
    line.limit = value(queue.limit) if queue.limit else None
    came_before, went_before = line.came, line.went
    if queue.came:
        line.came = sum(map(value, queue.came))
        line.went = line.came - line.length
    elif queue.went:
        line.went = sum(map(value, queue.went))
        line.came = line.went + line.length
    else:  # what can be seen of it: no less came, or went, than the difference
        line.came += max(0.0, line.length - before)
        line.went += max(0.0, before - line.length)
    if line.length <= 0:
        line.empty_at = now
    if interval_s:
        move(line.into, max(0.0, line.came - came_before) / interval_s, by)
        move(line.out, max(0.0, line.went - went_before) / interval_s, by)
    _grow_older(line, now, counted=bool(queue.came or queue.went))


def _grow_older(line: Line, now: float, *, counted: bool) -> None:
    arrivals = line.arrivals
    if line.length <= 0:
        arrivals.clear()
        line.age_s = 0.0
        return
    if not counted:
        line.age_s = now - line.empty_at
        return
    if not arrivals or arrivals[-1][1] < line.came:
        arrivals.append((now, line.came))
    while arrivals and arrivals[0][1] <= line.went:
        arrivals.popleft()
    if len(arrivals) > ARRIVALS_MAX:
        kept = list(arrivals)[::2]
        arrivals.clear()
        arrivals.extend(kept)
    line.age_s = now - arrivals[0][0] if arrivals else 0.0


def drain_s(line: Line, now: float) -> float | None:
    """When it will be empty at the rates of the last ten seconds; None: it doesn't become shorter."""
    if line.length <= 0:
        return 0.0
    into, out = shown(line.into, now - line.born)[1], shown(line.out, now - line.born)[1]
    return line.length / (out - into) if out > into else None


def picture(queue: Queue, line: Line, now: float) -> dict[str, Any]:
    """As it is shown. in, out: each second, over 1, 10 and 100 s."""
    drain, age_s = drain_s(line, now), now - line.born
    return {
        "queue": queue.name,
        "length": int(line.length),
        "limit": None if line.limit is None else int(line.limit),
        "in": [round(rate, 3) for rate in shown(line.into, age_s)],
        "out": [round(rate, 3) for rate in shown(line.out, age_s)],
        "age_s": round(line.age_s, 3),
        "drain_s": None if drain is None else round(drain, 3),
        "holds": queue.holds,
    }
