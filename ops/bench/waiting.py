"""Mail for recipients who aren't there: stored (phase `store`), then fetched and receipted (phase `drain`).

`bench messages --recipients offline` does it for some seconds, `bench mailbox` for a given number of messages. A
message leaves its sender's window when the server has accepted it. This module must never know a protocol.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from ops.bench import process as kernel
from ops.bench.exchange import NotAllArrivedError, generator_summary, warnings
from ops.bench.fleet import Fleet
from ops.bench.plan import Counts, Plan, Shape
from ops.bench.sampling import Disturbance, MemorySeries, settle, watch
from ops.bench.screen import Screen
from ops.bench.server import Server

_LOGINS_PARALLEL: Final = 32
_LOGIN_SECONDS_MAX: Final = 120.0
_FINISH_SECONDS_MAX: Final = 60.0
_SLOWEST_PER_S: Final = 300
"""Messages a second: what is slower is given up."""


@frozen
class Waiting:
    """What to measure.

    Attributes:
        partners: to how many recipients each sender writes, in turn.
        window: messages that each sender keeps sent and not yet accepted; unused with a rate.
        rate: messages a second in all; 0: as fast as the window allows.
        messages: how many are stored; 0: as many as it gets in `seconds`.
    """

    senders: int
    recipients: int
    partners: int
    window: int
    rate: float = 0.0
    messages: int = 0
    seconds: float = 10.0
    body_bytes: int = 120
    generators: int = 1

    @property
    def shape(self) -> Shape:
        """Senders to recipients."""
        return Shape(senders=self.senders, recipients=self.recipients, partners=self.partners)

    def plan(self, server: Server) -> Plan:
        """The generators' orders."""
        return Plan(
            dialect=server.dialect,
            host="127.0.0.1",
            port=server.port,
            tls=server.tls,
            shape=self.shape,
            window=0 if self.rate else self.window,
            rate=self.rate,
            body_bytes=self.body_bytes,
            flight="accepted",
            logins_parallel=_LOGINS_PARALLEL,
        )


def measure(
    server: Server, wanted: Waiting, screen: Screen, when_stored: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Store, settle, drain, settle.

    Args:
        when_stored: called between the phases.

    Raises:
        LoadError: the server closed a session, refused a message or took too long.
        NotAllArrivedError: messages were lost or repeated.
    """
    with Fleet.of(wanted.plan(server), wanted.generators) as fleet:
        fleet.connect(0, wanted.senders, lambda _: None, _LOGIN_SECONDS_MAX)
        settle(server.process)
        rss_before = server.process.rss_bytes()
        disturbance = Disturbance(server.process.cpu_seconds() + sum(fleet.mark().cpu_seconds))
        stored = _store(server, wanted, fleet, screen)
        settle(server.process)
        when_stored()
        drained = _drain(server, wanted, fleet, screen, stored["messages"])
        others = disturbance.cores(server.process.cpu_seconds() + sum(fleet.mark().cpu_seconds))
    found = [
        f"{phase}: {text}"
        for phase, result in (("store", stored), ("drain", drained))
        for text in result.pop("warnings")
    ]
    return {
        "messages": stored["messages"],
        "pairs": wanted.shape.pairs,
        "node_cpu_us_per_message": stored["node_cpu_us_per_message"] + drained["node_cpu_us_per_message"],
        "store": stored,
        "drain": drained,
        "rss_before_bytes": rss_before,
        "peak_rss_bytes": server.process.peak_rss_bytes(),
        "anonymous_bytes": server.process.memory().anonymous,
        "others_cores": others,
        "warnings": found + Disturbance.warnings(others),
        "about": server.about,
    }


def _store(server: Server, wanted: Waiting, fleet: Fleet, screen: Screen) -> dict[str, Any]:
    name, process = server.about["name"], server.process
    series = MemorySeries()
    disk_before, io_before = kernel.disk_bytes(server.data), process.io()
    before, cpu_before = fleet.mark(), process.cpu_seconds()
    fleet.begin(wanted.messages)
    if wanted.messages:
        limit = _FINISH_SECONDS_MAX + wanted.messages / (wanted.rate or _SLOWEST_PER_S)
        with screen.phase(f"{name}: storing", wanted.messages) as phase:
            looked = 0.0

            def show(counts: Counts) -> None:
                nonlocal looked
                phase.show(counts.accepted)
                if time.monotonic() - looked >= 1:
                    looked = time.monotonic()
                    series.look(process, looked - before.at)

            fleet.wait(lambda counts: counts.accepted >= wanted.messages, show, limit, "storing")
    else:
        with screen.phase(f"{name}: storing", wanted.seconds) as phase:

            def look(gone: float) -> None:
                series.look(process, gone)
                phase.show(gone)

            watch(wanted.seconds, look)
    fleet.end()
    fleet.wait(
        lambda counts: counts.accepted >= counts.sent,
        lambda _: None,
        _FINISH_SECONDS_MAX,
        "the last acceptances",
    )
    after, cpu_after = fleet.mark(), process.cpu_seconds()
    disk_after, io_after = kernel.disk_bytes(server.data), process.io()
    messages, seconds, cpu = after.counts.accepted, after.at - before.at, cpu_after - cpu_before
    if not messages or after.counts.delivered:
        raise NotAllArrivedError(f"{name}: {after.counts} while no recipient was there")
    written = io_after.written_to_disk - io_before.written_to_disk
    return {
        "messages": messages,
        "messages_per_s": messages / seconds,
        "node_cpu_us_per_message": cpu / messages * 1e6,
        "node_cores": cpu / seconds,
        "send_to_accepted_ms": after.to_accepted.summary_ms(),
        "disk_bytes_per_message": (disk_after - disk_before) / messages,
        "written_bytes_per_message": written / messages,
        "write_amplification": written / (messages * wanted.body_bytes),
        "resent": after.counts.resent,
        "rss": series.summary(),
        "generator": generator_summary(before, after, messages),
        "warnings": warnings(before, after, cpu / seconds, wanted.rate),
    }


def _drain(server: Server, wanted: Waiting, fleet: Fleet, screen: Screen, messages: int) -> dict[str, Any]:
    """Everybody logs in; it ends when the last receipt is with its sender and the server is at rest."""
    name, process = server.about["name"], server.process
    io_before, before, cpu_before = process.io(), fleet.mark(), process.cpu_seconds()
    limit = _FINISH_SECONDS_MAX + messages / _SLOWEST_PER_S

    with screen.phase(f"{name}: draining", messages) as phase:

        def show(counts: Counts) -> None:
            phase.show(counts.receipted)

        # The first drain while the last log in.
        fleet.connect(wanted.senders, wanted.shape.users, show, limit)
        fleet.wait(
            lambda counts: counts.delivered >= messages and counts.receipted >= messages,
            show,
            limit,
            "draining",
        )
    after = fleet.mark()
    seconds = after.at - before.at
    settle(process)  # what is written behind belongs to it, too
    cpu_after, io_after = process.cpu_seconds(), process.io()
    last = fleet.counts()
    if not last.delivered == last.receipted == last.sent or last.repeated:
        raise NotAllArrivedError(f"{name}: {last}")
    written = io_after.written_to_disk - io_before.written_to_disk
    cpu = cpu_after - cpu_before
    return {
        "messages_per_s": messages / seconds,
        "seconds": seconds,
        "logins": wanted.recipients,
        "node_cpu_us_per_message": cpu / messages * 1e6,
        "written_bytes_per_message": written / messages,
        "disordered": last.disordered,
        "generator": generator_summary(before, after, messages),
        "warnings": warnings(before, after, cpu / seconds, 0),
    }
