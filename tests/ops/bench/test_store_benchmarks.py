"""The store's benchmarks measure something, at a small size."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.bench import cold
from ops.bench.confined import confined
from ops.bench.screen import Screen
from ops.bench.store import Plan, measure, measure_replicated


@pytest.mark.parametrize("busy", [False, True])
def test_rows_are_put_overwritten_and_deleted(tmp_path: Path, busy: bool) -> None:
    result = measure(Plan(rows=300, body=50, users=40, busy=busy), 20, tmp_path)
    for what in ("put", "overwrite", "delete"):
        assert result[what]["rows_per_s"] > 0
        assert result[what]["committer_cpu_us"] > 0
        assert result[what]["written_bytes_per_row"] > 100
        assert (result[what]["passes_per_s"] > 0) == busy
    assert result["bytes_per_row"] > 50
    assert list(tmp_path.iterdir()) == []


def test_rows_are_tapped_and_what_was_tapped_is_applied(tmp_path: Path) -> None:
    result = measure_replicated(Plan(rows=300, body=50, users=40, busy=False, live=500), 20, tmp_path)
    for what in ("tapped_fill", "tapped_overwrite", "apply"):
        assert result[what]["rows_per_s"] > 0
        assert result[what]["committer_cpu_us"] > 0
        assert result[what]["write_amplification"] > 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.system
@pytest.mark.parametrize("how", ["direct", "threaded"])
def test_a_store_is_read_where_it_should_be_and_ticks_are_counted(tmp_path: Path, how: str) -> None:
    rows = cold.fill(tmp_path / "store", 2_000_000, Screen())
    assert rows > 1_000
    with confined(256 << 20, 0, tmp_path) as group:
        folders = tuple(map(str, group.folders))
        result = cold._in_process(cold.Plan(str(tmp_path / "store"), rows, 500, 0.5, folders, how))  # type: ignore[arg-type]
    assert result["reads_per_s"] > 10
    assert result["writes_per_s"] > 1
    assert 0 <= result["lag_ms_p50"] <= result["lag_ms_p99"] <= result["lag_ms_max"]
    assert not any(Path(folder).exists() for folder in group.folders)
