"""What the system says of a process, on this machine and on ones that are made up."""

import gc
from pathlib import Path
from types import SimpleNamespace

import pytest

from admin.statistics import machine
from admin.statistics.catalogue import CATALOGUE
from admin.statistics.figures import UNKNOWN
from admin.statistics.garbage import Garbage
from admin.statistics.machine import Machine
from admin.statistics.sampler import take, values
from admin.statistics.series import SamplerState


def test_every_figure_of_this_machine_is_known(tmp_path: Path) -> None:
    state = SamplerState()
    garbage = Garbage()
    take(state, 1.0, {"system": Machine(tmp_path).read(), "gc": garbage.statistics()})
    found = values(state)
    assert [path for path in found if CATALOGUE.of(path) is UNKNOWN] == []
    assert found["system.memory.resident_bytes"] > 1 << 20
    assert 0 < found["system.disk.free_share"] <= 1
    assert found["system.cpu.user_seconds"] > 0
    assert found["system.descriptors.max"] > 3


def test_what_a_kernel_does_not_say_is_left_out(tmp_path: Path) -> None:
    found = Machine(tmp_path, tmp_path).read()
    assert found["tcp"] == found["io"] == {}
    assert found["memory"] == {}
    assert "open" not in found["descriptors"]
    assert "reads" not in found["disk"]
    assert "load_1m" not in found
    assert found["switches"]["voluntary"] >= 0


def test_descriptors_are_counted_once_a_minute_where_the_kernel_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of zero size is what older kernels show; many entries take several reads."""
    monkeypatch.setattr(machine, "COUNTED_AT_ONCE", 4)
    folder = tmp_path / "proc" / "self" / "fd"
    folder.mkdir(parents=True)
    now = [1_000.0]
    made = Machine(tmp_path, tmp_path, lambda: now[0])
    monkeypatch.setattr(Path, "stat", lambda _: SimpleNamespace(st_size=0))

    def counts(reads: int) -> list[int | None]:
        return [made.read()["descriptors"].get("open") for _ in range(reads)]

    for number in range(10):
        (folder / str(number)).touch()
    assert counts(4) == [None, None, 9, 9]
    for number in range(4):
        (folder / str(number)).unlink()
    now[0] += machine.COUNT_EVERY_S - 1
    assert counts(2) == [9, 9]
    now[0] += 1
    assert counts(3) == [9, 5, 5]


def test_tcp_is_read_by_its_names_whatever_their_order(tmp_path: Path) -> None:
    net = tmp_path / "proc" / "net"
    net.mkdir(parents=True)
    (net / "snmp").write_text("Ip: Forwarding\nIp: 1\nTcp: OutSegs RetransSegs\nTcp: 70 3\n")
    (net / "netstat").write_text("TcpExt: Other ListenDrops\nTcpExt: 5 9\n")
    (net / "sockstat").write_text(
        "sockets: used 29\nTCP: inuse 10 orphan 2 tw 307 alloc 11 mem 3\nUDP: inuse 0\n"
    )
    found = Machine(tmp_path, tmp_path).read()["tcp"]
    assert found["memory_bytes"] % 3 == 0
    del found["memory_bytes"]
    assert found == {
        "out_segments": 70, "retransmitted": 3, "listen_drops": 9, "sockets": 10, "orphans": 2, "time_wait": 307,
    }  # fmt: skip


def test_memory_is_limited_by_the_control_group(tmp_path: Path) -> None:
    group = tmp_path / "sys" / "fs" / "cgroup" / "a"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("1048576\n")
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text("0::/a\n")
    (tmp_path / "proc" / "self" / "statm").write_text("999 64 1 1 0 1 0\n")
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9999999 kB\nMemFree: 1 kB\nMemAvailable: 500 kB\n")
    memory = Machine(tmp_path, tmp_path).read()["memory"]
    assert (memory["limit_bytes"], memory["available_bytes"]) == (1_048_576, 512_000)
    assert memory["share"] == memory["resident_bytes"] / 1_048_576 > 0


def test_collections_of_garbage_are_timed_while_they_are_watched() -> None:
    garbage = Garbage()
    garbage.watch()
    try:
        before = sum(garbage.statistics()["pauses_us"]["buckets"])
        gc.collect()
        after = sum(garbage.statistics()["pauses_us"]["buckets"])
    finally:
        garbage.unwatch()
    assert after >= before + 1
    assert garbage.statistics()["collections"]["2"] >= 1
    gc.collect()
    assert sum(garbage.statistics()["pauses_us"]["buckets"]) == after
