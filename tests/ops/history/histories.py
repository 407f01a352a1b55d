"""Histories to test the checker with: a dumb, perfect messenger whose users write valid histories."""

from __future__ import annotations

import random
from pathlib import Path

from attrs import define, field

from ops.history.format import VERSION, Event, body_hash, encode_event

Lines = dict[str, list[Event]]  # process → its events in order


@define
class Story:
    """Writes events of many processes on one clock. Times are gapless: each event is a tick later."""

    events: list[Event] = field(factory=list)
    clock: int = 0
    _orders: dict[str, int] = field(factory=dict)

    def tell(self, process: str, event: str, **fields: object) -> Event:
        if process not in self._orders:
            self._orders[process] = 0
            self.tell(process, "history", version=VERSION)
        self.clock += 10
        self._orders[process] += 1
        told = Event(process, self._orders[process], self.clock, event, **fields)  # type: ignore[arg-type]
        self.events.append(told)
        return told


@define
class _User:
    number: int
    stream: str
    process: str = ""
    runs: int = 0


def valid_history(
    seed: int, users: int = 3, messages: int = 30, crashes: int = 2, expire: bool = True
) -> Story:
    """A run in which every promise holds: sends, deliveries, acks, reads, receipts and crashes."""
    rng = random.Random(seed)
    story = Story()
    people = [_User(15550000001 + i, f"{i + 1:016x}") for i in range(users)]
    for person in people:
        _start(story, person)
    story.tell("node", "node-start")
    counters: dict[tuple[int, int], int] = {}
    sent: list[dict[str, object]] = []
    handed: list[dict[str, object]] = []
    crash_at = {rng.randrange(1, messages) for _ in range(crashes)}
    for number in range(messages):
        sender, recipient = rng.sample(people, 2)
        if number in crash_at:
            _crash(story, rng.choice(people), handed, rng)
        n = counters[sender.number, recipient.number] = counters.get((sender.number, recipient.number), 0) + 1
        key: dict[str, object] = {
            "sender": sender.number,
            "recipient": recipient.number,
            "stream": sender.stream,
            "n": n,
        }
        digest = body_hash(f"body {seed} {number}".encode())
        story.tell(
            sender.process, "send-intent", sender=sender.number, recipient=recipient.number, hash=digest
        )
        story.tell(sender.process, "sent", **key, hash=digest)
        if rng.random() < 0.1:
            story.tell(sender.process, "refused", **key, code=12)
            digest = body_hash(f"again {seed} {number}".encode())
            story.tell(sender.process, "sent", **key, hash=digest)
        sent.append({**key, "hash": digest})
        if rng.random() < 0.7:
            story.tell(sender.process, "accepted", **key, how=1)
        if rng.random() < 0.5:
            _deliver_all(story, people, sent, handed, rng)
    _deliver_all(story, people, sent, handed, rng)
    if expire:  # the last pair's next number waits for a device that is gone, and its sender is told
        key = {**key, "n": n + 1}
        story.tell(sender.process, "sent", **key, hash=body_hash(b"never read"))
        story.tell(sender.process, "accepted", **key, how=1)
        story.tell(sender.process, "receipt", **key, kind=3)
    for person in people:
        story.tell(person.process, "drained", user=person.number)
        story.tell(person.process, "client-stop", user=person.number)
    return story


def _start(story: Story, person: _User) -> None:
    person.runs += 1
    person.process = f"u{person.number % 100}.{person.runs}"
    story.tell(person.process, "client-start", user=person.number, stream=person.stream)


def _crash(story: Story, person: _User, handed: list[dict[str, object]], rng: random.Random) -> None:
    story.tell("supervisor", "client-crash", user=person.number)
    _start(story, person)
    for message in [m for m in handed if m["recipient"] == person.number and not m["acked"]]:
        _hand(story, person, message, rng)


def _deliver_all(
    story: Story,
    people: list[_User],
    sent: list[dict[str, object]],
    handed: list[dict[str, object]],
    rng: random.Random,
) -> None:
    by_number = {person.number: person for person in people}
    while sent:
        message = sent.pop(0)
        recipient = by_number[message["recipient"]]  # type: ignore[index]
        sender = by_number[message["sender"]]  # type: ignore[index]
        key = {name: message[name] for name in ("sender", "recipient", "stream", "n")}
        for _ in range(rng.choice((1, 1, 2))):  # the wire may repeat
            story.tell(recipient.process, "deliver", **key, hash=message["hash"])
        handed.append(message)
        _hand(story, recipient, message, rng)
        if rng.random() < 0.5:
            story.tell(sender.process, "accepted", **key, how=0)
        else:
            story.tell(sender.process, "accepted", **key, how=1)
            story.tell(sender.process, "receipt", **key, kind=1)
        if message.get("read"):
            story.tell(sender.process, "receipt", **{**key, "n": 1}, last=key["n"], kind=2)


def _hand(story: Story, recipient: _User, message: dict[str, object], rng: random.Random) -> None:
    key = {name: message[name] for name in ("sender", "recipient", "stream", "n")}
    story.tell(recipient.process, "handover", **key, hash=message["hash"])
    message["acked"] = rng.random() < 0.8
    if message["acked"]:
        story.tell(recipient.process, "ack", **key)
        message["read"] = rng.random() < 0.5
        if message["read"]:
            story.tell(recipient.process, "read", **key)


def write_history(events: list[Event], folder: Path) -> list[Path]:
    """The events as files, one a process; lines are renumbered: a change shows by its own rule only."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[bytes]] = {}
    for event in sorted(events, key=lambda e: e.at_ns):
        lines = files.setdefault(event.process, [])
        event.order = len(lines) + 1
        lines.append(encode_event(event))
    for process, lines in files.items():
        (folder / f"{process}.jsonl").write_bytes(b"".join(lines))
    return sorted(folder.glob("*.jsonl"))
