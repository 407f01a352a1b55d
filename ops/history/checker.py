"""The promises about mail as rules over one stream of events: what is violated, and by which message.

It must never import the node or the client, and never trust one process about another: what a sender says is
compared with what the recipient's process says. The rules, by the name that a violation is given:

    lost              accepted, its recipient drained, yet neither handed to the app nor told as expired
                      (nor received by a device that was lost afterwards)
    repeated          handed to the app again after the app acknowledged it, or with no restart in between
    reordered         handed over after a later number of its pair, and not marked late
    ghost             delivered or handed over, but never sent (or refused and not sent again)
    altered           the body's hash isn't that of the message sent
    misdelivered      it reached a process that isn't its recipient, or another recipient's number
    receipt-untrue    a sender was told "delivered" or "read" before the recipient's side received or read it
    read-undelivered  marked as read by a recipient who was never handed it
    ack-unhanded      acknowledged by an app that was never handed it
    accepted-unsent   accepted, but never sent
    renumbered        a number sent twice with two bodies, not being refused in between
    damaged           a line missing, unreadable, or written by a process that doesn't speak for that user
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import frozen

from ops.history.format import HOW_DELIVERED, KIND_DELIVERED, KIND_EXPIRED, KIND_READ, Event
from ops.history.pairs import Pair
from ops.history.reader import Damage

VIOLATIONS_KEPT_MAX: Final = 1000
Where = tuple[int, int]  # index of the file, line


@frozen
class Violation:
    """One broken rule. Numbers n..last of the pair; `where` is the line that showed it, if one line did."""

    rule: str
    text: str
    recipient: int = 0
    sender: int = 0
    stream: str = ""
    n: int = 0
    last: int = 0
    hash: str = ""
    where: Where | None = None


class Checker:
    """Feed it every event in the order of the clock, then `finish()`."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.violated: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.waiting = 0  # accepted messages of recipients that were not drained
        self.again = 0  # handed over again after a restart of an app that hadn't acknowledged
        self.late = 0  # handed over after a later one, and marked so
        self.torn = 0  # last lines cut by a kill
        self.untold = 0  # acknowledged, and a drained sender was never told
        self._pairs: dict[tuple[int, int, str], Pair] = {}
        self._intents: dict[tuple[int, int], Counter[str]] = {}
        self._order: dict[str, int] = {}
        self._clock: dict[str, int] = {}
        self._users: dict[str, set[int]] = {}
        self._incarnation: Counter[int] = Counter()
        self._drained: set[int] = set()
        self._rules: dict[str, Callable[[Event, Where], None]] = {
            "client-start": self._client_start,
            "device-lost": self._device_lost,
            "drained": self._recipient_drained,
            "send-intent": self._send_intent,
            "sent": self._sent,
            "accepted": self._accepted,
            "refused": self._refused,
            "skipped": self._skipped,
            "receipt": self._receipt,
            "deliver": self._deliver,
            "handover": self._handover,
            "ack": self._ack,
            "read": self._read,
        }

    # ---- the stream ------------------------------------------------------------------------------------

    def feed(self, event: Event | Damage, where: Where) -> None:
        if isinstance(event, Damage):
            if event.torn:
                self.torn += 1
            else:
                self._report("damaged", event.text, where)
            return
        self.events[event.event] += 1
        process = event.process
        before = self._order.get(process, 0)
        if event.order != before + 1:
            self._report("damaged", f"line {event.order} of {process} follows its line {before}", where)
        elif event.at_ns < self._clock.get(process, 0):
            self._report("damaged", f"the clock of {process} went back", where)
        self._order[process] = event.order
        self._clock[process] = event.at_ns
        rule = self._rules.get(event.event)
        if rule is not None:
            rule(event, where)

    def finish(self) -> None:
        """Judge what can only be judged at the end: what was accepted and never arrived."""
        for (recipient, sender, stream), pair in self._pairs.items():
            for n, end in pair.accepted.missing_from((pair.handed, pair.expired, pair.skipped, pair.sunk)):
                if recipient not in self._drained:
                    self.waiting += end - n + 1
                    continue
                text = "accepted, and its drained recipient's app was never handed it"
                self._add(Violation("lost", text, recipient, sender, stream, n, end), end - n + 1)
            if sender in self._drained:
                missing = pair.acked.missing_from((pair.told, pair.expired, pair.skipped))
                self.untold += sum(end - n + 1 for n, end in missing)

    # ---- life of clients ---------------------------------------------------------------------------------

    def _client_start(self, event: Event, where: Where) -> None:
        self._users.setdefault(event.process, set()).add(event.user)
        self._incarnation[event.user] += 1
        self._drained.discard(event.user)

    def _recipient_drained(self, event: Event, where: Where) -> None:
        self._drained.add(event.user)

    def _device_lost(self, event: Event, where: Where) -> None:
        """What the device had received and not handed to its app is gone with it: it was delivered."""
        for (recipient, _, _), pair in self._pairs.items():
            if recipient == event.user:
                for first, last in pair.received.missing_from((pair.handed,)):
                    pair.sunk.add(first, last)

    # ---- the sender's side -------------------------------------------------------------------------------

    def _send_intent(self, event: Event, where: Where) -> None:
        self._must_speak_for(event.sender, event, where)
        self._intents.setdefault((event.recipient, event.sender), Counter())[event.hash] += 1

    def _sent(self, event: Event, where: Where) -> None:
        self._must_speak_for(event.sender, event, where)
        self._drained.discard(event.recipient)
        pair = self._pair(event)
        self._take_intent(event)
        new, known = int(event.hash, 16) or 1, pair.hashes.get(event.n)
        if known and known != new:
            self._report("renumbered", "sent with another body, and not refused in between", where, event)
        pair.hashes.put(event.n, new)
        pair.sent.add(event.n)
        pair.skipped.discard(event.n)

    def _accepted(self, event: Event, where: Where) -> None:
        self._must_speak_for(event.sender, event, where)
        pair = self._pair(event)
        for n, last in pair.sent.missing(event.n, event.end):
            # a process killed between sending and writing `sent` leaves only its intent
            allowed = self._intents.get((event.recipient, event.sender), Counter()).total()
            if last - n + 1 > allowed and not pair.received.covers(n, last):
                self._report("accepted-unsent", f"{n}..{last} were never sent", where, event)
        if event.how == HOW_DELIVERED and not pair.received.covers(event.n, event.end):
            self._report("receipt-untrue", "accepted as delivered before its recipient had it", where, event)
        pair.accepted.add(event.n, event.end)
        if event.how == HOW_DELIVERED:
            pair.told.add(event.n, event.end)

    def _refused(self, event: Event, where: Where) -> None:
        self._must_speak_for(event.sender, event, where)
        self._pair(event).hashes.put(event.n, 0)

    def _skipped(self, event: Event, where: Where) -> None:
        self._refused(event, where)
        self._pair(event).skipped.add(event.n)

    def _receipt(self, event: Event, where: Where) -> None:
        self._must_speak_for(event.sender, event, where)
        pair = self._pair(event)
        if event.kind == KIND_EXPIRED:
            pair.expired.add(event.n, event.end)
        elif event.kind == KIND_DELIVERED:
            pair.told.add(event.n, event.end)
        if event.kind == KIND_DELIVERED and not pair.received.covers(event.n, event.end):
            self._report("receipt-untrue", "told as delivered before its recipient had it", where, event)
        elif event.kind == KIND_READ and event.end > pair.read:
            self._report("receipt-untrue", f"told as read; it had read up to {pair.read}", where, event)

    # ---- the recipient's side ----------------------------------------------------------------------------

    def _deliver(self, event: Event, where: Where) -> None:
        pair = self._pair(event)
        if self._genuine(event, pair, where):
            pair.received.add(event.n)

    def _handover(self, event: Event, where: Where) -> None:
        pair, n = self._pair(event), event.n
        if not self._genuine(event, pair, where):
            return
        incarnation = self._incarnation[event.recipient]
        if pair.incarnation != incarnation:
            pair.begin_incarnation(incarnation)
        if n in pair.acked:
            self._report("repeated", "handed over again after the app acknowledged it", where, event)
        elif n in pair.handed_now:
            self._report("repeated", "handed over twice to one run of the app", where, event)
        elif n in pair.handed:
            self.again += 1
        before = pair.last_now if n in pair.handed else pair.handed.high
        if n < before and event.late:
            self.late += 1
        elif n < before:
            self._report("reordered", f"handed over after {before}", where, event)
        pair.received.add(n)
        pair.handed.add(n)
        pair.handed_now.add(n)
        pair.last_now = n

    def _ack(self, event: Event, where: Where) -> None:
        self._must_speak_for(event.recipient, event, where)
        pair = self._pair(event)
        if not pair.handed.covers(event.n, event.end):
            self._report("ack-unhanded", "acknowledged by an app that was never handed it", where, event)
        pair.acked.add(event.n, event.end)

    def _read(self, event: Event, where: Where) -> None:
        self._must_speak_for(event.recipient, event, where)
        pair = self._pair(event)
        if event.n not in pair.handed:
            self._report("read-undelivered", "read by an app that was never handed it", where, event)
        pair.read = max(pair.read, event.n)

    # ---- parts of rules ----------------------------------------------------------------------------------

    def _genuine(self, event: Event, pair: Pair, where: Where) -> bool:
        """Whether what arrived was sent, so, to this recipient."""
        if event.recipient not in self._users.get(event.process, ()):
            self._report("misdelivered", f"reached {event.process}, who isn't its recipient", where, event)
            return False
        known = pair.hashes.get(event.n)
        if not known and self._take_intent(event):
            # its sender was killed before it could write `sent`: the intent stands for it
            pair.hashes.put(event.n, int(event.hash, 16) or 1)
            pair.sent.add(event.n)
            return True
        if not known:
            self._report("ghost", "arrived, and was never sent", where, event)
            return False
        if known != (int(event.hash, 16) or 1):
            self._report("altered", f"its hash is {event.hash}; {known:016x} was sent", where, event)
            return False
        return True

    def _take_intent(self, event: Event) -> bool:
        intents = self._intents.get((event.recipient, event.sender))
        if not intents or not intents[event.hash]:
            return False
        intents[event.hash] -= 1
        if not intents[event.hash]:
            del intents[event.hash]
        return True

    def _pair(self, event: Event) -> Pair:
        key = (event.recipient, event.sender, event.stream)
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = Pair()
        return pair

    def _must_speak_for(self, user: int, event: Event, where: Where) -> None:
        if user not in self._users.get(event.process, ()):
            self._report("damaged", f"{event.process} doesn't speak for {user}", where, event)

    def _report(self, rule: str, text: str, where: Where, event: Event | None = None) -> None:
        if event is None:
            self._add(Violation(rule, text, where=where))
        else:
            key = (event.recipient, event.sender, event.stream, event.n, event.end, event.hash)
            self._add(Violation(rule, text, *key, where=where))

    def _add(self, violation: Violation, count: int = 1) -> None:
        self.violated[violation.rule] += count
        if len(self.violations) < VIOLATIONS_KEPT_MAX:
            self.violations.append(violation)

    # ---- what was seen -----------------------------------------------------------------------------------

    def totals(self) -> dict[str, int]:
        """Messages by what became of them."""
        pairs = self._pairs.values()
        return {
            "pairs": len(pairs),
            "sent": sum(pair.sent.count() for pair in pairs),
            "accepted": sum(pair.accepted.count() for pair in pairs),
            "received": sum(pair.received.count() for pair in pairs),
            "handed": sum(pair.handed.count() for pair in pairs),
            "handed_again_after_restart": self.again,
            "late": self.late,
            "sunk_with_a_device": sum(pair.sunk.count() for pair in pairs),
            "skipped": sum(pair.skipped.count() for pair in pairs),
            "expired": sum(pair.expired.count() for pair in pairs),
            "waiting": self.waiting,
            "acknowledged_untold": self.untold,
            "torn_lines": self.torn,
        }
