"""Shared by the benchmarks' tests."""

import pytest

from ops.bench import sampling


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures don't matter here, so a server needn't come to rest."""
    monkeypatch.setattr(sampling, "_SETTLE_SECONDS_MAX", 0.1)
    monkeypatch.setattr(sampling, "_LOOK_SECONDS", 0.1)
