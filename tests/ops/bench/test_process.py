"""Tests of `ops.bench.process` and `ops.bench.sampling`, on processes of known behaviour."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.bench import process
from ops.bench.sampling import MemorySeries, filesystem_of, median_of

BURN = "import time\nwhile time.process_time() < 0.2: pass\n"
WAIT = "print(flush=True); input()"


def python(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_cpu_of_another_process_is_what_it_says_itself() -> None:
    with python(BURN + "print(time.process_time(), flush=True)\ninput()") as burner:
        assert burner.stdout is not None
        told = float(burner.stdout.readline())
        assert told <= process.cpu_seconds(burner.pid) < told + 0.1
        burner.communicate(b"\n")


def test_cpu_of_a_family_has_that_of_a_grandchild() -> None:
    inner = BURN + WAIT
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}])"
    with python(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {outer!r}])") as family:
        assert family.stdout is not None
        family.stdout.readline()
        assert len(process.children(family.pid)) == 2
        assert process.family_cpu_seconds(family.pid) > 0.2
        assert process.cpu_seconds(family.pid) < process.family_cpu_seconds(family.pid) - 0.15
        family.communicate(b"\n")


def test_memory_has_what_a_process_allocated_and_its_peak() -> None:
    code = "a = bytearray(32 << 20)\na[::4096] = bytes(len(a[::4096]))\nprint(flush=True); input(); del a; print(flush=True); input()"  # noqa: E501
    with python(code) as eater:
        assert eater.stdout is not None
        assert eater.stdin is not None
        eater.stdout.readline()
        full = process.memory(eater.pid)
        assert full.rss >= full.anonymous > 32 << 20
        eater.stdin.write(b"\n")
        eater.stdin.flush()
        eater.stdout.readline()
        assert process.rss_bytes(eater.pid) < full.rss - (16 << 20)
        assert process.peak_rss_bytes(eater.pid) >= full.rss - (1 << 20)
        eater.communicate(b"\n")


def test_traffic_counts_what_is_written() -> None:
    before = process.traffic(os.getpid())
    with open(os.devnull, "wb", buffering=0) as sink:
        sink.write(bytes(100_000))
    assert process.traffic(os.getpid()).written_characters >= before.written_characters + 100_000


@pytest.mark.parametrize(
    "look", [process.cpu_seconds, process.memory, process.rss_bytes, process.peak_rss_bytes, process.traffic]
)
def test_an_ended_process_is_told_by_name(look: object) -> None:
    with python("") as ended:
        ended.wait()
    assert callable(look)
    with pytest.raises(process.ProcessGoneError, match=str(ended.pid)):
        look(ended.pid)


def test_disk_bytes_leave_out_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.write(bytes(8192))
        sparse.truncate(1 << 30)
    assert 8192 <= process.disk_bytes(tmp_path) < 1 << 20


def test_the_slope_of_memory_is_in_bytes_a_second() -> None:
    series = MemorySeries([(float(second), 1_000_000 + 250 * second) for second in range(10)])
    assert series.slope() == pytest.approx(250)
    assert MemorySeries([(0.0, 1), (1.0, 2)]).slope() is None


def test_a_series_shows_at_most_sixty_points() -> None:
    series = MemorySeries([(float(second), second) for second in range(601)])
    assert len(series.summary()["series_mib"]) <= 60


def test_a_median_is_taken_of_every_number_in_the_runs() -> None:
    runs = [
        {"a": 1, "b": {"c": 9.0, "name": "x"}, "none": None, "flag": True},
        {"a": 5, "b": {"c": 7.0, "name": "y"}, "none": None, "flag": True},
        {"a": 2, "b": {"c": 8.0, "name": "z"}, "none": None, "flag": True},
    ]
    assert median_of(runs) == {"a": 2, "b": {"c": 8.0, "name": "x"}, "none": None, "flag": True}


def test_the_file_system_is_that_of_the_nearest_mount() -> None:
    assert filesystem_of(Path("/proc/self")) == "proc"
