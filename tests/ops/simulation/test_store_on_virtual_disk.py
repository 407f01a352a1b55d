"""The store's own suites, on the virtual disk: what holds on LMDB holds there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize

from tests.ops.simulation.virtual import Virtual
from tests.stateful.test_store import StoreMachine
from tests.store import test_tables
from tests.store.worlds import Plain, World, store_world, tables

globals().update({name: test for name, test in vars(test_tables).items() if name.startswith("test_")})


@pytest.fixture(params=["disc", "ram"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    virtual = Virtual(request.param)
    try:
        yield store_world(virtual.store)
    finally:
        virtual.end()


class VirtualMachine(StoreMachine):
    @initialize()
    def begin(self) -> None:
        self.world = Virtual(self.storage)
        self.sure = Plain(tables(self.storage))
        self.queued = []
        self.positions = []


TestVirtual = VirtualMachine.TestCase
TestVirtual.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
