"""Which nodes somebody operates, by short names: those of a file, those of a server, or one alone.

A file, in TOML, which may lie anywhere. Paths in it begin at its folder; `key` stands for all nodes or for one:

    key = "anna.key"

    [nodes.chat1]
    at = "10.0.0.5:7444"
    node_key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

    [nodes.chat2]
    at = "/var/lib/waystation/chat2"

Or a directory: a node's own, or one that holds those of all nodes of a server, as the one of `cluster here` does.
`members` adds who else is of their clusters. This module must never know what is asked of the nodes.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import attrs
import msgspec

from admin.channel.client import Target
from admin.channel.errors import NotReached, RosterUnusable
from admin.channel.folder import Folder, data_in

NODES_MAX: Final = 256
"""In one list: each has a connection, with two threads of ZeroMQ's."""
FILE_BYTES_MAX: Final = 1_048_576
VARIABLE: Final = "WAYSTATION_NODES"
UNREACHED: Final = (
    'set admin.listen = "host:port" in its configuration and start it again, or ask on its own machine'
)
PLACES: Final = (Path("/etc/waystation/nodes.toml"), Path("/var/lib/waystation"), Path("data"))
"""Where a list is looked for that nobody has named: the first of these that is there."""


@attrs.frozen
class Entry:
    """One node. at: its data directory, or its address, which takes the other two (see `Target.find`). unreached: why
    it can't be asked from here, whatever it is asked."""

    name: str
    at: str
    key: Path | None = None
    node_key: str = ""
    unreached: str = ""

    @classmethod
    def alone(cls, at: str, key: Path | None = None, node_key: str = "") -> Self:
        """A node that is in no list is called by its place."""
        return cls(at, at, key, node_key)

    def target(self) -> Target:
        """Where it is now. Raises ChannelError, LinkError, OSError."""
        if self.unreached:
            raise NotReached(self.unreached, UNREACHED)
        return Target.find(self.at, self.key, self.node_key)

    @property
    def directory(self) -> Path | None:
        """Its data directory, if it is on this machine and named by it."""
        path = data_in(Path(self.at))
        return path if path.is_dir() and not self.unreached else None


class _Node(msgspec.Struct, forbid_unknown_fields=True):
    at: str
    key: str = ""
    node_key: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    nodes: dict[str, _Node]
    key: str = ""


def list_nodes(place: Path) -> tuple[Entry, ...]:
    """Every node that `place` stands for, by name. Whoever asks all nodes asks these, and no others.

    Raises:
        RosterUnusable: there is none, or a mistake in it.
        OSError: it can't be read.
    """
    if place.is_dir():
        found = _of_directory(place)
    elif place.exists():
        found = _of_file(place)
    else:
        raise RosterUnusable(f"there is no {place}")
    if not found:
        raise RosterUnusable(f"{place} has no node in it")
    if len(found) > NODES_MAX:
        raise RosterUnusable(f"{place} has {len(found)} nodes; {NODES_MAX} can be asked at one time")
    return tuple(sorted(found, key=lambda entry: entry.name))


def place_of_nodes(given: str, environment: Mapping[str, str]) -> Path:
    """Where the list is: as it was named, or by the environment, or where lists usually are.

    Raises:
        RosterUnusable: nobody has named one, and there is none.
    """
    named = given or environment.get(VARIABLE, "")
    if named:
        return Path(named)
    there = next((path for path in PLACES if path.exists()), None)
    if there is None:
        raise RosterUnusable(f"none of {', '.join(map(str, PLACES))} is there")
    return there


def _of_directory(place: Path) -> list[Entry]:
    own = data_in(place)
    if Folder.of(own).path.is_dir():
        return [Entry(place.resolve().name, str(own))]
    found = ((one.name, data_in(one)) for one in place.iterdir())
    return [Entry(name, str(data)) for name, data in found if Folder.of(data).path.is_dir()]


def _of_file(place: Path) -> list[Entry]:
    with place.open("rb") as file:
        content = file.read(FILE_BYTES_MAX)
    try:
        plain: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
        read = msgspec.convert(plain, _File)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RosterUnusable(f"{place}: {error}") from None
    found = []
    for name, node in read.nodes.items():
        key = node.key or read.key
        beside = place.parent / node.at
        at = str(beside) if beside.is_dir() else node.at
        found.append(Entry(name, at, place.parent / Path(key).expanduser() if key else None, node.node_key))
    return found
