"""What the system allows a node: descriptors, connections that wait, mappings, memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from node.hub.settings import HubSettings
from node.tables import GROUPS
from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import Patient
from store.limits import StoreSettings
from store.memory import memory_limit

ABOUT: Final = "limits"
DESCRIPTORS_LEAST: Final = 65_536
MEMORY_LEAST: Final = 268_435_456
ARENA_BYTES: Final = 1_048_576
"""What CPython 3.11 maps at once for small objects (Objects/obmalloc.c)."""


def check(patient: Patient) -> Iterator[Finding]:
    limits = patient.config.limits if patient.config is not None else HubSettings()
    store = patient.config.store if patient.config is not None else StoreSettings()
    yield from _descriptors(patient, limits)
    yield from _backlog(patient)
    yield from _memory(patient)
    yield from _addresses(store)


def _descriptors(patient: Patient, limits: HubSettings) -> Iterator[Finding]:
    holder = patient.holder()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    whose = "a process started as this one"
    if holder is not None and (of_node := _limit_of(patient.root, holder)) is not None:
        hard, whose = of_node, "the running node"
    elif hard == resource.RLIM_INFINITY:
        hard = 1 << 30
    room = min(hard - limits.descriptors_reserved, limits.connections_max)
    text = f"{whose} may have {hard:,} files open: room for {max(room, 0):,} connections"
    if hard < DESCRIPTORS_LEAST and room < limits.connections_max:
        yield warning(
            ABOUT,
            text,
            "set LimitNOFILE=1048576 in the systemd unit (or ulimit -Hn), or limits.connections_max to what you want",
        )
    else:
        yield good(ABOUT, text)


def _limit_of(root: Path, process: int) -> int | None:
    """The hard limit on files of another process (proc_pid_limits(5))."""
    try:
        text = (root / "proc" / str(process) / "limits").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Max open files"):
            hard = line.split()[4]
            return 1 << 30 if hard == "unlimited" else int(hard)
    return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _backlog(patient: Patient) -> Iterator[Finding]:
    wanted = patient.config.listen.backlog if patient.config is not None else 0
    there = _number(patient.root / "proc/sys/net/core/somaxconn")
    if not wanted or there is None:
        yield skipped(ABOUT, "net.core.somaxconn can't be read here")
    elif there < wanted:
        yield warning(
            ABOUT,
            f"net.core.somaxconn is {there}, below listen.backlog ({wanted}): in a storm the kernel drops connections"
            " that the node would take",
            f"sysctl -w net.core.somaxconn={wanted}, and a file in /etc/sysctl.d",
        )
    else:
        yield good(ABOUT, f"net.core.somaxconn is {there}, for a listen.backlog of {wanted}")


def _memory(patient: Patient) -> Iterator[Finding]:
    memory = memory_limit(patient.root)
    if not memory:
        yield skipped(ABOUT, "how much memory there is can't be read here")
        return
    text = f"{memory / (1 << 30):.1f} GiB of memory may be used"
    if memory < MEMORY_LEAST:
        yield warning(
            ABOUT, f"{text}: little for a node", "give it 512 MiB at least (MemoryMax= of the unit)"
        )
    else:
        yield good(ABOUT, text)
    maps = _number(patient.root / "proc/sys/vm/max_map_count")
    if maps is not None and memory // ARENA_BYTES > maps // 2:
        yield warning(
            ABOUT,
            f"vm.max_map_count is {maps:,}: with this much memory Python may need more mappings, and would run out of"
            " memory early",
            f"sysctl -w vm.max_map_count={2 * memory // ARENA_BYTES}, and a file in /etc/sysctl.d",
        )


def _addresses(store: StoreSettings) -> Iterator[Finding]:
    """LMDB maps its files whole."""
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    needed = store.map_bytes * len(GROUPS)
    if soft not in (resource.RLIM_INFINITY, -1) and soft < needed:
        yield bad(
            ABOUT,
            f"a process may have {soft:,} bytes of addresses, and the store maps {needed:,}",
            "leave LimitAS= out of the unit (ulimit -v unlimited), or make store.map_bytes smaller",
        )
