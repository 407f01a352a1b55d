"""Many nodes' cores in one process, to count what they say when a node dies, comes, or a partition changes hands.

Detectors, rosters, replicas and routers (`events_edges`) are the real ones; links deliver at the next step, disks are
done at once and hold no records. So what is said of nodes, claims and sessions is counted, not what data weighs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, Final

import cbor2

from ops.bench.events_edges import SESSIONS_EACH, Edge
from ops.bench.events_kinds import CONTROL, GROUP, PERIODIC, kind_of
from replication.core import effects, members, replica
from replication.core.settings import ReplicaSettings
from replication.core.state import ALIVE, DEAD, SERVING, SILENT, UNKNOWN, ReplicaState
from replication.detector import Detector
from replication.detectorstate import BEAT, LOOK, SEND, STATE, DetectorSettings
from replication.membership.exchange import TELL, Exchange
from replication.membership.member import ACTIVE, REMOVED, Member
from replication.membership.roster import Roster
from replication.membership.settings import MembershipSettings
from replication.placement import SECRET_SIZE
from replication.ranking import Member as Ranked
from replication.ranking import Ranking

STEP_MS: Final = 100
REPLICA: Final = ReplicaSettings(start_wait_ms=500, check_ms=0, purge_ms=0)
DETECTOR: Final = DetectorSettings()
SETTLED_MS: Final = 2_000
"""After a start, before anything is done."""
STEPS_MAX: Final = 600
AFTER_MS: Final = 300
"""What an event is still counted for when everybody agrees: acks, and relays that gather."""


class Node:
    """One node: what it knows, and what it does at each step."""

    def __init__(self, world: World, row: Member) -> None:
        self.world = world
        self.name = row.node
        self.exchange = Exchange(row.node, Roster(world.rows.values()), MembershipSettings())
        self.detector = Detector(row.node, self.belonging(), world.chance.randbytes(8), DETECTOR, world.now)
        self.state = ReplicaState(
            row.node, self.belonging(), world.partitions, self.ranked(), REPLICA,
            incarnation=int.from_bytes(row.node, "big"), sequence=0, position=lambda *_: 0, now=world.now,
        )  # fmt: skip
        self.edge = Edge(self, world.partitions, world.send)

    def belonging(self) -> list[bytes]:
        """Who takes part, by this node's roster."""
        return [row.node for row in self.exchange.roster.members.values() if row.belongs]

    def ranked(self) -> Callable[[int], Sequence[bytes]]:
        """Who is wanted where, by this node's roster."""
        rows = [row for row in self.exchange.roster.members.values() if row.state == ACTIVE]
        ranking = self.world.ranking(tuple(Ranked(row.node, row.server) for row in rows))
        return lambda p: ranking.ranked("users", p)

    def step(self) -> None:
        """Time has passed."""
        now = self.state.now = self.world.now
        self.thought(self.detector.tick(now))
        for peer in self.world.ended:
            self.thought(self.detector.refused(peer, now))
        replica.tick(self.state)
        self.carry_out()
        self.edge.step(now)

    def received(self, peer: bytes, channel: str, message: list[Any]) -> None:
        """A message came."""
        now = self.state.now = self.world.now
        if channel not in (GROUP, CONTROL):
            self.edge.received(peer, channel, message)
        elif channel == GROUP:
            self.thought(self.detector.heard(peer, now))
            replica.received(self.state, peer, message)
            self.carry_out()
        elif message[0] >= TELL:
            self.told(self.exchange.received(peer, message))
        else:
            if message[0] == BEAT:
                self.told(self.exchange.beat(peer, message[3], now))
            self.thought(self.detector.received(peer, tuple(message), now))

    def told(self, out: Iterable[tuple[Any, ...]]) -> None:
        """What the roster asks for."""
        for effect in out:
            if effect[0] == SEND:
                self.world.send(self.name, effect[1], CONTROL, effect[2])
            else:
                self.apply()

    def edit(self, row: Member) -> None:
        """This node changes the roster."""
        self.told(self.exchange.edited([row], self.world.nodes))
        self.apply()

    def apply(self) -> None:
        """The roster is another one."""
        state = self.state
        for node in self.belonging():
            self.detector.added(node)
            members.added(state, node)
        state.ranked = self.ranked()
        replica.placed(state)
        for row in self.exchange.roster.members.values():
            if row.state == REMOVED:
                self.detector.removed(row.node)
                members.removed(state, row.node)
        self.carry_out()

    def thought(self, out: Iterable[tuple[Any, ...]]) -> None:
        """What the detector says."""
        for effect in out:
            if effect[0] == SEND:
                beat = effect[2][0] == BEAT
                message = (*effect[2], self.exchange.roster.digest) if beat else effect[2]
                self.world.send(self.name, effect[1], CONTROL, message)
            elif effect[0] == STATE:
                what = {"alive": ALIVE, "dead": DEAD, "unknown": UNKNOWN}.get(effect[2], SILENT)
                replica.liveness(self.state, effect[1], what)
            elif effect[0] == LOOK:
                _, target, asker, nonce = effect
                self.thought(self.detector.knocked(target, asker, nonce, target in self.world.ended))
        self.carry_out()

    def carry_out(self) -> None:
        """What the replica asks for; its disk is done at once."""
        state = self.state
        while state.out:
            out, state.out = state.out, []
            for effect in out:
                self._carry_out(effect)
            replica.flush(state)

    def _carry_out(self, effect: tuple[Any, ...]) -> None:
        code = effect[0]
        if code == effects.SEND:
            self.world.send(self.name, effect[1], GROUP, effect[2])
        elif code == effects.STORE:
            effect[2](None)
        elif code == effects.APPLY:
            effect[5](None, self.state.sequence)
        elif code == effects.READ:
            effect[4](None, self.state.sequence, (), [(p, self.state.sequence, True) for p, _ in effect[1]])
        elif code == effects.CLEAR:
            effect[2](None, False)
        elif code == effects.DONE:
            effect[1](*effect[2:])


class World:
    """Nodes, and what is on the way between them. `said`: messages by kind; `bytes`: their size."""

    def __init__(self, count: int, partitions: int, seed: int = 0) -> None:
        self.chance = Random(seed)
        self.partitions = partitions
        self.now = 0
        self.said: Counter[str] = Counter()
        self.bytes = 0
        self._rankings: dict[tuple[Ranked, ...], Ranking] = {}
        self._flying: deque[tuple[bytes, bytes, str, bytes]] = deque()
        self.rows: dict[bytes, Member] = {}
        # Where one is refused, as a process has ended; connections aren't messages, and aren't counted.
        self.ended: list[bytes] = []
        self.nodes: dict[bytes, Node] = {}
        for _ in range(count):
            row = self.row()
            self.rows[row.node] = row
        for row in tuple(self.rows.values()):
            self.nodes[row.node] = Node(self, row)
        for place, node in enumerate(self.nodes.values()):
            self._link(node)
            for user in range(SESSIONS_EACH):
                node.edge.log_in(place * SESSIONS_EACH + user)

    def _link(self, node: Node) -> None:
        """Its links to all others stand, from this side."""
        for other in self.nodes.values():
            if other is not node:
                node.edge.connected(other.name)

    def row(self) -> Member:
        """Of a node that is new."""
        node = self.chance.randbytes(8)
        return Member(node=node, key=node.hex(), server=node.hex(), counter=1, editor=node)

    def ranking(self, ranked: tuple[Ranked, ...]) -> Ranking:
        """The same for all who know the same."""
        if ranked not in self._rankings:
            self._rankings[ranked] = Ranking(bytes(SECRET_SIZE), ranked)
        return self._rankings[ranked]

    def send(self, a: bytes, b: bytes, channel: str, message: Sequence[Any]) -> None:
        """A message goes out."""
        data = cbor2.dumps(message)
        self.said[kind_of(channel, message[0])] += 1
        self.bytes += len(data)
        self._flying.append((a, b, channel, data))

    def step(self) -> None:
        """What is on the way arrives, then time goes on."""
        for _ in range(8):
            flying, self._flying = self._flying, deque()
            for a, b, channel, data in flying:
                node = self.nodes.get(b)
                if node is not None:
                    node.received(a, channel, cbor2.loads(data))
            if not self._flying:
                break
        self.now += STEP_MS
        for node in tuple(self.nodes.values()):
            node.step()

    def run(self, length_ms: int) -> None:
        """For so long."""
        for _ in range(length_ms // STEP_MS):
            self.step()

    def until(self, holds: Callable[[], bool]) -> int:
        """Milliseconds that it took. Raises RuntimeError: it didn't come about."""
        began = self.now
        for _ in range(STEPS_MAX):
            if holds():
                return self.now - began
            self.step()
        raise RuntimeError("what was waited for did not come about")

    def agree(self) -> bool:
        """Whether all know the same members and the same claims, and everything is served by one of them."""
        nodes = tuple(self.nodes.values())
        if len({node.exchange.roster.digest for node in nodes}) > 1:
            return False
        for p in range(self.partitions):
            claims = {node.state.parts[p].claim for node in nodes}
            claim = next(iter(claims))
            if (
                len(claims) > 1
                or claim is None
                or claim.primary not in self.nodes
                or claim.heir not in self.nodes
            ):
                return False
            if self.nodes[claim.primary].state.parts[p].phase != SERVING:
                return False
        return True

    def settle(self) -> None:
        """Everybody has started, everything is served."""
        self.run(SETTLED_MS)
        self.until(self.agree)
        self.run(REPLICA.hail_ms)

    def die(self) -> None:
        """A node that serves something is gone from one moment to the next, with its machine: nobody answers."""
        self._take_away()

    def kill(self) -> None:
        """The same of a process: its machine refuses connections."""
        self.ended.append(self._take_away())

    def _take_away(self) -> bytes:
        claim = next(iter(self.nodes.values())).state.parts[0].claim
        assert claim is not None
        gone = claim.primary
        del self.nodes[gone]
        for node in self.nodes.values():
            node.edge.disconnected(gone)
        return gone

    def come(self) -> None:
        """A node joins: somebody invited it, and it runs."""
        row = self.row()
        next(iter(self.nodes.values())).edit(row)
        self.rows[row.node] = row
        node = self.nodes[row.node] = Node(self, row)
        for other in tuple(self.nodes.values()):
            if other is not node:
                other.edge.connected(node.name)
        self._link(node)

    def hand_over(self) -> None:
        """A partition is moved to its heir."""
        node, part = next(
            (node, part)
            for node in self.nodes.values()
            for part in node.state.parts
            if part.phase == SERVING and part.heir_live and part.claim is not None
        )
        assert part.claim is not None
        assert part.claim.heir is not None
        replica.move(node.state, part.number, part.claim.heir, lambda *_: None)
        node.carry_out()

    def at_rest(self, length_ms: int) -> Counter[str]:
        """What is said in so long when nothing happens, by kind."""
        self.said.clear()
        self.run(length_ms)
        return Counter(self.said)

    def counted(self, event: Callable[[], None]) -> tuple[Counter[str], int]:
        """Messages by kind from an event until all agree again, and everything is served, beyond what is said all
        the time; and how many milliseconds that took."""
        self.said.clear()
        event()
        self.run(STEP_MS)
        took = STEP_MS + self.until(self.agree)
        self.run(AFTER_MS)
        return Counter({kind: count for kind, count in self.said.items() if kind not in PERIODIC}), took
