"""What the system says of a process, on this machine and on ones that are made up."""

import gc
from pathlib import Path

import pytest

from admin.statistics.figures import UNKNOWN
from admin.statistics.garbage import Garbage
from admin.statistics.machine import Machine
from admin.statistics.sampler import CATALOGUE, take, values
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
    found = Machine(tmp_path, proc=tmp_path / "proc", sys=tmp_path / "sys").read()
    assert found["tcp"] == found["io"] == {}
    assert set(found["memory"]) == {"limit_bytes"}
    assert "open" not in found["descriptors"]
    assert "reads" not in found["disk"]
    assert "load_1m" not in found
    assert found["switches"]["voluntary"] >= 0


def test_tcp_is_read_by_its_names_whatever_their_order(tmp_path: Path) -> None:
    net = tmp_path / "net"
    net.mkdir()
    (net / "snmp").write_text("Ip: Forwarding\nIp: 1\nTcp: OutSegs RetransSegs\nTcp: 70 3\n")
    (net / "netstat").write_text("TcpExt: Other ListenDrops\nTcpExt: 5 9\n")
    (net / "sockstat").write_text(
        "sockets: used 29\nTCP: inuse 10 orphan 2 tw 307 alloc 11 mem 3\nUDP: inuse 0\n"
    )
    found = Machine(tmp_path, proc=tmp_path).read()["tcp"]
    assert found["memory_bytes"] % 3 == 0
    del found["memory_bytes"]
    assert found == {
        "out_segments": 70, "retransmitted": 3, "listen_drops": 9, "sockets": 10, "orphans": 2, "time_wait": 307,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"a": "4096", "a/b": "max"}, 4096),
        ({"a": "max", "a/b": "8192"}, 8192),
        ({"a": "4096", "a/b": "512"}, 512),
    ],
)
def test_memory_is_limited_by_every_control_group_above(
    tmp_path: Path, limits: dict[str, str], expected: int
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("1:name=old:/\n0::/a/b\n")
    for group, limit in limits.items():
        folder = tmp_path / "fs" / "cgroup" / group
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text(f"{limit}\n")
    found = Machine(tmp_path, proc=tmp_path, sys=tmp_path).read()
    assert found["memory"]["limit_bytes"] == expected


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
