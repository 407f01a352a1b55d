"""A run of a cluster: nodes and a crowd on all of them, load, faults one after another, peace, a drain, the verdict.

    with Siege(folder, seed=1) as siege:
        siege.begin(rate=30)
        siege.suffer([Fault(Kind.KILL, 0), Fault(Kind.KILL, 1)])
        outcome = siege.conclude()
    assert outcome.report.good, str(outcome)

Each worker of the crowd is at one node. It must never decide whether a promise held: the checker does.
"""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import attrs

from admin.channel.errors import ChannelError, Refused
from ops.bench.node_process import NodeStartError
from ops.bench.upgrades import UPGRADE, succeeded
from ops.faults.child import ChildError
from ops.faults.crowd import Crowd, CrowdError
from ops.faults.drill import Outcome
from ops.faults.release import make_release
from ops.faults.stage import StageError
from ops.faults.standing import standing
from ops.faults.town import Town, TownNode
from ops.faults.waits import Span
from ops.history.report import check_files
from ops.history.writer import HistoryWriter
from ops.tables.cables import Cables, Namespaces, Plain

ONLINE_SECONDS_MAX: Final = 60.0
DRAIN_SECONDS_MAX: Final = 90.0
WHOLE_SECONDS_MAX: Final = 60.0
MOVES: Final = 8
ASSIGNED: Final = 64
"""Partitions that go to another cluster at once."""
CUT_SECONDS: Final = 14.0
"""Longer than senders wait before they are told `busy`, by a good deal."""
HOME_SECONDS_MAX: Final = 60.0
SETTLED_SECONDS: Final = 2.0
"""Phones that are told where their primary is go there within a second (`worker.SETTINGS.move_spread`)."""
Tell = Callable[[str], None]
FAILURES: Final = (StageError, NodeStartError, ChildError, CrowdError, ChannelError, Refused)


@enum.unique
class Kind(enum.Enum):
    """What can be done to a cluster."""

    KILL = "a node is killed and comes back"
    PAUSE = "a node stands still"
    STOP = "a node is stopped and comes back"
    UPGRADE = "a node's process is replaced"
    SPLIT = "a node is cut off from the others"
    MOVE = "partitions are moved"
    ASSIGN = "partitions go to another cluster"
    JOIN = "a node joins"
    LEAVE = "a node leaves"
    REMOVE = "a node is killed and removed for good"
    CUT = "a cluster is cut off"
    DEAF = "nobody hears a cluster"
    ROTATE = "a node gets another key"
    APPS = "apps crash and come back"
    RELEASE = "a node is stopped and comes back with another release"


@attrs.frozen
class Fault:
    """node: which one, counted over those that run. seconds: how long it lasts. whole: everything has two copies again
    before the next one: what a second loss at once may cost isn't judged here."""

    kind: Kind
    node: int = 0
    seconds: float = 1.0
    whole: bool = True


def drawn(seed: int, count: int, kinds: Sequence[Kind]) -> list[Fault]:
    """Faults in an order that a seed decides. Members that leave are replaced first by some that join."""
    hand = random.Random(f"siege {seed}")
    return [Fault(hand.choice(kinds), hand.randrange(8), hand.uniform(0.5, 6.0)) for _ in range(count)]


@attrs.frozen
class Cut:
    """A cluster was cut off in this span, whose name is the cluster's label. insides: for each cluster, users that it
    serves and whose phones are with it."""

    span: Span
    insides: tuple[frozenset[int], ...]


class Siege:
    """In `folder`, which is empty. Raises UnavailableError on entering: this machine can't split networks."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        nodes: int = 3,
        most: int | None = None,
        users_each: int = 2,
        network: bool = False,
        clients_move: bool = False,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        labels: Sequence[str] = (),
        tell: Tell = lambda text: None,
    ) -> None:
        self.folder = folder
        self.histories = folder / "histories"
        self._seed = seed
        self._nodes = nodes
        self._most = most or nodes
        self._users_each = users_each
        self._network = network
        self._settings = dict(settings or {})
        if clients_move:
            self._settings["cluster"] = {**self._settings.get("cluster", {}), "clients_move": True}
        self._labels = labels
        self._tell = tell
        self._stack = ExitStack()
        self._faults = 0
        self._release: Path | None = None
        self.standing: dict[str, int] = {}  # what the members counted, once it is concluded
        self.moves = 0  # of phones to where they were told that their primary is
        self.spans: list[Span] = []  # what was done, from when until when
        self.cuts: list[Cut] = []
        self._began = time.monotonic()
        self.town: Town = None  # type: ignore[assignment]  # there once it is entered
        self.crowd: Crowd = None  # type: ignore[assignment]  # likewise

    def __enter__(self) -> Self:
        enter = self._stack.enter_context
        try:
            self.histories.mkdir(parents=True)
            self._history = HistoryWriter(self.histories / "supervisor.jsonl", "supervisor")
            self._stack.callback(self._history.close)
            cables: Cables = Namespaces(self._most) if self._network else Plain(self._most)
            enter(cables)
            self.town = enter(
                Town(
                    self.folder,
                    self._history,
                    cables,
                    self._nodes,
                    most=self._most,
                    settings=self._settings,
                    labels=self._labels,
                )
            )
            self.crowd = enter(
                Crowd(
                    self.folder,
                    self.histories,
                    self._history,
                    [node.server for node in self.town.nodes[: self._nodes]],
                    self.folder,
                    prefixes=[node.prefix for node in self.town.nodes[: self._nodes]],
                    users_each=self._users_each,
                    seed=self._seed,
                    tls=False,
                    library_marks=True,
                )
            )
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # ---- acts --------------------------------------------------------------------------------------------

    def begin(self, rate: float) -> None:
        """Start nodes and clients, wait until all are logged in, and load: messages a second from each worker.

        Raises:
            NodeStartError, StageError, ChildError, CrowdError.
        """
        self.town.prepare()
        self.go_on(rate)

    def go_on(self, rate: float) -> None:
        """The same, on directories that are there."""
        self.town.start_all()
        self.crowd.start_all()
        self.crowd.wait_online(ONLINE_SECONDS_MAX)
        self.town.wait_whole(WHOLE_SECONDS_MAX)
        self.crowd.load(rate)

    def suffer(self, plan: Sequence[Fault], pause: float = 1.0) -> None:
        """One fault after another.

        Raises:
            NodeStartError, StageError, ChildError: something didn't survive.
        """
        for fault in plan:
            time.sleep(pause)
            victims = [node for node in self.town.running if node.member]
            node = victims[fault.node % len(victims)]
            self._tell(f"{fault.kind.value}: n{node.number}, {fault.seconds:.1f} s")
            began = time.monotonic()
            self._do(fault, node)
            self._faults += 1
            if fault.whole:
                self.town.wait_whole(WHOLE_SECONDS_MAX)
            self.spans.append(Span(fault.kind.name, began, time.monotonic()))

    def _do(self, fault: Fault, node: TownNode) -> None:
        town = self.town
        match fault.kind:
            case Kind.KILL:
                town.kill(node)
                time.sleep(fault.seconds)
                town.start(node)
            case Kind.PAUSE:
                town.pause(node)
                time.sleep(fault.seconds)
                town.resume(node)
            case Kind.STOP:
                town.stop(node)
                time.sleep(fault.seconds)
                town.start(node)
            case Kind.UPGRADE:
                self.upgrade(node)
            case Kind.SPLIT:
                self._history.write("network-cut", note=f"n{node.number}")
                town.isolate(node)
                time.sleep(fault.seconds)
                town.heal()
                self._history.write("network-heal")
            case Kind.CUT | Kind.DEAF:
                self._cut_off(node, max(CUT_SECONDS, fault.seconds), one_way=fault.kind is Kind.DEAF)
            case Kind.ROTATE:
                town.ask(node, "rotate-key")
            case Kind.MOVE:
                self._move(node)
            case Kind.ASSIGN:
                self._assign(node)
            case Kind.JOIN:
                new = next((one for one in town.nodes if not one.member and not one.id), None)
                if new is not None:
                    town.join(new)
            case Kind.LEAVE:
                if len(town.running) > 1:
                    town.leave(node)
                    self._house_elsewhere(node)
            case Kind.REMOVE:
                if len(town.running) > 2:
                    town.kill(node)
                    time.sleep(fault.seconds)
                    town.remove(node)
                    self._house_elsewhere(node)
            case Kind.RELEASE:
                self.change_release(node)
            case Kind.APPS:
                worker = self.crowd.workers[fault.node % len(self.crowd.workers)]
                self.crowd.kill(worker)
                time.sleep(fault.seconds)
                self.crowd.start(worker)

    def upgrade(self, node: TownNode, *command: str) -> dict[str, Any]:
        """Replace its process, with all phones on it; what the old one said of it.

        Raises:
            Refused: the old one serves on.
            ChannelError
        """
        assert node.process is not None
        done = succeeded(node.data, *UPGRADE, *command)
        node.process = node.process.succeeded_by(done["pid"])
        return done

    def _house_elsewhere(self, gone: TownNode) -> None:
        """Phones of a node that never returns go to another one, of its cluster if there is one."""
        there = [node for node in self.town.running if node.member]
        label = self.town.label(gone)
        other = next((node for node in there if self.town.label(node) == label), there[0])
        self.crowd.send_elsewhere(gone.server, other.server, other.prefix)

    def change_release(self, node: TownNode) -> None:
        """It is stopped, and started with the next release; or with this one, if it has that."""
        self.town.stop(node)
        node.release = None if node.release is not None else self.next_release()
        self.town.start(node)

    def next_release(self) -> Path:
        """Where the release is that comes after this one."""
        if self._release is None:
            self._release = make_release(self.folder / "releases")
        return self._release

    def _move(self, node: TownNode) -> None:
        """Some partitions, wherever they are, to this node."""
        hand = random.Random(f"move {self._seed} {self._faults}")
        for _ in range(MOVES):
            try:
                self.town.ask(node, "move", str(hand.randrange(1_024)), node.id.hex())
            except StageError as error:  # it stays where it is: that may be, and is said
                self._tell(f"  {error}")

    def _assign(self, node: TownNode) -> None:
        """Some neighbouring partitions to this node's cluster, wherever they are."""
        first = random.Random(f"assign {self._seed} {self._faults}").randrange(1_024 - ASSIGNED)
        try:
            self.town.assign(node, first, first + ASSIGNED - 1, self.town.label(node))
        except StageError as error:  # not while too few of the cluster that owns them are there
            self._tell(f"  {error}")

    def _cut_off(self, node: TownNode, seconds: float, *, one_way: bool) -> None:
        """The node's cluster. One user of each worker is served by the cluster that its phone's node is of: they are to
        notice nothing."""
        town, label = self.town, self.town.label(node)
        insides = {one: frozenset(self._inside(one)) for one in town.label_of.values()}
        for one, users in insides.items():
            for user in users:
                p = town.partition_of(user)
                town.assign(node, p, p, one)
        self._wait_served(insides)
        town.wait_whole(WHOLE_SECONDS_MAX)
        # a phone is told where its primary is when it logs in, and stays where it is told so
        for worker in self.crowd.workers:
            self.crowd.stop(worker)
            self.crowd.start(worker)
        insides = self._at_home(insides)
        began = time.monotonic()
        self._history.write("network-cut", note=f"{label}, {'one way' if one_way else 'both ways'}")
        town.cut_off(label, one_way=one_way)
        time.sleep(seconds)
        self.cuts.append(Cut(Span(label, began, time.monotonic()), tuple(insides.values())))
        town.heal()
        self._history.write("network-heal")

    def _inside(self, label: str) -> Iterator[int]:
        for worker in self.crowd.workers:
            if self.town.label_of.get(worker.server) == label:
                yield worker.users[0]

    def _wait_served(self, insides: Mapping[str, frozenset[int]]) -> None:
        """Until each is served by its cluster. It isn't enough that everything seems whole: where as many partitions go
        one way as the other, each cluster serves as many as it owns before any of them has gone.

        Raises:
            StageError
        """
        until = time.monotonic() + WHOLE_SECONDS_MAX
        for label, users in insides.items():
            for user in users:
                while not self.town.serves(label, user):
                    if time.monotonic() > until:
                        raise StageError(f"{user} isn't served by {label} after {WHOLE_SECONDS_MAX} s")
                    time.sleep(0.1)

    def _at_home(self, insides: Mapping[str, frozenset[int]]) -> dict[str, frozenset[int]]:
        """Those whose phones are with a node of their cluster, and stay: all, but on a machine that has no time."""
        until = time.monotonic() + HOME_SECONDS_MAX
        since = time.monotonic()
        before: dict[str, frozenset[int]] = {}
        while True:
            status, now = self.crowd.status(), time.monotonic()
            home = {
                label: frozenset(u for u in users if self._is_at(label, status.get(str(u), {})))
                for label, users in insides.items()
            }
            if home != before:
                since, before = now, home
            if home == insides and now - since >= SETTLED_SECONDS:
                return home
            if now > until:
                self._tell(f"  at home after {HOME_SECONDS_MAX} s: {home}, not {insides}")
                return home
            time.sleep(0.2)

    def _is_at(self, label: str, status: Mapping[str, Any]) -> bool:
        return bool(status.get("online")) and self.town.label_of.get(status["at"]) == label

    def pids(self) -> list[int]:
        """Of the nodes that run."""
        return [node.process.pid for node in self.town.nodes if node.process is not None]

    def conclude(self, drain_seconds_max: float = DRAIN_SECONDS_MAX) -> Outcome:
        """Peace: everybody comes back, nobody sends anything new, all is delivered; then the verdict.

        Raises:
            NodeStartError, ChildError, StageError.
        """
        self.town.start_all()
        self.crowd.start_all()
        self.crowd.hush()
        rested = self.crowd.drain(drain_seconds_max)
        self.moves = sum(status.get("moves", 0) for status in self.crowd.status().values())
        for worker in self.crowd.workers:
            self.crowd.stop(worker)
        self.standing = standing([self.town.status(node) for node in self.town.running])
        for node in self.town.running:
            self.town.stop(node)
        report = check_files([self.histories])
        return Outcome(report, rested, self._faults, time.monotonic() - self._began, self.histories)
