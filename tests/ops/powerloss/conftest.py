"""The shim, made once; without a compiler the tests that need it are skipped, and say why."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.powerloss.build import ShimUnavailableError, build_shim


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build_shim(tmp_path_factory.getbasetemp() / "shim")
    except ShimUnavailableError as error:
        pytest.skip(str(error))
