"""The cluster of a run: real nodes, each in a folder of its own, started, killed, paused, cut off, joined and removed,
each act written to the history.

It must never know what the clients do.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

import trio

from admin.channel.client import Client, Target
from admin.channel.errors import ChannelError, NotAllowed, Refused
from node.founding import Place, found
from ops.bench.node_process import COMMAND, NodeProcess, free_ports, toml
from ops.faults.rosters import keep_joined, keep_rows, owners_of, row_of
from ops.faults.stage import GENEROUS, StageError
from ops.faults.whole import missing
from ops.history.writer import HistoryWriter
from ops.tables.cables import Cables
from replication.detectorstate import ALIVE, SUSPECT
from replication.membership.joining import Joined
from replication.placement import Placement
from replication.zeromq.errors import LinkError
from replication.zeromq.keys import ensure_keys

READY_SECONDS_MAX: Final = 90.0
STOP_SECONDS_MAX: Final = 120.0
"""It hands over for ten seconds; the rest is for machines that stand still meanwhile."""
ASK_SECONDS_MAX: Final = 120.0
ASKED_MAX: Final = 3
"""Times that a node is asked: a handshake that a busy machine gives up looks as if the key were refused."""
NAME: Final = "town"
QUICK: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "cluster": {"calm_ms": 1_000, "moves_per_s": 200.0, "moves_max": 32},
        "store": {"map_bytes": 1 << 28},
        "statistics": {"enabled": False},
    }
)
"""Partitions go where they are wanted at once: what is tested is whether anything is lost by it."""


class TownNode:
    """One member's place, and its present life, if it has one."""

    def __init__(self, number: int, folder: Path, prefix: Sequence[str], links: str, port: int) -> None:
        self.number = number
        self.folder = folder
        self.data = folder / "data"
        self.prefix = list(prefix)
        self.links = links
        self.host = links.rpartition(":")[0]
        self.port = port
        self.id = b""
        self.process: NodeProcess | None = None
        self.config: dict[str, dict[str, Any]] = {}
        self.member = False
        self.server_label = ""
        self.release: Path | None = None  # the tree that it runs from its next start on; None: this one

    @property
    def server(self) -> str:
        """Its plain port, as clients on the network of the members are told."""
        return f"{self.host}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.exit_code is None


class Town:
    """`count` members in `folder`. Context manager.

    Args:
        cables: the network between them, with room for those that join later.
        settings: tables that are laid over `GENEROUS` and `QUICK`.
        labels: of the clusters that members belong to, one after another, those that join, too; each label's cluster
            owns an equal share of the partitions at first. Empty: all are of one cluster.
        servers: what each says that it stands on; empty: each on one of its own.
    """

    def __init__(
        self,
        folder: Path,
        history: HistoryWriter,
        cables: Cables,
        count: int,
        *,
        most: int | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        labels: Sequence[str] = (),
        servers: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.labels = labels or (NAME,) * count
        self._servers = servers
        self._history = history
        self._cables = cables
        self._settings = settings or {}
        self._count = count
        places = most or count
        # They live as long as this: a process that is to die with its parent dies with the thread that began it.
        self._threads = ThreadPoolExecutor(places)
        ports = free_ports(2 * places)[places:]  # the first ones may be the cables'
        self.nodes = [self._place(number, ports[number]) for number in range(places)]

    def _place(self, number: int, port: int) -> TownNode:
        cables = self._cables
        links = cables.address(number, number)
        node = TownNode(number, self.folder / f"n{number}", cables.prefix(number), links, port)
        node.folder.mkdir(parents=True, exist_ok=True)
        node.server_label = self._servers[number] if number < len(self._servers) else f"s{number}"
        cluster: dict[str, Any] = {"listen": links, "server": node.server_label, "public": node.server}
        if cables.group_ports is not None:
            first, last = cables.group_ports
            cluster |= {"ports_first": first, "ports_last": last}
        config: dict[str, dict[str, Any]] = {
            "node": {"data": str(node.data)},
            "listen": {"host": node.host, "port": 0, "plain_port": port},
            "cluster": cluster,
        }
        for tables in (GENEROUS, QUICK, self._settings):
            for table, entries in tables.items():
                config[table] = {**config.get(table, {}), **entries}
        node.config = config
        return node

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            if node.process is not None:
                node.process.kill()
        self._threads.shutdown()

    @property
    def running(self) -> list[TownNode]:
        """Those that live."""
        return [node for node in self.nodes if node.is_running]

    # ---- beginning ---------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the directories of the first members, all of whom know one another."""
        first, *others = self.nodes[: self._count]
        founded = found(first.data, NAME, Place(address=first.links, server=first.server_label))
        first.id = founded.node
        rows = [row_of(first.id, founded.key, first.links, first.server_label, self.labels[0])]
        keys = [ensure_keys(_made(node.data)).public for node in others]
        for node, key in zip(others, keys, strict=True):
            node.id = f"{node.number} member".encode()[:8]
            rows.append(row_of(node.id, key, node.links, node.server_label, self.labels[node.number]))
        owners = owners_of(sorted(set(self.labels)))
        identity = trio.run(keep_rows, first.data, rows, owners)
        self._placement = Placement(identity.secret, identity.partitions)
        for node in others:
            joined = Joined(
                node=node.id,
                name=NAME,
                secret=identity.secret,
                partitions=identity.partitions,
                rows=(*rows, *owners),
            )
            trio.run(keep_joined, node.data, joined)
        for node in self.nodes[: self._count]:
            node.member = True

    def join(self, node: TownNode) -> None:
        """Let one more in, as an operator does it, and start it.

        Raises:
            StageError
        """
        sponsor = self.running[0]
        _write_config(node)
        key = self.cli(node, "cluster", "key", "--config", str(node.folder / "node.toml"))["key"]
        cluster = ("--cluster", self.label(node)) if len(set(self.labels)) > 1 else ()
        invited = self.ask(sponsor, "invite", "--server", node.server_label, *cluster, "--", key)
        node.id = bytes.fromhex(invited["node"])
        self.cli(node, "cluster", "join", invited["join"], "--config", str(node.folder / "node.toml"))
        node.member = True
        self.start(node)

    # ---- lives -------------------------------------------------------------------------------------------

    def start(self, node: TownNode) -> None:
        """Start it, on whatever is on its disk.

        Raises:
            NodeStartError
        """
        self._launch(node)
        self._history.write("node-start")

    def _launch(self, node: TownNode) -> None:
        assert node.process is None
        node.process = NodeProcess.start(
            node.config,
            node.folder,
            command=[*node.prefix, *COMMAND],
            environment=_environment(node.release),
            ready_seconds_max=READY_SECONDS_MAX,
        )

    def start_all(self) -> None:
        """Those that belong and don't run."""
        waiting = [node for node in self.nodes if node.member and node.process is None]
        for _ in self._threads.map(self._launch, waiting):
            self._history.write("node-start")

    def kill(self, node: TownNode) -> None:
        """`kill -9`. Its place in the network stays: its phones are there, too."""
        assert node.process is not None
        node.process.kill()
        node.process = None
        self._history.write("node-kill")

    def stop(self, node: TownNode) -> None:
        """Ask it to stop.

        Raises:
            StageError: it ends with an error, or not at all.
        """
        process, node.process = node.process, None
        assert process is not None
        code = process.stop(STOP_SECONDS_MAX)
        self._history.write("node-stop")
        if code:
            raise StageError(f"n{node.number} ended with code {code}\n{process.log_tail()}")

    def pause(self, node: TownNode) -> None:
        """It doesn't run until `resume`."""
        assert node.process is not None
        node.process.signal(signal.SIGSTOP)
        self._history.write("node-pause")

    def resume(self, node: TownNode) -> None:
        """It goes on."""
        assert node.process is not None
        node.process.signal(signal.SIGCONT)
        self._history.write("node-resume")

    def isolate(self, node: TownNode) -> None:
        """Cut it off from all the others, both ways."""
        for other in self.nodes:
            if other is not node and other.member:
                self._cables.cut(node.number, other.number)
                self._cables.cut(other.number, node.number)

    def cut_off(self, label: str, *, one_way: bool = False) -> None:
        """Cut a cluster off from all others; one_way: what it says doesn't reach them, and it hears them."""
        members = [node for node in self.nodes if node.member]
        for node in members:
            for other in members:
                if self.label(node) == label != self.label(other):
                    self._cables.cut(node.number, other.number)
                    if not one_way:
                        self._cables.cut(other.number, node.number)

    def heal(self) -> None:
        """End all cuts."""
        self._cables.heal()

    # ---- what operators do -------------------------------------------------------------------------------

    def leave(self, node: TownNode) -> None:
        """It hands over everything and stops.

        Raises:
            StageError
        """
        self.ask(node, "leave", "--yes")
        node.member = False
        process, node.process = node.process, None
        assert process is not None
        until = time.monotonic() + READY_SECONDS_MAX
        while process.exit_code is None:
            if time.monotonic() > until:
                process.kill()
                raise StageError(f"n{node.number} left and goes on running\n{process.log_tail()}")
            time.sleep(0.05)
        self._history.write("node-stop")

    def remove(self, node: TownNode) -> dict[str, Any]:
        """One that is down never returns; what may be lost, as it is told by one of its own cluster that is sure of it.

        Raises:
            StageError
        """
        running = self.running
        sponsor = next((one for one in running if self.label(one) == self.label(node)), running[0])
        until = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < until:
            thought = {one["node"]: one["alive"] for one in self.status(sponsor)["members"]}
            if thought[node.id.hex()] not in (ALIVE, SUSPECT):
                break
            time.sleep(0.2)
        node.member = False
        return self.ask(sponsor, "remove", node.id.hex(), "--yes")

    def status(self, node: TownNode) -> dict[str, Any]:
        """As the node knows it.

        Raises:
            StageError
        """
        return self.ask(node, "status")

    def assign(self, node: TownNode, first: int, last: int, label: str) -> None:
        """Another cluster owns these partitions; not waited for.

        Raises:
            StageError
        """
        self.ask(node, "assign", str(first), str(last), label)

    def wait_whole(self, seconds_max: float) -> dict[str, Any]:
        """Until everything has two copies and is served where it belongs (see `missing`); the status of the first.

        Raises:
            StageError
        """
        until = time.monotonic() + seconds_max
        while True:
            running = self.running if len(set(self.labels)) > 1 else self.running[:1]
            found = [(self.label(node), self.status(node)) for node in running]
            lack = missing(found)
            if not lack:
                return found[0][1]
            if time.monotonic() > until:
                raise StageError(f"the cluster isn't whole after {seconds_max} s: {lack}")
            time.sleep(0.2)

    def serves(self, label: str, user: int) -> bool:
        """Whether a node of that cluster is the primary of this user, who is registered."""
        return any(self._is_primary(node, user) for node in self.running if self.label(node) == label)

    def _is_primary(self, node: TownNode, user: int) -> bool:
        try:
            self._asked(node, ("user", "show", f"+{user}"))
        except Refused:  # another one is, or nobody just now
            return False
        return True

    def label(self, node: TownNode) -> str:
        """Of the cluster that it belongs to, or will."""
        return self.labels[node.number] if node.number < len(self.labels) else self.labels[0]

    @property
    def label_of(self) -> dict[str, str]:
        """Where phones connect to → the cluster that is there, of those that are members."""
        return {node.server: self.label(node) for node in self.nodes if node.member}

    def partition_of(self, user: int) -> int:
        """Where a user is."""
        return self._placement.partition_of(user)

    def ask(self, node: TownNode, *words: str) -> dict[str, Any]:
        """A command of `cluster` over the node's channel.

        Raises:
            StageError
        """
        try:
            return self._asked(node, ("cluster", *words))
        except Refused as error:
            raise StageError(f"n{node.number}: {' '.join(words)}: {error}") from error

    def _asked(self, node: TownNode, words: tuple[str, ...]) -> dict[str, Any]:
        for left in reversed(range(ASKED_MAX)):
            try:
                with Client(Target.find(str(node.data))) as client:
                    answer: dict[str, Any] = client.ask(words)
                    return answer
            except (ChannelError, LinkError, OSError) as error:
                if not left or not isinstance(error, NotAllowed):
                    raise StageError(f"n{node.number}: {' '.join(words)}: {error}") from error
        raise AssertionError

    def cli(self, node: TownNode, *words: str) -> dict[str, Any]:
        """A command where the node is, as an operator gives it; its JSON.

        Raises:
            StageError
        """
        done = subprocess.run(  # noqa: S603 - our own command
            [*node.prefix, *COMMAND[:-1], *words, "--json"],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS_MAX,
            check=False,
        )
        if done.returncode:
            raise StageError(f"{' '.join(words)}: {done.stderr.strip()}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def _environment(release: Path | None) -> dict[str, str]:
    return {} if release is None else {"PYTHONPATH": str(release)}


def _made(data: Path) -> Path:
    data.mkdir(parents=True, exist_ok=True)
    return data


def _write_config(node: TownNode) -> None:
    (node.folder / "node.toml").write_text(toml(node.config))
