"""The stage of a storm: real nodes on this machine, two switches with half of them each, as operators would run them;
and what can happen to them.

This module must never know what the phones do.
"""

import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from attrs import define, field

from admin.channel.client import Client, Target
from admin.channel.errors import ChannelError, Refused
from node.accounts.provision import provision
from ops.bench import process
from ops.bench.clusters import wait_placed
from ops.bench.identities import number_of, public_key, stream_of
from ops.bench.node_process import free_ports
from ops.bench.session import now_us
from ops.faults.stage import StageError
from ops.faults.town import Town, TownNode
from ops.history.writer import HistoryWriter
from ops.tables.cables import Plain

Event = Literal["killed", "switch", "silent", "stopped"]
WHOLE_SECONDS_MAX: Final = 120.0
PLACED_SECONDS_MAX: Final = 240.0
"""On a busy machine the first node that is ready claims nearly everything, and hands it over at the default pace."""
LOOK_SECONDS: Final = 0.25
PLAIN: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "limits": {"bye_retry_ms_max": 30_000},
        "session": {"ping_after_s": 240, "ping_wait_s": 30, "logins_per_s_max": 0},
        "cluster": {"calm_ms": 30_000, "moves_per_s": 10.0, "moves_max": 4},
    }
)
"""What a town makes quick for tests is as in the defaults, but for logins: they are limited when everybody is in."""


@contextmanager
def stage(folder: Path, nodes: int, users: int) -> Iterator["Stage"]:
    """Members with accounts for users 0 … users - 1, of which the first half is at one switch; ended with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    switches = [f"switch{2 * number // nodes}" for number in range(nodes)]
    accounts = [(number_of(user), public_key(user), stream_of(user)) for user in range(users)]
    history = HistoryWriter(folder / "history.jsonl", "bench")
    try:
        with (
            Plain(nodes) as cables,
            Town(folder, history, cables, nodes, settings=PLAIN, servers=switches) as town,
        ):
            *_, prometheus = _far_apart(nodes)
            for node, port in zip(town.nodes, prometheus, strict=True):
                node.config["statistics"] = {"enabled": True, "prometheus_port": port}
            town.prepare()
            for node in town.nodes:  # each has all of them: there is nothing to be copied
                provision(node.data, accounts)
            town.start_all()
            mending = Mending(town, town.nodes, now_us())
            if not mending.wait(WHOLE_SECONDS_MAX, lambda: None):
                raise StageError(f"the cluster isn't whole after {WHOLE_SECONDS_MAX:.0f} s: {mending}")
            wait_placed(town, PLACED_SECONDS_MAX)
            yield Stage(town, switches)
    finally:
        history.close()


def _far_apart(nodes: int) -> tuple[list[int], list[int]]:
    """Ports that aren't the ones a town takes from the same source."""
    ports = free_ports(4 * nodes)
    return ports[: 3 * nodes], ports[3 * nodes :]


@define
class Stage:
    """switches: of each node, the label of its own."""

    town: Town
    switches: Sequence[str]

    def doomed(self, event: Event) -> list[TownNode]:
        """Who is lost by it."""
        nodes = self.town.nodes
        if event in ("switch", "silent"):
            return [
                node for node, label in zip(nodes, self.switches, strict=True) if label != self.switches[0]
            ]
        return [nodes[-1]]

    def limit_logins(self, per_s: int) -> None:
        """From now on, at every node.

        Raises:
            StageError
        """
        for node in self.town.nodes:
            try:
                with Client(Target.find(str(node.data))) as client:
                    client.ask(("knob", "set", "session.logins_per_s_max", str(per_s)))
            except (ChannelError, Refused) as error:
                raise StageError(f"n{node.number}: {error}") from error

    def happen(self, event: Event, pool: ThreadPoolExecutor) -> int:
        """Let it; when it began, in microseconds. A stop goes on after that."""
        doomed = self.doomed(event)
        at = now_us()
        if event == "stopped":
            pool.submit(self.town.stop, doomed[0])
        elif event == "silent":
            for node in doomed:
                self.town.pause(node)
        else:
            for node in doomed:
                pool.submit(self.town.kill, node)
        return at

    def counters(self, nodes: Sequence[TownNode]) -> Counter[str]:
        """What their statistics count, together."""
        found: Counter[str] = Counter()
        for node in nodes:
            port = node.config["statistics"]["prometheus_port"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                for line in answer.read().decode().splitlines():
                    name, _, value = line.rpartition(" ")
                    if name and not name.startswith("#"):
                        found[name.removeprefix("waystation_")] += float(value)  # type: ignore[assignment]
        return found


def cpu_seconds(nodes: Sequence[TownNode]) -> float:
    """Of all of them."""
    return sum(process.cpu_seconds(node.process.pid) for node in nodes if node.process is not None)


@define
class Mending:
    """How a cluster gets over it, looked at again and again: `look` until `whole`."""

    town: Town
    nodes: Sequence[TownNode]
    began: int
    served_s: float | None = None
    whole_s: float | None = None
    at_one_copy_most: int = 0
    unserved_most: int = 0
    statuses: list[dict[str, Any]] = field(factory=list, repr=False)

    def look(self) -> None:
        """Once."""
        try:
            self.statuses = [self.town.status(node) for node in self.nodes]
        except StageError:  # it is too busy to answer in time: looked at again
            return
        at = (now_us() - self.began) / 1e6
        parts = [status["partitions"] for status in self.statuses]
        single = sum(part["at_one_copy"] for part in parts)
        unserved = max(part["served_by_nobody"] for part in parts)
        served = sum(part["served_here"] for part in parts)
        self.at_one_copy_most = max(self.at_one_copy_most, single)
        self.unserved_most = max(self.unserved_most, unserved)
        if unserved or served < parts[0]["all"]:
            self.served_s = self.whole_s = None
            return
        self.served_s = at if self.served_s is None else self.served_s
        if single:
            self.whole_s = None
        elif self.whole_s is None:
            self.whole_s = at

    def wait(self, seconds_max: float, each: Callable[[], None]) -> bool:
        """Until everything is served and has two copies; False if that took too long."""
        until = time.monotonic() + seconds_max
        while self.whole_s is None and time.monotonic() < until:
            each()
            self.look()
            time.sleep(LOOK_SECONDS)
        return self.whole_s is not None
