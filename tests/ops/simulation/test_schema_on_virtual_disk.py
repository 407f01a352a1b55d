"""Alterations of the schema on the virtual disk: the state machine that runs on LMDB, too."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings

from ops.simulation.disk import VirtualDisk
from tests.stateful.test_schema import SchemaMachine


class VirtualSchemaMachine(SchemaMachine):
    def make(self) -> None:
        self.path = Path("/virtual")
        self.disk = VirtualDisk("0")
        self.boundaries = {"environments": self.disk.environment, "directories": self.disk.directory}

    def fill_up(self, full: bool) -> None:
        self.disk.full = full

    def die(self) -> None:
        self.disk.crash()
        self.store.abandon()

    def clean(self) -> None:
        self.store.abandon()


TestSchemaOnVirtualDisk = VirtualSchemaMachine.TestCase
TestSchemaOnVirtualDisk.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
