"""The world of mail on nodes that come and go: operators let them join, weigh them, give them other keys, let them
leave or remove them, and give partitions to other clusters.

What phones do, and what is looked at, isn't known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ops.simulation.cluster.calm import Calm
from ops.simulation.cluster.ends import Filters
from ops.simulation.cluster.events import Assigned, Parted
from ops.simulation.cluster.founding import Founding
from ops.simulation.cluster.keyring import KeyFiles
from ops.simulation.cluster.node import ClusterNode
from ops.simulation.mail.node import MailNode
from ops.simulation.mail.scenario import Mail
from ops.simulation.plan import Step
from ops.simulation.tables.claims import name_of
from ops.simulation.trace import DiskLost, Peace
from ops.simulation.world import World
from replication.membership.member import ACTIVE, LEAVING
from replication.membership.roster import Entry
from replication.membership.settings import MembershipSettings


class Changing(Mail):
    """Who has joined, who has left, who is about to, and whose disk is lost."""

    runs: ClassVar[type[MailNode]] = ClusterNode

    def __init__(self, world: World) -> None:
        knobs = world.plan.knobs
        self.membership = MembershipSettings(**knobs["membership"])
        self.founders: int = knobs["founders"]
        labels = knobs.get("labels") or [""] * world.plan.nodes
        self.founding = Founding(labels, self.founders, knobs["servers"], self.partition_count)
        self.files = KeyFiles()
        self.calm = Calm(world, self.founding.labels)
        self.ends: bool = knobs.get("ends", False)
        self.filters = Filters()
        self.joined: dict[int, Sequence[Entry]] = {}
        self.gone: set[int] = set()
        self.lost: set[int] = set()
        self.leaving: set[int] = set()
        super().__init__(world)
        world.trace.subscribe(Peace, self._unclog_all)

    # ---- what operators do ----------------------------------------------------------------------------

    def act(self, step: Step) -> bool:
        """As in the world of mail; and what operators do."""
        if step.kind in ("clog", "unclog"):
            self._clog(step.kind, *step.arguments)
            return True
        if step.kind in ("filter", "unfilter"):
            self._filter(step.kind, *step.arguments)
            return True
        if step.kind not in ("join", "weigh", "leave", "lose", "assign", "rotate"):
            return super().act(step)
        if step.kind == "rotate":
            self.world.machines[step.arguments[0]].ask(ClusterNode.operate, "rotate")
            return True
        if step.kind == "assign":
            partitions, label, via = step.arguments
            self.world.trace.observe(Assigned(via, tuple(partitions), label, False))
            self.world.machines[via].ask(ClusterNode.operate, "assign", partitions, label)
            return True
        node, via, *rest = step.arguments
        if step.kind == "lose":
            self._lose(node, via)
            return True
        if step.kind == "join":
            rest = self._place(node)
        arguments = () if step.kind == "leave" else (node, *rest)
        what = "let_join" if step.kind == "join" else step.kind
        if node not in self.gone and (step.kind != "join" or node not in self.joined):
            self.world.machines[via].ask(ClusterNode.operate, what, *arguments)
        return True

    def _clog(self, what: str, node: int, peer: int, channel: str) -> None:
        """A link's queue is full, or no longer."""
        clogged = self.calm.lasting
        (clogged.add if what == "clog" else clogged.discard)((node, peer, channel))
        self.world.machines[node].ask(getattr(ClusterNode, what), peer, channel)
        self.calm.disturb()

    def _filter(self, what: str, node: int, peer: int) -> None:
        """Something between two nodes refuses one in the name of the other, or no longer."""
        if what == "filter":
            self.filters.put(node, peer)
            self.network.cut(node, peer)
            self.network.cut(peer, node)
        else:
            self.filters.take_away(node, peer)
            self.network.mend(node, peer)
            self.network.mend(peer, node)
        self.calm.disturb()

    def refuses(self, node: int, peer: int) -> bool | None:
        """Whether a node is refused where a peer listens; None: nobody answers."""
        machine = self.world.machines[peer]
        if self.network.is_cut(node, peer):
            return True if self.filters.refuse(node, peer) else None
        if machine.off:
            return None
        return not (isinstance(machine.node, ClusterNode) and machine.node.belonging is not None)

    def _boot_of(self, number: int) -> bytes | None:
        node = self.world.machines[number].node
        return (
            node.detector.state.boot if isinstance(node, ClusterNode) and node.belonging is not None else None
        )

    def _unclog_all(self, _: Peace) -> None:
        for node, peer, channel in sorted(self.calm.lasting):
            self._clog("unclog", node, peer, channel)

    def _place(self, node: int) -> list[Any]:
        return [self.founding.servers, self.founding.label(node)]

    def _lose(self, node: int, via: int) -> None:
        """A node never returns, with all that it had; an operator says so, if there are others who have its copies."""
        runs = [one for one in self.members() if one is not None and one.number != node]
        if node in self.gone or len(runs) < 2 or self.world.machines[node].node not in self.members():
            return
        machine = self.world.machines[node]
        machine.crash("lost")
        machine.disk.wipe()
        self.world.trace.observe(DiskLost(node, "nobody's any more"))
        self.gone.add(node)
        self.lost.add(node)
        self._add("lost", 1)
        self.world.trace.observe(Parted(node))
        self.world.machines[via].ask(ClusterNode.operate, "remove", node)

    def operated(self, at: int, what: str, arguments: tuple[Any, ...], outcome: Any) -> None:
        """What an operator was told."""
        if what == "let_join":
            node = arguments[0]
            if outcome is not None and node not in self.joined:
                self.joined[node] = outcome
                self._add("joined", 1)
                machine = self.world.machines[node]
                machine.crash("joins")
                machine.start()
        elif outcome and what == "leave":
            self.leaving.add(at)
        elif outcome and what in ("assign", "rotate"):
            self._add(f"{what}s begun", 1)
            if what == "assign":
                self.world.trace.observe(Assigned(at, tuple(arguments[0]), arguments[1], True))
        self.calm.disturb()

    def removed(self, node: int) -> None:
        """A node has left."""
        self.gone.add(node)
        self._add("left", 1)
        self.world.machines[node].crash("left")
        self.world.trace.observe(Parted(node))

    # ---- who belongs to it ----------------------------------------------------------------------------

    def members(self) -> list[MailNode | None]:
        """Who belongs to the cluster."""
        return [
            node
            for number, node in enumerate(super().members())
            if number not in self.gone and (number < self.founders or number in self.joined)
        ]

    def belonging(self) -> list[int]:
        """Their numbers."""
        return [node.number for node in self.members() if node is not None]

    def wants_heirs(self, running: Sequence[MailNode], primary: MailNode) -> bool:
        """Nobody who is leaving becomes one, nor anybody of another cluster."""
        label = self.founding.label(primary.number)
        belonging = [
            node.belonging for node in running
            if isinstance(node, ClusterNode) and self.founding.label(node.number) == label
        ]  # fmt: skip
        return sum(one is not None and one.state == ACTIVE for one in belonging) > 1

    def _is_member(self, number: int) -> bool:
        return number not in self.gone and (self.founding.has(number) or number in self.joined)

    # ---- the end --------------------------------------------------------------------------------------

    def _unsettled(self) -> str:
        words = super()._unsettled()
        if words:
            return words
        belonging = [node.belonging for node in self.members() if isinstance(node, ClusterNode)]
        digests = {one.membership.roster.digest for one in belonging if one is not None}
        if len(digests) > 1:
            return "members know different members"
        if any(one is not None and one.state == LEAVING for one in belonging):
            return "a node is leaving"
        rotates = any(one is not None and one.rotates for one in belonging)
        return "a node changes its key" if rotates else ""

    def rest(self) -> bool:
        """As in the world of mail. Who has joined, and was forgotten with somebody's disk, is let join again."""
        for number in sorted(self.joined.keys() - self.gone):
            for node in self.members():
                belonging = node.belonging if isinstance(node, ClusterNode) else None
                if belonging is not None and not belonging.knows(name_of(number)):
                    assert node is not None
                    machine = self.world.machines[node.number]
                    machine.ask(ClusterNode.operate, "let_join", number, *self._place(number))
                    break
        for number in sorted(self.lost):  # whoever was to say so may have been away
            for node in self.members():
                belonging = node.belonging if isinstance(node, ClusterNode) else None
                if belonging is not None and belonging.knows(name_of(number)):
                    assert node is not None
                    self.world.machines[node.number].ask(ClusterNode.operate, "remove", number)
                    break
        rests = super().rest()
        if rests:
            self._knock()
        return rests

    def _knock(self) -> None:
        """Somebody has found keys that were members' once."""
        for peer in self.belonging():
            for key in self.files.former(peer):
                for node in self.belonging():
                    if node != peer:
                        self.world.machines[node].ask(ClusterNode.knock, peer, key)

    def _add(self, what: str, count: int) -> None:
        self.totals[what] = self.totals.get(what, 0) + count
