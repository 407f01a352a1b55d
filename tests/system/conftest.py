"""What system tests share: the shim, and everything here marked `system`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.powerloss.build import ShimUnavailableError, build_shim

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build_shim(tmp_path_factory.getbasetemp() / "shim")
    except ShimUnavailableError as error:
        pytest.skip(str(error))
