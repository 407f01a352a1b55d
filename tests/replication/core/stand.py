"""Replicas back to back: the real cores on dumb stores and on links that the test holds in its hand.

A store keeps rows in a dictionary and does what it is asked only when the test says so (`Node.disk`), so that a crash
can come before; a message arrives only when the test says so (`Stand.deliver`). All messages go through CBOR.
"""

from collections import deque
from collections.abc import Callable, Sequence
from copy import deepcopy
from hashlib import blake2b
from typing import Any

import cbor2

from replication.core import effects, invariants, replica, rows, settling
from replication.core.settings import ReplicaSettings
from replication.core.state import ALIVE, DEAD, ReplicaState

TABLE = "t"
TICK_MS = 100


class Attempt:
    """A write that reached a primary's disk. copies: what its writer was told; 0 is nothing, or that it is lost."""

    __slots__ = ("copies", "key", "p", "value", "version")

    def __init__(self, p: int, key: str, version: tuple[int, int, int], value: Any) -> None:
        self.p, self.key, self.version, self.value = p, key, version, value
        self.copies = 0

    def __repr__(self) -> str:
        return f"{self.key} of {self.p} = {self.value} at {self.version}, told {self.copies}"


class FakeStore:
    """Rows with versions and local sequences; positions as a store's incarnations give them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, str], tuple[tuple[int, int, int], Any, int]] = {}
        """(p, key) → (version, value or None: a tombstone, local sequence)"""
        self.own: dict[tuple[Any, ...], Any] = {}
        self.lives: list[tuple[int, int]] = []
        """(incarnation, first sequence)"""
        self.sequence = 0

    def open(self, incarnation: int) -> None:
        self.lives.append((incarnation, self.sequence + 1))

    def position(self, incarnation: int, sequence: int) -> int:
        for at, (life, _) in enumerate(self.lives):
            if life == incarnation:
                end = self.sequence if at + 1 == len(self.lives) else self.lives[at + 1][1] - 1
                return sequence if 0 <= sequence <= end else 0
        return 0

    def put(self, p: int, key: str, version: tuple[int, int, int], value: Any) -> bool:
        """Whether it was newer than what is there."""
        there = self.rows.get((p, key))
        if there is not None and version <= there[0]:
            return False
        self.sequence += 1
        self.rows[p, key] = (version, value, self.sequence)
        return True

    def part(self, p: int, keys: Sequence[str]) -> tuple[int, str, bytes, int]:
        flat: list[Any] = []
        for key in keys:
            version, value, _ = self.rows.get((p, key), (None, None, 0))
            flat += [key, [version, value]]
        return (p, TABLE, cbor2.dumps(flat), len(keys))

    def changed(self, p: int, since: int) -> list[tuple[int, str]]:
        return sorted(
            (row[2], key) for (partition, key), row in self.rows.items() if partition == p and row[2] > since
        )

    def values(self, p: int) -> dict[str, Any]:
        return {
            key: row[1]
            for (partition, key), row in self.rows.items()
            if partition == p and row[1] is not None
        }

    def tombstones(self, p: int) -> set[str]:
        return {key for (partition, key), row in self.rows.items() if partition == p and row[1] is None}


class Node:
    """A replica, its store and what it has asked for."""

    def __init__(self, stand: "Stand", name: bytes) -> None:
        self.stand, self.name = stand, name
        self.store = FakeStore()
        self.pending: deque[Callable[[], None]] = deque()
        """What the disk was asked for and hasn't done."""
        self.reports: list[tuple[str, Any]] = []
        self.serves: dict[int, int] = {}
        self.up = False
        self.paused = False
        """Nothing reaches it, and it does nothing; what is sent to it waits."""
        self.ahead = 0
        """How far its clock is ahead (ms)."""
        self.failure: Exception | None = None
        """What the next apply comes to."""

    def start(self, incarnation: int) -> None:
        self.store.open(incarnation)
        self.pending.clear()
        self.serves.clear()
        stand = self.stand
        self.state = ReplicaState(
            self.name,
            stand.names,
            stand.partitions,
            stand.ranked,
            stand.settings,
            incarnation=incarnation,
            sequence=self.store.sequence,
            position=self.store.position,
            now=stand.now + self.ahead,
        )
        rows.restore(self.state, self.store.own.items())
        if stand.ram:
            for place in [place for place in self.store.rows if place[1] in stand.ram]:
                del self.store.rows[place]
            rows.forget(self.state)
        self.up = True
        self.paused = False
        self.carry_out()

    def carry_out(self) -> None:
        state = self.state
        while state.out:
            out, state.out = state.out, []
            for effect in out:
                self._carry_out(*effect)
        invariants.check(state)

    def _carry_out(self, code: int, *rest: Any) -> None:
        if code == effects.SEND:
            self.stand.send(self.name, *rest)
        elif code == effects.STORE:
            self.pending.append(lambda: self._stored(*rest))
        elif code == effects.APPLY:
            self.pending.append(lambda: self._applied(*rest))
        elif code == effects.READ:
            self.pending.append(lambda: self._read(*rest))
        elif code == effects.DIGEST:
            self.pending.append(lambda: self._digested(*rest))
        elif code == effects.CLEAR:
            self.pending.append(lambda: self._cleared(*rest))
        elif code == effects.PURGE:
            self.pending.append(lambda: self._purged(*rest))
        elif code == effects.SERVE:
            self.serves[rest[0]] = rest[1]
        elif code == effects.CEASE:
            self.serves.pop(rest[0], None)
        elif code == effects.DONE:
            rest[0](*rest[1:])
        elif code == effects.REPORT:
            self.reports.append(rest)
        else:
            raise AssertionError(f"an unknown effect {code}")

    def disk(self, count: int = 1_000) -> None:
        """Do what waits, in its order."""
        while self.pending and count and not self.paused:
            count -= 1
            self.pending.popleft()()
            replica.flush(self.state)
            self.carry_out()

    # ---- what the disk does --------------------------------------------------------------------

    def _keep(self, own: Sequence[Any]) -> None:
        for key, value in own:
            if value is None:
                self.store.own.pop(key, None)
            else:
                self.store.own[key] = deepcopy(value)

    def _stored(self, own: Sequence[Any], done: Callable[..., None]) -> None:
        self._keep(own)
        done(None)

    def _applied(
        self,
        peer: bytes | None,
        parts: Sequence[Any],
        own: Sequence[Any],
        trusted: bool,
        done: Callable[..., None],
    ) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            done(failure, self.store.sequence)
            return
        first = self.store.sequence
        changed: dict[int, list[str]] = {}
        for p, _, blob, _ in parts:
            flat = cbor2.loads(blob)
            for key, (version, value) in zip(flat[::2], flat[1::2], strict=True):
                if version is None:
                    if trusted and self.store.rows.pop((p, key), None):
                        changed.setdefault(p, []).append(key)
                elif self.store.put(p, key, tuple(version), value):
                    changed.setdefault(p, []).append(key)
        self._keep(own)
        self._tapped(first, changed, peer)
        done(None, self.store.sequence)

    def _tapped(self, first: int, changed: dict[int, list[str]], source: bytes | None) -> None:
        if changed:
            parts = [self.store.part(p, list(dict.fromkeys(keys))) for p, keys in changed.items()]
            touched = {p: frozenset({source}) for p in changed}
            replica.tapped(self.state, first, self.store.sequence, parts, touched)

    def _read(
        self, wants: Sequence[tuple[int, int]], limit: int, size: int, done: Callable[..., None]
    ) -> None:
        parts, progress = [], []
        for p, since in wants:
            found = self.store.changed(p, since)[:limit]
            limit -= len(found)
            if found:
                parts.append(self.store.part(p, [key for _, key in found]))
            whole = not self.store.changed(p, found[-1][0] if found else since)
            progress.append((p, self.store.sequence if whole else found[-1][0] if found else since, whole))
        done(None, self.store.sequence, parts, progress)

    def _digested(
        self, p: int, table: str | None, after: bytes, last: bytes | None, done: Callable[..., None]
    ) -> None:
        found = sorted(
            (key, row[:2])
            for (partition, key), row in self.store.rows.items()
            if partition == p and row[1] is not None
        )
        done(None, TABLE, b"\xff", len(found), blake2b(repr(found).encode(), digest_size=16).digest(), None)

    def _cleared(self, p: int, done: Callable[..., None]) -> None:
        for key in [key for key in self.store.rows if key[0] == p]:
            del self.store.rows[key]
        done(None, False)

    def _purged(self, p: int, before: int) -> None:
        first = self.store.sequence
        old = [
            key
            for (partition, key), (_, value, at) in self.store.rows.items()
            if partition == p and value is None and at <= before
        ]
        for key in old:
            del self.store.rows[p, key]
        self.store.sequence += len(old)
        self._tapped(first, {p: old} if old else {}, None)

    # ---- what a user does ----------------------------------------------------------------------

    def write(self, p: int, key: str, value: Any) -> list[Any]:
        """Hand a write to the store. The list gets (copies, error) when it has ended."""
        return self.transact(p, {key: value})

    def transact(self, p: int, values: dict[str, Any]) -> list[Any]:
        """As `write`, all of them in one commit."""
        ended: list[Any] = []
        error = settling.writable(self.state, p)
        if error is not None:
            raise error
        settling.writing(self.state, p)

        def written() -> None:
            first = self.store.sequence
            claim = self.state.parts[p].claim
            assert claim is not None
            incarnation = self.store.lives[-1][0]
            attempts = []
            for key, value in values.items():
                there = self.store.rows.get((p, key))
                version = (claim.epoch, self.store.sequence + 1, incarnation)
                if there is not None and version <= there[0]:
                    version = (there[0][0] + 1, self.store.sequence + 1, incarnation)
                assert self.store.put(p, key, version, value)
                attempts.append(Attempt(p, key, version, value))
            self.stand.attempts += attempts
            self._tapped(first, {p: list(values)}, None)

            def done(copies: int, error: Exception | None) -> None:
                for attempt in attempts:
                    attempt.copies = copies
                ended.append((copies, error))

            replica.written(self.state, p, self.store.sequence, done)

        self.pending.append(written)
        return ended


class Stand:
    """Some nodes and the links between them."""

    def __init__(self, count: int = 3, *, partitions: int = 1, **settings: Any) -> None:
        self.names = [bytes([65 + n]) for n in range(count)]
        self.partitions = partitions
        self.settings = ReplicaSettings(**settings)
        self.now = 0
        self.lives = 0
        self.links: dict[tuple[bytes, bytes], deque[bytes]] = {
            (a, b): deque() for a in self.names for b in self.names if a != b
        }
        self.cut: set[tuple[bytes, bytes]] = set()
        self.losing: frozenset[int] = frozenset()
        """Messages of these kinds are lost."""
        self.ram: frozenset[str] = frozenset()
        """Keys whose rows are kept in memory only: a start forgets them."""
        self.attempts: list[Attempt] = []
        self.said: list[tuple[bytes, bytes, Any]] = []
        """Everything that was ever sent: (from, to, message)."""
        self.nodes = {name: Node(self, name) for name in self.names}

    def __getitem__(self, letter: str) -> Node:
        return self.nodes[letter.encode()]

    def ranked(self, p: int) -> list[bytes]:
        start = p % len(self.names)
        return self.names[start:] + self.names[:start]

    # ---- what happens --------------------------------------------------------------------------

    def start(self, *letters: str) -> None:
        """Start nodes; those that run hear of one another."""
        for letter in letters or [name.decode() for name in self.names]:
            self.lives += 1
            self[letter].start(self.lives)
        self.see()

    def see(self) -> None:
        """Everybody who runs, and is not cut off, is alive to everybody else, and the others are dead."""
        for name, node in self.nodes.items():
            if node.up:
                for other in self.names:
                    if other != name:
                        there = self.nodes[other].up and (other, name) not in self.cut
                        replica.liveness(node.state, other, ALIVE if there else DEAD)
                node.carry_out()

    def dead(self, letter: str, *to: str) -> None:
        """These think that a node is dead, all at once."""
        for other in to:
            replica.liveness(self[other].state, letter.encode(), DEAD)
            self[other].carry_out()

    def crash(self, *letters: str) -> None:
        for letter in letters:
            self[letter].up = self[letter].paused = False
            self[letter].pending.clear()
            for (a, b), link in self.links.items():
                if letter.encode() in (a, b):
                    link.clear()

    def split(self, *sides: str) -> None:
        """Nobody hears anybody of another side."""
        side = {bytes([letter]): n for n, letters in enumerate(sides) for letter in letters.encode()}
        self.cut = {(a, b) for a, b in self.links if side[a] != side[b]}
        for link in self.cut:
            self.links[link].clear()

    def heal(self) -> None:
        self.cut = set()

    def send(self, a: bytes, b: bytes, message: Any) -> None:
        self.said.append((a, b, message))
        if (a, b) not in self.cut and self.nodes[b].up and message[0] not in self.losing:
            self.links[a, b].append(cbor2.dumps(message))

    def deliver(self, a: str | None = None, b: str | None = None, count: int = 1_000_000) -> int:
        """Hand over what is on the way, from a to b, or all."""
        delivered = 0
        for (sender, receiver), link in self.links.items():
            if (a is None or sender == a.encode()) and (b is None or receiver == b.encode()):
                node = self.nodes[receiver]
                while link and not node.paused and delivered < count:
                    delivered += 1
                    if node.up:
                        node.state.now = self.now + node.ahead
                        replica.received(node.state, sender, cbor2.loads(link.popleft()))
                        node.carry_out()
                    else:
                        link.popleft()
        return delivered

    def tick(self) -> None:
        self.now += TICK_MS
        for node in self.nodes.values():
            if node.up and not node.paused:
                node.state.now = self.now + node.ahead
                replica.tick(node.state)
                node.carry_out()

    def work(self, *letters: str) -> None:
        """Messages and disks, until nothing waits."""
        for _ in range(10_000):
            for name, node in self.nodes.items():
                if node.up and (not letters or name.decode() in letters):
                    node.disk()
            if not self.deliver() and not any(
                node.pending for node in self.nodes.values() if node.up and not node.paused
            ):
                return
        raise AssertionError("messages go back and forth without an end")

    def run(self, length_ms: int) -> None:
        """Time goes on, and nothing is lost."""
        for _ in range(length_ms // TICK_MS):
            self.work()
            self.tick()
        self.work()

    def ready(self, **settings: Any) -> "Stand":
        """Everybody has started, partitions are claimed, heirs are complete."""
        self.start()
        self.run(4_000)
        return self

    # ---- what is asked -------------------------------------------------------------------------

    def sent(self, code: int, a: str | None = None, b: str | None = None) -> list[Any]:
        """Messages of one kind."""
        return [
            message
            for sender, receiver, message in self.said
            if message[0] == code
            and (a is None or sender == a.encode())
            and (b is None or receiver == b.encode())
        ]

    def servers(self, p: int) -> str:
        """Who serves a partition."""
        return "".join(name.decode() for name, node in self.nodes.items() if node.up and p in node.serves)

    def claim(self, letter: str, p: int = 0) -> Any:
        return self[letter].state.parts[p].claim

    def copies(self, p: int) -> list[Any]:
        """The rows of those that are complete, and run."""
        return [
            node.store.values(p)
            for node in self.nodes.values()
            if node.up
            and node.state.parts[p].copy == 1
            and node.state.parts[p].claim is not None
            and node.name in (node.state.parts[p].claim.primary, node.state.parts[p].claim.heir)
        ]
