"""A group with its carrier, on a real store that commits inline; what it sends, and tells, is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from replication.carrier import Carrier
from replication.core import effects
from replication.core.settings import ReplicaSettings
from replication.core.state import ReplicaState
from replication.labels import Labels
from replication.tables import replicated
from store.limits import StoreSettings
from store.schema import Group, Table
from store.store import Store
from store.writes import PUT

ME, PEER = b"me      ", b"peer    "
FIRST, SECOND = b"first   ", b"second  "


class Heard:
    """A listener that writes everything down."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def serve(self, partition: int, epoch: int) -> None:
        self.all.append(("serve", partition, epoch))

    def cease(self, partition: int) -> None:
        self.all.append(("cease", partition))

    def report(self, what: str, details: Any) -> None:
        self.all.append(("report", what, details))


@attrs.define
class Place:
    """One group with its carrier."""

    store: Store
    carrier: Carrier
    sent: list[Any]
    heard: Heard

    @property
    def state(self) -> ReplicaState:
        return self.carrier.state

    def carry(self, *wanted: Any) -> None:
        """Have effects carried out, and what the store does for them."""
        self.state.out += wanted
        self.carrier.drain()
        while self.store.deliver_results():
            pass

    def run(self) -> None:
        self.carry()

    def put(self, name: str, *keys: Any) -> None:
        """Written here, as a user of the group would."""
        number = self.carrier.group.table(name).id
        self.carrier.group.submit([(PUT, number, (key,), key) for key in keys], lambda result: None)
        self.run()

    def parts(self) -> list[Any]:
        """Everything, as it would be pulled."""
        found: list[Any] = []
        self.carry(
            (effects.READ, [(0, 0)], 1_000, 1 << 20, lambda error, head, parts, progress: found.append(parts))
        )
        return found[0]  # type: ignore[no-any-return]


def place(path: Path, tables: tuple[Table, ...], ids: dict[str, bytes] | None = None) -> Place:
    settings = StoreSettings(map_bytes=16 << 20)
    store = Store.open(path, [replicated(Group("g", tables))], settings=settings, committer="inline")
    group = store.group("g")
    state = ReplicaState(
        ME, [ME, PEER], 1, lambda p: [ME, PEER], ReplicaSettings(check_ms=0),
        incarnation=group.history.current.id, sequence=group.sequence, position=group.position,
    )  # fmt: skip
    sent: list[Any] = []
    heard = Heard()
    labels = None if ids is None else Labels(ids)
    carrier = Carrier(state, group, lambda peer, message: sent.append((peer, message)), heard, labels)
    return Place(store, carrier, sent, heard)
