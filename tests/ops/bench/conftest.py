"""Shared by the benchmarks' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.bench import sampling


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures don't matter here, so a server needn't come to rest."""
    monkeypatch.setattr(sampling, "_SETTLE_SECONDS_MAX", 0.1)
    monkeypatch.setattr(sampling, "_LOOK_SECONDS", 0.1)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Where a peer runs, with its home in it: afterwards none of its processes is left."""
    yield tmp_path / "peer"
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            assert f"HOME={tmp_path}".encode() not in path.read_bytes(), f"{path} was left running"
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
