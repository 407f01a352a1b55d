"""A store on a virtual disk, with the interface of `tests.store.worlds.Crashing`."""

from __future__ import annotations

from typing import Any

from ops.simulation.disk import VirtualDisk
from store.schema import Group
from store.store import Store
from tests.store.worlds import GROUP, tables


class Virtual:
    """Crashed and opened again as `Crashing` is; no file is touched."""

    def __init__(self, storage: str = "disc") -> None:
        self.storage = storage
        self.told: list[Any] = []
        self.disk = VirtualDisk("0", self.told.append)
        self.store = self._open()

    def _open(self) -> Store:
        return Store.open(
            "/virtual",
            [Group(GROUP, tables(self.storage))],
            committer="inline",
            environments=self.disk.environment,
            directories=self.disk.directory,
        )

    @property
    def group(self) -> Any:
        return self.store.group(GROUP)

    def crash(self) -> None:
        self.disk.crash()
        self.store.abandon()
        self.store = self._open()

    def reopen(self) -> None:
        self.store.close()
        self.store = self._open()

    def end(self) -> None:
        self.store.abandon()
