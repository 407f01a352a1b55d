"""What system tests share: the shim, drills in a folder of their own, and the mark `system` on everything here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ops.faults.drill import Drill
from ops.faults.unavailable import UnavailableError
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


@pytest.fixture
def make_drill(tmp_path: Path) -> Iterator[Callable[..., Drill]]:
    """`make_drill(seed=…, …)`: a drill that is entered; skipped where the machine can't do it."""
    with ExitStack() as stack:

        def make(**wanted: Any) -> Drill:
            try:
                return stack.enter_context(Drill(tmp_path, tell=print, **wanted))
            except UnavailableError as error:
                pytest.skip(str(error))

        yield make
