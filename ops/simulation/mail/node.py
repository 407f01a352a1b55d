"""A node of the world of mail: the mail core under its driver, on the replicated group `mail`.

It does what a node's service does: lets sessions in whose partition it serves, sends others on, hands frames to the
core, and forgets a partition when the replica says that it isn't served any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Protocol

import attrs

from node.mail import acking, effects, numbering, presence, receipts
from node.mail.driver import MailDriver, Outlet
from node.mail.reconcile import Reconcile
from node.mail.replicated import Replicated
from node.mail.rows import MailTables
from node.mail.settings import MailSettings
from node.mail.state import Effect, Handle, MailState
from node.mail.tables import MAIL
from ops.simulation.machine import Machine
from ops.simulation.mail.events import Said
from ops.simulation.mail.phone import Session
from ops.simulation.tables.claims import node_of
from ops.simulation.tables.events import Ceased, Reported, Serving
from ops.simulation.tables.node import Surroundings, TablesNode
from replication.carrier import Carrier
from replication.core.state import ReplicaState
from replication.tables import replicated
from store.group import OpenGroup
from store.schema import Group

FOR_SESSIONS: Final = (
    effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED, effects.RECEIPT, effects.DELIVER, effects.CONFIRM,
)  # fmt: skip
ABOUT_STREAM: Final = frozenset((effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED))
GROUP: Final = MAIL.name
CHECK_EVERY: Final = 8
"""Passes between two looks at all that the mail core holds, which would take most of a run's time."""


class Phones(Protocol):
    """Who hears what nodes say to sessions."""

    def let_in(self, session: Session) -> None: ...
    def welcome(self, session: Session) -> None: ...
    def send_on(self, user: int, node: int | None) -> None: ...
    def tell(self, session: Session, effect: Effect) -> None: ...
    def close(self, session: Session) -> None: ...


class MailSurroundings(Surroundings, Protocol):
    """What a node is told of the world that it is in."""

    mail: MailSettings
    phones: Phones

    def partition_of(self, user: int) -> int:
        """Where a user lives."""
        ...


class MailNode(TablesNode):
    """One life of a node."""

    around: MailSurroundings

    def __init__(self, machine: Machine, around: MailSurroundings) -> None:
        super().__init__(machine, around)
        self.served: set[int] = set()
        self._since: dict[int, int] = {}
        self._steady = 0
        self._passes = 0

    def start(self) -> None:
        """Open the store; nobody is let in before a partition is served."""
        times = self.machine.times
        self._steady = int(times.wall() * 1000) - times.monotonic_ms()
        super().start()

    def declared(self) -> tuple[Group, ...]:
        """The group `mail`."""
        return (replicated(attrs.evolve(MAIL, reconcile=Reconcile(self._is_mine))),)

    def carrier(self, state: ReplicaState, group: OpenGroup) -> Carrier:
        """The replica's, and the mail core that stands on it."""
        around = self.around
        carrier = Carrier(state, group, partial(self._send, group.name), self)
        self.state = state
        self.mail = MailState(around.mail, self._now())
        settings = around.mail
        tables = MailTables(group, around.partition_of, self._kept_since, settings.mailbox_messages_max)
        outlets: dict[int, Outlet] = dict.fromkeys(FOR_SESSIONS, self._tell)
        outlets[effects.BACKLOG] = self._welcome
        self.driver = MailDriver(self.mail, tables, outlets, _known, _wiped, Replicated(carrier), self._ended)
        return carrier

    def _is_mine(self, p: int) -> bool:
        claim = self.state.parts[p].claim
        return claim is not None and claim.primary == self.name

    def _kept_since(self, p: int) -> int:
        return self._since.get(p, 1)

    def _now(self) -> int:
        return self._steady + self.machine.times.monotonic_ms()

    # ---- what the replica says ------------------------------------------------------------------------

    def serve(self, partition: int, epoch: int) -> None:
        """This node is the partition's primary, perhaps under another claim than before."""
        self.around.trace.observe(Serving(self.number, GROUP, partition, epoch))
        if partition not in self.served:
            self.served.add(partition)
            self._since[partition] = self.carriers[GROUP].group.sequence
            self.driver.serve((partition,))

    def cease(self, partition: int) -> None:
        """It isn't."""
        self.around.trace.observe(Ceased(self.number, GROUP, partition))
        self.served.discard(partition)
        self.driver.drop((partition,))

    def report(self, what: str, details: Mapping[str, Any]) -> None:
        """For an operator."""
        told = tuple(sorted((name, repr(value)) for name, value in details.items()))
        self.around.trace.observe(Reported(self.number, GROUP, what, told))

    # ---- a pass ---------------------------------------------------------------------------------------

    def _drain(self, carrier: Carrier) -> None:
        """Everything that was asked for, of the replica and of the mail core, until both are quiet."""
        self.mail.now = self._now()
        carrier.drain()
        self.driver.drain()
        self.driver.tick()
        carrier.drain()
        self.driver.drain()
        self._passes += 1
        if self._passes % CHECK_EVERY == 0:
            self.mail.check()

    def _pass(self) -> None:
        self.state.now = self.machine.times.monotonic_ms()
        self._drain(self.carriers[GROUP])

    # ---- sessions -------------------------------------------------------------------------------------

    def connect(self, session: Session) -> None:
        """Somebody wants to log in."""
        p = self.around.partition_of(session.user)
        if p in self.served:
            self.around.phones.let_in(session)
            presence.online(self.mail, session.user, session)
        else:
            claim = self.state.parts[p].claim
            known = None if claim is None or claim.primary == self.name else node_of(claim.primary)
            self.around.phones.send_on(session.user, known)
        self._pass()

    def leave(self, session: Session) -> None:
        """The connection is gone."""
        presence.offline(self.mail, session.user, session)
        self._pass()

    def frame(self, session: Session, verb: str, *f: Any) -> None:
        """A frame of a session."""
        mail, user = self.mail, session.user
        if mail.sessions.get(user) is not session:
            return
        if verb == "send":
            recipient, n, base, body = f
            numbering.send(mail, user, recipient, session.stream, n, base, body)
        elif verb == "skip":
            recipient, n, base = f
            numbering.skip(mail, user, recipient, session.stream, n, base)
        elif verb == "ack":
            acking.ack(mail, user, *f)
        else:
            receipts.confirm(mail, user, *f)
        self._pass()

    def _welcome(self, effect: Effect) -> None:
        session: Session = effect[1]
        if effect[2] < 0:
            self.around.phones.close(session)
        else:
            self.around.phones.welcome(session)

    def _tell(self, effect: Effect) -> None:
        session = self.mail.sessions.get(effect[1])
        if not isinstance(session, Session) or (effect[0] in ABOUT_STREAM and effect[3] != session.stream):
            return
        if effect[0] == effects.ACCEPTED:
            _, sender, recipient, stream, first, last, how = effect
            self.around.trace.observe(Said(self.number, (recipient, sender, stream), first, last, how))
        self.around.phones.tell(session, effect)

    def _ended(self, user: int, session: Handle) -> None:
        assert isinstance(session, Session)
        self.around.phones.close(session)


def _known(user: int) -> bool:
    return True


def _wiped(user: int, generation: int) -> None:
    """No device is ever replaced here."""
