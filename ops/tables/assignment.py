"""What a member of a drill is told at its start: a JSON file, checked. Knows no cluster that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import msgspec

from replication.clustersettings import STORE, ClusterSettings, Neighbour
from replication.core.settings import ReplicaSettings
from replication.detectorstate import DetectorSettings
from replication.zeromq.settings import LinkSettings


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """members: [public key, address as this member sees it, server] of all. The rest: options by their names."""

    data: str
    name: str
    members: list[tuple[str, str, str]]
    groups: list[str]
    copies: int = 2
    replica: dict[str, Any] = {}
    detector: dict[str, Any] = {}
    links: dict[str, Any] = {}
    store: dict[str, Any] = {}

    @classmethod
    def read(cls, path: Path) -> Assignment:
        """Raises OSError and msgspec.MsgspecError, which say what is wrong."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self, path: Path) -> None:
        """As `read` takes it."""
        path.write_bytes(msgspec.json.encode(self))

    def settings(self) -> ClusterSettings:
        """Raises ValueError, TypeError: an option that isn't one."""
        links = dict(self.links)
        if "group_ports" in links:
            links["group_ports"] = tuple(links["group_ports"])
        return ClusterSettings(
            data=Path(self.data),
            name=self.name,
            members=tuple(Neighbour(key, address, server) for key, address, server in self.members),
            replica=ReplicaSettings(**self.replica),
            detector=DetectorSettings(**self.detector),
            links=LinkSettings(**links),
            store=attrs.evolve(STORE, **self.store),
        )
