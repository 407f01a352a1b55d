"""One machine of a world: a disk, clocks, a place in the network, and the node that runs there, or doesn't.

It starts the node, kills it from one instruction to the next, stops it for a while (then everything is late), gives it
its ticks, and lets its disk work at a pace of its own: a commit is durable some time before the node hears of it, and
a node can die in between. It knows nothing of what nodes do.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from ops.simulation.clock import Clock, NodeClock
from ops.simulation.disk import PowerCut, VirtualDisk
from ops.simulation.trace import Down, Trace, Up
from store.errors import StoreError, StoreFatal

LATE_MAX: Final = 5_000
"""What waits for a stopped node; further messages are lost."""

RESTART_MS: Final = 150
"""After a node has ended itself, its supervisor starts it again."""

DISK_MS: Final = (0, 0, 1, 1, 2, 4)
"""How long a commit takes, each as likely as the others."""


class SimNode(Protocol):
    """What runs on a machine: a node without sockets, threads and clocks. Made anew for each life."""

    def start(self) -> None:
        """Open the disk; from now on the rest may be called."""
        ...

    def crash(self) -> None:
        """The process is gone: give back what Python holds, and do nothing else. Called whatever state it is in."""
        ...

    def deliver(self, peer: int, channel: str, message: Any) -> None:
        """A message came."""
        ...

    def tick(self, now: int) -> None:
        """Time went by (ms, monotonic)."""
        ...

    def waiting_groups(self) -> Iterable[str]:
        """Groups that have something to commit."""
        ...

    def disk_step(self, group: str) -> None:
        """Commit what a group has waiting. Nobody hears of it yet."""
        ...

    def results_step(self) -> None:
        """Hear of what was committed."""
        ...


class Machine:
    """A place where a node runs."""

    def __init__(
        self,
        number: int,
        seed: int,
        clock: Clock,
        trace: Trace,
        make: Callable[[Machine], SimNode],
        tick_ms: int,
    ) -> None:
        self.number = number
        self.hand = random.Random(f"machine {seed} {number}")
        self.clock = clock
        self.disk = VirtualDisk(str(number), trace.observe)
        self.times = NodeClock(clock, self.hand.randrange(10**9))
        self.slow: dict[int, int] = {}  # place of a group → ms that its commits take
        self.node: SimNode | None = None
        self.life = 0
        self.paused = False
        self.off = False  # without power: nobody answers in the node's name
        self._trace = trace
        self._make = make
        self._tick_ms = tick_ms
        self._late: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._at_disk: set[str] = set()

    @property
    def up(self) -> bool:
        """Whether a node runs here."""
        return self.node is not None

    # ---- lives ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run a node, unless one runs."""
        if self.node is not None:
            return
        self.life += 1
        self.paused = self.off = False
        self.node = self._make(self)
        self._trace.observe(Up(self.number, self.life))
        self._call(self._begin, self.node)
        if self.node is not None:
            self.clock.after(self.hand.randrange(self._tick_ms), self._tick, self.life)

    def _begin(self, node: SimNode) -> None:
        try:
            node.start()
        except StoreFatal:
            raise
        except StoreError as error:  # a full disk, say
            self._end(type(error).__name__)

    def crash(self, why: str) -> None:
        """The node is gone, if there was one."""
        node, self.node = self.node, None
        if node is None:
            return
        self.life += 1
        self.paused = False
        self.off = why == "power"
        self._late.clear()
        self._at_disk.clear()
        self.disk.crash()
        node.crash()
        self._trace.observe(Down(self.number, why))

    def pause(self) -> None:
        """Stop it, as SIGSTOP does."""
        self.paused = self.up

    def resume(self) -> None:
        """Let it go on: everything that came meanwhile is there at once, and the tick is late."""
        if not self.paused:
            return
        self.paused = False
        if self.hand.random() < 0.5:
            self._run(self._tick_node)
        while self._late and not self.paused:
            call, arguments = self._late.popleft()
            self._run(call, *arguments)

    # ---- what comes to the node -----------------------------------------------------------------------

    def deliver(self, peer: int, channel: str, message: Any) -> None:
        """A message came."""
        if self.node is not None:
            self._run(self.node.deliver, peer, channel, message)

    def ask(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Somebody on the machine wants something of its node: `call(node, *arguments)`."""
        if self.node is not None:
            self._run(call, self.node, *arguments)

    def _tick(self, life: int) -> None:
        if life != self.life:
            return
        self.clock.after(self._tick_ms, self._tick, life)
        if not self.paused:
            self._run(self._tick_node)

    def _tick_node(self) -> None:
        if self.node is not None:
            self.node.tick(self.times.monotonic_ms())

    def _run(self, call: Callable[..., Any], *arguments: Any) -> None:
        if self.node is None:
            return
        if self.paused:
            if len(self._late) < LATE_MAX:
                self._late.append((call, arguments))
            return
        self._call(call, *arguments)

    def _call(self, call: Callable[..., Any], *arguments: Any) -> None:
        try:
            call(*arguments)
        except PowerCut:
            self.crash("power")
        except StoreFatal as error:
            self._end(type(error).__name__)
        else:
            self._to_disk()

    def _end(self, why: str) -> None:
        """The node ends itself; its supervisor starts it again."""
        self.crash(why)
        self.clock.after(RESTART_MS, self._again, self.life)

    def _again(self, life: int) -> None:
        if life == self.life:
            self.start()

    # ---- its disk -------------------------------------------------------------------------------------

    def _to_disk(self) -> None:
        if self.node is None:
            return
        for place, group in enumerate(self.node.waiting_groups()):
            if group not in self._at_disk:
                self._at_disk.add(group)
                self.clock.after(self._disk_ms(place), self._disk_step, self.life, place, group)

    def _disk_ms(self, place: int) -> int:
        return self.slow.get(place) or self.hand.choice(DISK_MS)

    def _disk_step(self, life: int, place: int, group: str) -> None:
        if life == self.life:
            self._run(self._commit, life, place, group)

    def _commit(self, life: int, place: int, group: str) -> None:
        assert self.node is not None
        self.node.disk_step(group)
        self.clock.after(self._disk_ms(place) // 2, self._results_step, life, group)

    def _results_step(self, life: int, group: str) -> None:
        if life == self.life:
            self._at_disk.discard(group)
            assert self.node is not None
            self._run(self.node.results_step)
