"""`bench messages` with everybody online: messages to and fro for some seconds, each delivered and receipted.

This module must never know a protocol.
"""

import time
from typing import Any, Final

from attrs import frozen

from ops.bench.fleet import Fleet, Mark, pairs_shape
from ops.bench.plan import Plan, Shape
from ops.bench.sampling import Disturbance, MemorySeries, settle, watch
from ops.bench.screen import Screen
from ops.bench.server import Server

_LOGINS_PARALLEL: Final = 64
_LOGIN_SECONDS_MAX: Final = 120.0
_FINISH_SECONDS_MAX: Final = 60.0
_BUSY_CORE: Final = 0.9
_OVERDUE_US_MAX: Final = 5_000


@frozen
class Exchange:
    """What to measure.

    Attributes:
        window: messages that each user keeps sent and not yet receipted; unused with a rate.
        rate: messages a second in all, started on time whatever comes back; 0: as fast as the window allows.
        body_bytes: a message's body.
        warm_up_seconds: load before the measurement begins.
        generators: processes that make the load.
    """

    users: int
    window: int
    partners: int = 1
    rate: float = 0.0
    body_bytes: int = 120
    seconds: float = 10.0
    warm_up_seconds: float = 2.0
    generators: int = 1

    @property
    def shape(self) -> Shape:
        """Users in groups, everybody writing to all others of the group."""
        return pairs_shape(self.users, self.partners)

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
            flight="receipted",
            logins_parallel=_LOGINS_PARALLEL,
        )


class NotAllArrivedError(Exception):
    """Not every message was delivered and receipted, once each: the server or the generator is wrong."""


def measure(server: Server, wanted: Exchange, screen: Screen) -> dict[str, Any]:
    """Load for `wanted.seconds`, then let what is under way arrive.

    Raises:
        LoadError: the server closed a session, refused a message or took too long.
        NotAllArrivedError: messages were lost or repeated.
    """
    name = server.about["name"]
    process = server.process
    series = MemorySeries()
    with Fleet.of(wanted.plan(server), wanted.generators) as fleet:
        with screen.phase(f"{name}: logging in", wanted.shape.users) as phase:
            fleet.connect(
                0, wanted.shape.users, lambda counts: phase.show(counts.connected), _LOGIN_SECONDS_MAX
            )
        settle(process)
        rss_before = process.rss_bytes()
        fleet.begin()
        time.sleep(wanted.warm_up_seconds)
        before, cpu_before = fleet.mark(), process.cpu_seconds()
        disturbance = Disturbance(cpu_before + sum(before.cpu_seconds))
        with screen.phase(f"{name}: messages", wanted.seconds) as phase:

            def look(gone: float) -> None:
                series.look(process, gone)
                phase.show(gone, f"{series.points[-1][1] >> 20} MiB")

            watch(wanted.seconds, look)
        after, cpu_after = fleet.mark(), process.cpu_seconds()
        others = disturbance.cores(cpu_after + sum(after.cpu_seconds))
        fleet.end()
        last = fleet.wait(
            lambda counts: counts.receipted >= counts.sent,
            lambda _: None,
            _FINISH_SECONDS_MAX,
            "the last receipts",
        )
        if last.delivered != last.sent or last.repeated:
            raise NotAllArrivedError(f"{name}: {last}")
    messages = after.counts.receipted - before.counts.receipted
    seconds = after.at - before.at
    cpu = cpu_after - cpu_before
    if not messages:
        raise NotAllArrivedError(f"{name}: nothing was receipted within {seconds:.0f} s")
    return {
        "messages_per_s": messages / seconds,
        "messages": messages,
        "node_cpu_us_per_message": cpu / messages * 1e6,
        "node_cores": cpu / seconds,
        "send_to_deliver_ms": after.to_deliver.summary_ms(),
        "send_to_accepted_ms": after.to_accepted.summary_ms(),
        "send_to_receipted_ms": after.to_receipted.summary_ms(),
        "rss_before_bytes": rss_before,
        "rss": series.summary(),
        "resent": last.resent,
        "disordered": last.disordered,
        "generator": generator_summary(before, after, messages),
        "others_cores": others,
        "warnings": [
            *warnings(before, after, cpu / seconds, wanted.rate),
            *Disturbance.warnings(others),
        ],
        "about": server.about,
    }


def generator_summary(before: Mark, after: Mark, messages: int) -> dict[str, Any]:
    """What the load generators cost themselves."""
    seconds = after.at - before.at
    spent = [late - early for early, late in zip(before.cpu_seconds, after.cpu_seconds, strict=True)]
    return {
        "processes": len(spent),
        "cpu_us_per_message": sum(spent) / messages * 1e6,
        "busiest_core_share": max(spent) / seconds,
        "overdue_ms_max": after.overdue_us_max / 1000,
    }


def warnings(before: Mark, after: Mark, node_cores: float, rate: float) -> list[str]:
    """Why the figures might be the generator's and not the server's."""
    found = []
    share = max(late - early for early, late in zip(before.cpu_seconds, after.cpu_seconds, strict=True)) / (
        after.at - before.at
    )
    if share > _BUSY_CORE and node_cores < _BUSY_CORE:
        found.append(
            f"the load generator is the bottleneck (it used {share:.0%} of a core, the server {node_cores:.0%}):"
            " messages/s is the generator's figure; give it --generators"
        )
    if rate and after.overdue_us_max > _OVERDUE_US_MAX:
        found.append(
            f"the load generator was up to {after.overdue_us_max / 1000:.1f} ms late in starting messages; the"
            " latencies contain that"
        )
    return found
