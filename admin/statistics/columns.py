"""What `waystation wsar` shows of a record: named sets of columns, each a figure or some, scaled to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attrs

KIB: Final = 1 / 1024
MIB: Final = 1 / 1024**2


@attrs.frozen
class Column:
    """heading: short. figures: summed. of: as a share of their sum. scale: factor. digits: after the point."""

    heading: str
    figures: tuple[str, ...]
    scale: float = 1.0
    digits: int = 0
    of: tuple[str, ...] = ()

    def value(self, values: Mapping[str, float]) -> float | None:
        """None: the record doesn't have it."""
        found = [values[name] for name in self.figures if name in values]
        if not found:
            return None
        total = sum(found)
        if self.of:
            whole = sum(values.get(name, 0.0) for name in self.of)
            total = total / whole if whole else 0.0
        return total * self.scale

    def shown(self, values: Mapping[str, float]) -> str:
        """Aligned by whoever prints it."""
        value = self.value(values)
        return "-" if value is None else f"{value:.{self.digits}f}"


def _column(heading: str, figure: str, scale: float = 1.0, digits: int = 0) -> Column:
    return Column(heading, tuple(figure.split("+")), scale, digits)


_TICKS: Final = ("mail.accepted_delivered", "mail.accepted_stored")

SETS: Final[Mapping[str, tuple[Column, ...]]] = MappingProxyType(
    {
        "overview": (
            _column("conn", "hub.connections"),
            _column("sess", "sessions"),
            _column("login/s", "logins", 1, 1),
            _column("in/s", "mail.taken"),
            _column("out/s", "mail.delivered"),
            _column("ack/s", "mail.acks"),
            _column("busy/s", "mail.busy", 1, 1),
            _column("pend", "mail.pending"),
            _column("tick99ms", "mail.accepted_ms.p99"),
            _column("lag99ms", "hub.lag_us.p99", 1e-3, 1),
            _column("cpu%", "system.cpu.user_seconds+system.cpu.system_seconds", 100),
            _column("rssMB", "system.memory.resident_bytes", MIB),
            _column("alarms", "statistics.alarms"),
        ),
        "mail": (
            _column("sent/s", "mail.sends"),
            _column("taken/s", "mail.taken"),
            _column("dup/s", "mail.duplicates", 1, 1),
            _column("gap/s", "mail.gaps", 1, 1),
            _column("refus/s", "mail.refused", 1, 1),
            _column("written/s", "mail.written"),
            Column("hit%", _TICKS[:1], 100, 1, _TICKS),
            _column("commit/s", "mail.commits", 1, 1),
            _column("tick50ms", "mail.accepted_ms.p50"),
            _column("tick99ms", "mail.accepted_ms.p99"),
            _column("dlv50ms", "mail.delivery_ms.p50"),
            _column("dlv99ms", "mail.delivery_ms.p99"),
            _column("pairs", "mail.pairs"),
            _column("boxes", "mail.boxes"),
        ),
        "hub": (
            _column("conn", "hub.connections"),
            _column("acc/s", "hub.accepted", 1, 1),
            _column("tls/s", "hub.handshakes_done", 1, 1),
            _column("tlsfail/s", "hub.handshakes_failed", 1, 1),
            _column("kB/s in", "hub.bytes_in", KIB),
            _column("kB/s out", "hub.bytes_out", KIB),
            _column("pass/s", "hub.passes"),
            _column("evt/pass", "hub.batches.p50"),
            _column("lag50us", "hub.lag_us.p50"),
            _column("lag99us", "hub.lag_us.p99"),
            _column("lagmaxus", "hub.lag_us.most"),
            _column("late ms", "loop.late_ms", 1, 1),
            _column("blocked", "hub.blocked_writers"),
            _column("fail/s", "hub.failures", 1, 1),
        ),
        "queues": (
            _column("mail", "mail.pending"),
            _column("age s", "age.mail", 1, 1),
            _column("pairs", "mail.dirty"),
            _column("age s", "age.pairs", 1, 1),
            _column("receipts", "mail.dirty_receipts"),
            _column("loads", "mail.loads_waiting"),
            _column("stalled", "mail.reads_stalled"),
            _column("commit", "store.groups.users.queue_rows"),
            _column("age s", "age.commits of users", 1, 1),
            _column("reads", "store.groups.users.cold_reads_waiting"),
            _column("soon", "hub.soon_waiting"),
            _column("tls", "hub.handshaking"),
            _column("pins", "accounts.courier.waiting"),
        ),
        "store": (
            _column("commit/s", "store.groups.users.commits", 1, 1),
            _column("rows/s", "store.groups.users.rows"),
            Column("rows/c", ("store.groups.users.rows",), 1, 1, ("store.groups.users.commits",)),
            _column("rows/c99", "store.groups.users.commit_rows.p99"),
            Column("ms/c", ("store.groups.users.commit_seconds",), 1e3, 2, ("store.groups.users.commits",)),
            Column("ms/c99", ("store.groups.users.commit_time_us.p99",), 1e-3, 2),
            _column("busy/s", "store.groups.users.busy", 1, 1),
            _column("queue", "store.groups.users.queue_rows"),
            _column("cold/s", "store.groups.users.cold_reads", 1, 1),
            _column("usedMB", "store.groups.users.used_bytes", MIB),
        ),
        "cluster": (
            _column("members", "cluster.members"),
            _column("alive", "cluster.members_alive"),
            _column("served", "cluster.partitions.served"),
            _column("unserved", "cluster.partitions.unserved"),
            _column("one copy", "cluster.partitions.at_one_copy"),
            _column("moving", "cluster.partitions.moving"),
            _column("lag rows", "replication.lag_rows"),
            _column("lag s", "replication.oldest_ms", 1e-3, 1),
            _column("links dn", "cluster.links_down"),
            _column("link q", "cluster.links_waiting"),
            _column("routed/s", "routing.sent"),
            _column("kept", "routing.kept_messages"),
            _column("kept s", "routing.kept_oldest_ms", 1e-3, 1),
        ),
        "system": (
            _column("usr%", "system.cpu.user_seconds", 100),
            _column("sys%", "system.cpu.system_seconds", 100),
            _column("loop%", "system.cpu.loop_seconds", 100),
            _column("load", "system.load_1m", 1, 2),
            _column("cswch/s", "system.switches.voluntary"),
            _column("nvcsw/s", "system.switches.involuntary"),
            _column("flt/s", "system.faults.minor"),
            _column("majflt/s", "system.faults.major", 1, 1),
            _column("rssMB", "system.memory.resident_bytes", MIB),
            _column("availMB", "system.memory.available_bytes", MIB),
            _column("fds", "system.descriptors.open"),
            _column("gc/s", "gc.collections.0+gc.collections.1+gc.collections.2", 1, 2),
            _column("gcmaxus", "gc.pauses_us.most"),
            _column("stat%", "statistics.cpu_seconds", 100, 2),
        ),
        "net": (
            _column("seg/s in", "system.tcp.in_segments"),
            _column("seg/s out", "system.tcp.out_segments"),
            _column("retr/s", "system.tcp.retransmitted", 1, 1),
            _column("rst/s out", "system.tcp.resets_sent", 1, 1),
            _column("rst/s in", "system.tcp.resets_received", 1, 1),
            _column("estab", "system.tcp.established"),
            _column("sockets", "system.tcp.sockets"),
            _column("timewait", "system.tcp.time_wait"),
            _column("memMB", "system.tcp.memory_bytes", MIB, 1),
            _column("ovfl/s", "system.tcp.listen_overflows", 1, 1),
        ),
        "disk": (
            _column("rd/s", "system.disk.reads", 1, 1),
            _column("wr/s", "system.disk.writes", 1, 1),
            _column("rkB/s", "system.disk.read_bytes", KIB),
            _column("wkB/s", "system.disk.written_bytes", KIB),
            _column("util%", "system.disk.busy_seconds", 100),
            _column("flight", "system.disk.in_flight"),
            _column("my rkB/s", "system.io.read_bytes", KIB),
            _column("my wkB/s", "system.io.write_bytes", KIB),
            _column("freeGB", "system.disk.free_bytes", MIB / 1024, 1),
            _column("free%", "system.disk.free_share", 100, 1),
        ),
    }
)


def of_figures(names: Sequence[str]) -> tuple[Column, ...]:
    """A column for each figure, under its own name."""
    return tuple(Column(name, (name,), 1.0, 2) for name in names)


def headings(columns: Sequence[Column], first: str, width: int) -> str:
    """The line above the columns."""
    return first.ljust(width) + "".join(column.heading.rjust(_width(column)) for column in columns)


def line(columns: Sequence[Column], first: str, width: int, values: Mapping[str, float]) -> str:
    """A record's line; `first` is its time."""
    return first.ljust(width) + "".join(column.shown(values).rjust(_width(column)) for column in columns)


def _width(column: Column) -> int:
    return max(8, len(column.heading)) + 1
