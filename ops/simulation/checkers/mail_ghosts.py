"""No ghosts, for mail: what apps are handed, and what disks hold, is what somebody sent under that number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.mail.events import Composed, GivenUp, Handed, PairKey
from ops.simulation.records import every

GROUP: Final = "mail"


class MailGhosts:
    """Keeps what was sent."""

    rule: ClassVar[str] = "no ghosts"

    def __init__(self) -> None:
        self._sent: dict[tuple[PairKey, int], bytes] = {}
        self._given_up: set[tuple[PairKey, int]] = set()

    def subscriptions(self) -> Mapping[type, object]:
        """What is sent and handed over."""
        return {Composed: self._composed, GivenUp: self._gave_up, Handed: self._handed}

    def _composed(self, composed: Composed) -> None:
        self._sent[composed.key, composed.n] = composed.body

    def _gave_up(self, given_up: GivenUp) -> None:
        self._given_up.add((given_up.key, given_up.n))

    def _handed(self, handed: Handed) -> None:
        if self._sent.get((handed.key, handed.n)) != handed.body:
            raise Violation(self.rule, f"{handed.key} {handed.n} is handed over, and nobody sent it")

    def verdict(self, disks: Disks) -> None:
        """Nothing else stands on any disk."""
        for node, disk in disks.items():
            for key, found in every(disk, GROUP, "message"):
                if self._sent.get(((key[1], key[2], key[3]), key[4])) != found.value[1]:
                    raise Violation(self.rule, f"node {node} holds {key}, which nobody sent")
