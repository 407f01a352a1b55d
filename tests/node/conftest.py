"""A node with three registered numbers, for the tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.node.live import Device, LiveNode, live_node

ALICE, BOB, CAROL = Device.of(1), Device.of(2), Device.of(3)


@pytest.fixture
def alice() -> Device:
    return ALICE


@pytest.fixture
def bob() -> Device:
    return BOB


@pytest.fixture
def carol() -> Device:
    return CAROL


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[LiveNode]:
    async with live_node(tmp_path, devices=(ALICE, BOB, CAROL)) as node:
        yield node
