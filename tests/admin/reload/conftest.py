"""A sample program for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.reload.world import World, world_in


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's, for its history."""
    return tmp_path_factory.mktemp("node") / "reload"
