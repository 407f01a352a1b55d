"""Detectors on a virtual network: links that delay, lose or are cut one way; nodes that crash, restart and stand still.

The world judges by what it did itself, never by what a detector thinks: when a link was last touched, since when a node
runs. From that follows what must and must not be thought (`check`).
"""

import heapq
from random import Random

from replication.detector import Detector
from replication.detectorstate import (
    ALIVE,
    DEAD,
    PAUSED,
    RESTARTED,
    SEND,
    STATE,
    UNREACHABLE,
    DetectorSettings,
    Effect,
)

DELAY_MS_MAX = 20
"""Of a whole link."""


class Node:
    """One place in the world; `detector` is None while it is down."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.detector: Detector | None = None
        self.since = 0
        """Since when it runs without having stood still."""
        self.down_since: int | None = 0
        self.paused_until = 0
        self.inbox: list[tuple[bytes, object]] = []
        self.effects: list[Effect] = []
        self.sent = 0


class World:
    """Time goes on in ticks; within one, what has arrived is handed in before the detector's tick."""

    def __init__(self, count: int, seed: int, settings: DetectorSettings | None = None) -> None:
        self.random = Random(seed)
        self.settings = settings or DetectorSettings(tick_ms=50, stride_ms=100)
        self.now = 1_000_000
        self.names = [bytes([65 + n]) * 8 for n in range(count)]
        self.nodes = {name: Node(name) for name in self.names}
        self.loss = {(a, b): 0.0 for a in self.names for b in self.names if a != b}
        self.whole_since = dict.fromkeys(self.loss, self.now)
        """Since when a link loses nothing; None while it does."""
        self.cut_since: dict[tuple[bytes, bytes], int | None] = dict.fromkeys(self.loss)
        self.flying: list[tuple[int, int, bytes, bytes, object]] = []
        self.number = 0

    # ---- what happens ------------------------------------------------------------------------------

    def start(self, name: bytes) -> None:
        node = self.nodes[name]
        assert node.detector is None
        node.detector = Detector(name, self.names, self.random.randbytes(8), self.settings, self.now)
        node.since, node.down_since, node.paused_until = self.now, None, 0
        node.inbox.clear()
        node.effects.clear()

    def start_all(self) -> None:
        for name in self.names:
            self.start(name)

    def crash(self, name: bytes) -> None:
        node = self.nodes[name]
        node.detector, node.down_since = None, self.now
        node.inbox.clear()

    def pause(self, name: bytes, length_ms: int) -> None:
        """As SIGSTOP and SIGCONT: what comes meanwhile waits."""
        node = self.nodes[name]
        node.paused_until = max(node.paused_until, self.now + length_ms)
        node.since = max(node.since, node.paused_until)

    def set_loss(self, a: bytes, b: bytes, share: float) -> None:
        """Of what a says to b. 1.0 is a cut."""
        self.loss[a, b] = share
        self.whole_since[a, b] = self.now if share == 0 else 1 << 60
        if share < 1:
            self.cut_since[a, b] = None
        elif self.cut_since[a, b] is None:
            self.cut_since[a, b] = self.now

    def heal(self) -> None:
        for a, b in self.loss:
            if self.loss[a, b]:
                self.set_loss(a, b, 0.0)

    def send(self, a: bytes, b: bytes, message: object) -> None:
        """A message, or None for a word of data traffic."""
        if self.random.random() >= self.loss[a, b]:
            self.number += 1
            arrival = self.now + self.random.randint(1, DELAY_MS_MAX)
            heapq.heappush(self.flying, (arrival, self.number, a, b, message))
            if self.random.random() < 0.05:  # comes twice, and the second time late
                late = arrival + self.random.randint(0, 500)
                heapq.heappush(self.flying, (late, -self.number, a, b, message))

    def run(self, length_ms: int) -> None:
        for _ in range(length_ms // self.settings.tick_ms):
            self.step()

    def step(self) -> None:
        """One tick of the world."""
        self.now += self.settings.tick_ms
        while self.flying and self.flying[0][0] <= self.now:
            _, _, a, b, message = heapq.heappop(self.flying)
            if self.nodes[b].detector is not None:
                self.nodes[b].inbox.append((a, message))
        for node in self.nodes.values():
            detector = node.detector
            if detector is None or node.paused_until > self.now:
                continue
            inbox, node.inbox = node.inbox, []
            for peer, message in inbox:
                if message is None:
                    self.carry_out(node, detector.heard(peer, self.now))
                else:
                    self.carry_out(node, detector.received(peer, message, self.now))
                detector.check()
            self.carry_out(node, detector.tick(self.now))
            detector.check()
        self.check()

    def carry_out(self, node: Node, effects: list[Effect]) -> None:
        for effect in effects:
            if effect[0] == SEND:
                node.sent += 1
                self.send(node.name, effect[1], effect[2])
            else:
                node.effects.append(effect)

    # ---- what must hold ----------------------------------------------------------------------------

    @property
    def settled_ms(self) -> int:
        """How long a thing must have been so that every opinion rests on it: words in flight, deaf times, rounds."""
        settings = self.settings
        return 2 * settings.dead_ms + settings.beat_ms + 4 * settings.tick_ms + 500 + DELAY_MS_MAX

    @property
    def bound_ms(self) -> int:
        """The stated bound for a true death, with the way of the last word."""
        return self.settings.dead_ms + 2 * self.settings.tick_ms + 500 + DELAY_MS_MAX

    def runs(self, name: bytes, length_ms: int) -> bool:
        node = self.nodes[name]
        return node.detector is not None and self.now - node.since >= length_ms

    def whole(self, a: bytes, b: bytes, length_ms: int) -> bool:
        return self.now - self.whole_since[a, b] >= length_ms

    def path(self, a: bytes, b: bytes, length_ms: int) -> bool:
        """Whether a can hear of b, over a third node that it hears well and that hears both."""
        return any(
            all(self.whole(*link, length_ms) for link in ((a, c), (c, b), (b, c), (c, a)))
            for c in self.names
            if c not in (a, b) and self.runs(c, length_ms)
        )

    def check(self) -> None:
        settled = self.settled_ms
        for a, node in self.nodes.items():
            if node.detector is None or not self.runs(a, settled):
                continue
            for b in self.names:
                if b == a:
                    continue
                state = node.detector.state_of(b)
                other = self.nodes[b]
                if self.runs(b, settled):
                    if self.whole(b, a, settled):
                        assert state in (ALIVE, UNREACHABLE), f"{a!r} hears {b!r}, which is {state}"
                        if self.whole(a, b, settled):
                            assert state == ALIVE, f"{a!r} and {b!r} hear each other, but {state}"
                    elif self.path(a, b, settled):
                        assert state not in (DEAD,), f"{a!r} could have asked for {b!r}, which is {state}"
                    cut = self.cut_since[a, b]
                    if cut is not None and self.now - cut >= settled and self.whole(b, a, settled):
                        assert state == UNREACHABLE, f"{b!r} can't hear {a!r}, and is {state}"
                if other.down_since is not None and self.now - other.down_since >= self.bound_ms:
                    assert state == DEAD, f"{b!r} is down, and {a!r} thinks {state}"

    def states(self, name: bytes) -> dict[bytes, str]:
        detector = self.nodes[name].detector
        assert detector is not None
        return {peer: detector.state_of(peer) for peer in self.names if peer != name}

    def told(self, name: bytes, code: int) -> list[Effect]:
        """The effects of one kind that a node's detector asked for."""
        assert code in (STATE, RESTARTED, PAUSED)
        return [effect for effect in self.nodes[name].effects if effect[0] == code]
