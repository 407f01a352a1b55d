"""The checker: a valid history passes, and every broken promise is named, with the lines of its message."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from histories import Story, valid_history, write_history
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.history.format import Event, body_hash
from ops.history.report import Report, check_files

ALICE, BOB, CAROL = 15550000001, 15550000002, 15550000003
KEY = {"sender": ALICE, "recipient": BOB, "stream": "00000000000000aa"}
H1, H2, H3 = (body_hash(body) for body in (b"one", b"two", b"three"))


@pytest.fixture
def story() -> Story:
    story = Story()
    for process, user in (("alice", ALICE), ("bob", BOB), ("carol", CAROL)):
        story.tell(process, "client-start", user=user)
    return story


def verdict(story: Story, tmp_path: Path, drained: bool = True) -> Report:
    if drained:
        for process, user in (("alice", ALICE), ("bob", BOB), ("carol", CAROL)):
            story.tell(process, "drained", user=user)
    return check_files(write_history(story.events, tmp_path / "history"))


def send(story: Story, n: int, digest: str) -> None:
    story.tell("alice", "sent", **KEY, n=n, hash=digest)


def receive(story: Story, n: int, digest: str, process: str = "bob") -> None:
    story.tell(process, "deliver", **KEY, n=n, hash=digest)
    story.tell(process, "handover", **KEY, n=n, hash=digest)


def broken(report: Report, rule: str, *events: str) -> None:
    """The report names this rule alone, once, and quotes lines with these events."""
    assert report.rules == {rule: 1}, report.as_text()
    quoted = " ".join(text for _, text in report.violations[0].lines)
    for event in events:
        assert f" {event}:" in quoted, report.as_text()


def test_valid_histories_pass(tmp_path: Path) -> None:
    for seed in range(20):
        report = check_files(write_history(valid_history(seed).events, tmp_path / str(seed)))
        assert report.good, report.as_text()
        assert report.totals["sent"] == 31
        assert report.totals["handed"] == 30


def test_accepted_and_never_handed_over_is_lost(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "accepted", **KEY, n=1, how=1)
    broken(verdict(story, tmp_path), "lost", "sent", "accepted")


def test_received_on_the_wire_but_never_handed_over_is_lost(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("bob", "deliver", **KEY, n=1, hash=H1)
    story.tell("alice", "accepted", **KEY, n=1, how=1)
    broken(verdict(story, tmp_path), "lost", "sent", "accepted", "deliver")


def test_an_accepted_message_may_wait_while_its_recipient_is_not_drained(
    story: Story, tmp_path: Path
) -> None:
    send(story, 1, H1)
    story.tell("alice", "accepted", **KEY, n=1, how=1)
    report = verdict(story, tmp_path, drained=False)
    assert report.good
    assert report.totals["waiting"] == 1


def test_what_an_app_acknowledged_and_its_sender_was_never_told_is_counted(
    story: Story, tmp_path: Path
) -> None:
    for n, digest in ((1, H1), (2, H2), (3, H3)):
        send(story, n, digest)
        receive(story, n, digest)
        story.tell("bob", "ack", **KEY, n=n)
    story.tell("alice", "accepted", **KEY, n=1, how=0)
    story.tell("alice", "accepted", **KEY, n=2, last=3, how=2)
    story.tell("alice", "receipt", **KEY, n=2, kind=1)
    report = verdict(story, tmp_path)
    assert report.good
    assert report.totals["acknowledged_untold"] == 1


def test_an_expired_message_is_not_lost_once_its_sender_is_told(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "accepted", **KEY, n=1, how=1)
    story.tell("alice", "receipt", **KEY, n=1, kind=3)
    assert verdict(story, tmp_path).good


def test_what_a_lost_device_had_received_is_not_lost_by_the_node(story: Story, tmp_path: Path) -> None:
    for n, digest in ((1, H1), (2, H2), (3, H3)):
        send(story, n, digest)
    receive(story, 1, H1)
    story.tell("bob", "deliver", **KEY, n=2, hash=H2)
    story.tell("alice", "accepted", **KEY, n=1, last=3, how=1)
    story.tell("supervisor", "device-lost", user=BOB)
    story.tell("bob2", "client-start", user=BOB)
    report = verdict(story, tmp_path)
    assert report.totals["sunk_with_a_device"] == 1
    assert report.rules == {"lost": 1}
    assert report.violations[0].violation.n == 3


def test_a_message_sent_after_the_drain_may_wait(story: Story, tmp_path: Path) -> None:
    story.tell("bob", "drained", user=BOB)
    send(story, 1, H1)
    story.tell("alice", "accepted", **KEY, n=1, how=1)
    report = verdict(story, tmp_path, drained=False)
    assert report.good
    assert report.totals["waiting"] == 1


def test_lost_messages_are_counted_one_by_one(story: Story, tmp_path: Path) -> None:
    for n in range(1, 6):
        send(story, n, H1)
    receive(story, 3, H1)
    story.tell("alice", "accepted", **KEY, n=1, last=5, how=2)
    report = verdict(story, tmp_path)
    assert report.rules == {"lost": 4}
    assert [(v.violation.n, v.violation.last) for v in report.violations] == [(1, 2), (4, 5)]


def test_handed_over_twice_in_one_run_is_repeated(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    receive(story, 1, H1)
    receive(story, 1, H1)
    broken(verdict(story, tmp_path), "repeated", "handover", "sent")


def test_handed_over_again_after_the_apps_ack_is_repeated(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    receive(story, 1, H1)
    story.tell("bob", "ack", **KEY, n=1)
    story.tell("supervisor", "client-crash", user=BOB)
    story.tell("bob2", "client-start", user=BOB)
    receive(story, 1, H1, "bob2")
    broken(verdict(story, tmp_path), "repeated", "handover", "ack", "sent")


def test_an_app_that_crashed_before_its_ack_may_be_handed_the_message_again(
    story: Story, tmp_path: Path
) -> None:
    send(story, 1, H1)
    send(story, 2, H2)
    receive(story, 1, H1)
    receive(story, 2, H2)
    story.tell("bob2", "client-start", user=BOB)
    receive(story, 1, H1, "bob2")
    receive(story, 2, H2, "bob2")
    report = verdict(story, tmp_path)
    assert report.good, report.as_text()
    assert report.totals["handed_again_after_restart"] == 2


def test_a_later_number_first_is_reordered(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    send(story, 2, H2)
    receive(story, 2, H2)
    receive(story, 1, H1)
    broken(verdict(story, tmp_path), "reordered", "handover", "sent")


def test_again_in_the_wrong_order_is_reordered(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    send(story, 2, H2)
    receive(story, 1, H1)
    receive(story, 2, H2)
    story.tell("bob2", "client-start", user=BOB)
    receive(story, 2, H2, "bob2")
    receive(story, 1, H1, "bob2")
    broken(verdict(story, tmp_path), "reordered")


def test_a_message_marked_late_may_come_after_later_ones(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    send(story, 2, H2)
    receive(story, 2, H2)
    story.tell("bob", "handover", **KEY, n=1, hash=H1, late=True)
    report = verdict(story, tmp_path)
    assert report.good
    assert report.totals["late"] == 1


def test_a_message_that_nobody_sent_is_a_ghost(story: Story, tmp_path: Path) -> None:
    story.tell("bob", "deliver", **KEY, n=1, hash=H1)
    broken(verdict(story, tmp_path), "ghost", "deliver")


def test_a_refused_message_that_arrives_is_a_ghost(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "refused", **KEY, n=1, code=14)
    story.tell("bob", "deliver", **KEY, n=1, hash=H1)
    broken(verdict(story, tmp_path), "ghost", "deliver", "refused", "sent")


def test_a_refused_number_may_be_sent_again_as_something_else(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "refused", **KEY, n=1, code=14)
    send(story, 1, H2)
    receive(story, 1, H2)
    assert verdict(story, tmp_path).good


def test_a_skipped_number_is_accepted_and_is_no_message(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "refused", **KEY, n=1, code=21)
    story.tell("alice", "skipped", **KEY, n=1)
    story.tell("alice", "accepted", **KEY, n=1, how=1)
    report = verdict(story, tmp_path)
    assert report.good, report.as_text()
    assert report.totals["skipped"] == 1


def test_a_skipped_number_that_is_sent_after_all_is_a_message(story: Story, tmp_path: Path) -> None:
    story.tell("alice", "skipped", **KEY, n=1)
    send(story, 1, H1)
    story.tell("alice", "accepted", **KEY, n=1, how=1)
    broken(verdict(story, tmp_path), "lost", "skipped", "sent", "accepted")


def test_a_skipped_number_that_arrives_is_a_ghost(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "skipped", **KEY, n=1)
    story.tell("bob", "deliver", **KEY, n=1, hash=H1)
    broken(verdict(story, tmp_path), "ghost", "deliver", "skipped")


def test_another_body_is_altered(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("bob", "deliver", **KEY, n=1, hash=H2)
    broken(verdict(story, tmp_path), "altered", "deliver", "sent")


def test_a_message_for_another_recipient_is_misdelivered(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "sent", sender=ALICE, recipient=CAROL, stream=KEY["stream"], n=1, hash=H2)
    story.tell("bob", "deliver", **KEY, n=1, hash=H2)
    broken(verdict(story, tmp_path), "misdelivered", "deliver", "sent")


def test_a_message_in_the_wrong_process_is_misdelivered(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("carol", "deliver", **KEY, n=1, hash=H1)
    broken(verdict(story, tmp_path), "misdelivered", "deliver", "sent")


def test_told_as_delivered_before_it_was_is_an_untrue_receipt(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "receipt", **KEY, n=1, kind=1)
    receive(story, 1, H1)
    broken(verdict(story, tmp_path), "receipt-untrue", "receipt", "sent", "deliver")


def test_accepted_as_delivered_before_it_was_is_an_untrue_receipt(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("alice", "accepted", **KEY, n=1, how=0)
    receive(story, 1, H1)
    broken(verdict(story, tmp_path), "receipt-untrue", "accepted", "sent", "deliver")


def test_told_as_read_further_than_read_is_an_untrue_receipt(story: Story, tmp_path: Path) -> None:
    for n, digest in ((1, H1), (2, H2)):
        send(story, n, digest)
        receive(story, n, digest)
    story.tell("bob", "read", **KEY, n=1)
    story.tell("alice", "receipt", **KEY, n=1, last=1, kind=2)
    story.tell("alice", "receipt", **KEY, n=1, last=2, kind=2)
    broken(verdict(story, tmp_path), "receipt-untrue", "receipt", "read")


def test_read_without_having_been_handed_over(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("bob", "deliver", **KEY, n=1, hash=H1)
    story.tell("bob", "read", **KEY, n=1)
    broken(verdict(story, tmp_path), "read-undelivered", "read", "deliver")


def test_acknowledged_without_having_been_handed_over(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    story.tell("bob", "ack", **KEY, n=1)
    broken(verdict(story, tmp_path), "ack-unhanded", "ack")


def test_accepted_but_never_sent(story: Story, tmp_path: Path) -> None:
    story.tell("alice", "accepted", **KEY, n=1, how=1)
    report = verdict(story, tmp_path, drained=False)
    broken(report, "accepted-unsent", "accepted")


def test_a_sender_killed_before_it_wrote_sent_leaves_its_intent(story: Story, tmp_path: Path) -> None:
    story.tell("alice", "send-intent", sender=ALICE, recipient=BOB, hash=H1)
    story.tell("alice2", "client-start", user=ALICE)
    story.tell("alice2", "accepted", **KEY, n=1, how=1)
    receive(story, 1, H1)
    receive_twice = verdict(story, tmp_path)
    assert receive_twice.good, receive_twice.as_text()


def test_one_intent_allows_one_message(story: Story, tmp_path: Path) -> None:
    story.tell("alice", "send-intent", sender=ALICE, recipient=BOB, hash=H1)
    receive(story, 1, H1)
    story.tell("bob", "deliver", **KEY, n=2, hash=H1)
    broken(verdict(story, tmp_path), "ghost", "deliver")


def test_one_number_with_two_bodies_is_renumbered(story: Story, tmp_path: Path) -> None:
    send(story, 1, H1)
    send(story, 1, H2)
    broken(verdict(story, tmp_path), "renumbered", "sent")


def test_a_process_that_speaks_for_another_is_damage(story: Story, tmp_path: Path) -> None:
    story.tell("carol", "sent", **KEY, n=1, hash=H1)
    broken(verdict(story, tmp_path), "damaged", "sent")


def test_a_missing_line_is_damage(tmp_path: Path) -> None:
    story = valid_history(1)
    for _ in range(5):
        story.tell("witness", "note", note="all is well")
    files = write_history(story.events, tmp_path / "history")
    lines = files[-1].read_bytes().splitlines(keepends=True)
    del lines[3]
    files[-1].write_bytes(b"".join(lines))
    report = check_files(files)
    assert report.rules == {"damaged": 1}
    assert "line 5 of witness follows its line 3" in report.as_text()
    assert report.violations[0].lines[0][0].line == 4


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"garbage\n", "malformed"),
        (b'{"p":"x","s":1,"t":1,"e":"teleported"}\n', "unknown event 'teleported'"),
        (b'{"p":"x","s":1,"t":1,"e":"sent","from":1,"to":2,"n":1,"hash":"0011223344556677"}\n', "'stream'"),
        (b'{"p":"x","s":1,"t":1,"e":"note","body":"hello"}\n', "unknown field `body`"),
        (b'{"p":"x","s":1,"t":1,"e":"history","version":2}\n', "history format 2"),
        (b'{"p":"x","s":1,"t":1,"e":"note","note":"' + b"x" * 5000 + b'"}\n', "more than 4096 bytes"),
        (b'{"p":"x","s":1,"t":1,"e":"note","note":"' + b"x" * 50000 + b'"}\n', "more than 4096 bytes"),
    ],
)
def test_what_is_no_event_is_damage(line: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(line + b'{"p":"x","s":1,"t":1,"e":"note"}\n')
    report = check_files([path])
    assert report.rules == {"damaged": 1}, report.as_text()
    assert says in report.as_text()
    assert report.violations[0].lines[0][0].line == 1


def test_a_last_line_torn_by_a_kill_is_allowed(tmp_path: Path) -> None:
    files = write_history(valid_history(2).events, tmp_path / "history")
    with files[0].open("ab") as file:
        file.write(b'{"p":"u1.')
    report = check_files(files)
    assert report.good
    assert report.totals["torn_lines"] == 1


def test_one_joined_file_says_the_same_as_many(tmp_path: Path) -> None:
    events = valid_history(3).events
    files = write_history(events, tmp_path / "many")
    joined = tmp_path / "joined.jsonl"
    lines = [line for path in files for line in path.read_bytes().splitlines(keepends=True)]
    lines.sort(key=lambda line: msgspec.json.decode(line)["t"])
    joined.write_bytes(b"".join(lines))
    assert check_files([joined]).totals == check_files(files).totals


# ---- mutations: any one change to a valid history is caught by its own rule -------------------------------


Caught = tuple[str, set[str]]  # the rule that must be named, and those that may be, as consequences
NOTHING: Caught = ("", set())  # this history has nothing that the mutation could change


def of(events: list[Event], name: str, rng: random.Random, **wanted: object) -> Event:
    found = [e for e in events if e.event == name and all(getattr(e, k) == v for k, v in wanted.items())]
    return rng.choice(found)


def copy(original: Event, **changed: object) -> Event:
    return msgspec.structs.replace(original, **changed)  # type: ignore[arg-type]


def about(events: list[Event], event: Event, *names: str) -> list[Event]:
    key = (event.recipient, event.sender, event.stream)
    return [
        e for e in events if (e.recipient, e.sender, e.stream) == key and e.event in names and e.n == event.n
    ]


def lose(events: list[Event], rng: random.Random) -> Caught:
    accepted = of(events, "accepted", rng)
    for gone in about(events, accepted, "handover", "ack", "read", "deliver", "receipt"):
        events.remove(gone)
    for other in about(events, accepted, "accepted"):
        other.how = 1
    return "lost", {"receipt-untrue"}  # what its absence makes of other lines


def repeat(events: list[Event], rng: random.Random) -> Caught:
    handed = of(events, "handover", rng)
    events.append(copy(handed, at_ns=handed.at_ns + 1))
    return "repeated", set()


def swap(events: list[Event], rng: random.Random) -> Caught:
    handed = [e for e in events if e.event == "handover"]
    for first in rng.sample(handed, len(handed)):
        for second in handed:
            if (
                (second.recipient, second.sender, second.process)
                == (first.recipient, first.sender, first.process)
                and second.n > first.n
                and second.at_ns > first.at_ns
            ):
                first.at_ns = second.at_ns + 1
                return "reordered", {"ack-unhanded", "read-undelivered", "repeated"}
    return NOTHING


def alter(events: list[Event], rng: random.Random) -> Caught:
    of(events, "deliver", rng).hash = body_hash(b"forged")
    return "altered", set()


def swap_bodies(events: list[Event], rng: random.Random) -> Caught:
    first = of(events, "handover", rng)
    others = [
        e for e in events if e.event == "sent" and e.sender == first.sender and e.recipient != first.recipient
    ]
    if not others:
        return NOTHING
    first.hash = rng.choice(others).hash
    return "misdelivered", {"lost", "ack-unhanded", "read-undelivered"}


def misdeliver(events: list[Event], rng: random.Random) -> Caught:
    delivered = of(events, "deliver", rng)
    wrong = [e for e in events if e.event == "client-start" and e.user != delivered.recipient]
    events.append(copy(delivered, process=rng.choice(wrong).process, at_ns=delivered.at_ns + 1))
    return "misdelivered", set()


def conjure(events: list[Event], rng: random.Random) -> Caught:
    delivered = of(events, "deliver", rng)
    events.append(copy(delivered, n=delivered.n + 1000, at_ns=delivered.at_ns + 1, hash=body_hash(b"ghost")))
    return "ghost", set()


def hasten_receipt(events: list[Event], rng: random.Random) -> Caught:
    told = [
        e for e in events if (e.event == "receipt" and e.kind == 1) or (e.event == "accepted" and e.how == 0)
    ]
    if not told:
        return NOTHING
    chosen = rng.choice(told)
    sent = about(events, chosen, "sent")[-1]
    chosen.process, chosen.at_ns = sent.process, sent.at_ns + 1
    return "receipt-untrue", set()


def overread(events: list[Event], rng: random.Random) -> Caught:
    told = [e for e in events if e.event == "receipt" and e.kind == 2]
    if not told:
        return NOTHING
    rng.choice(told).last += 500
    return "receipt-untrue", set()


def read_unhanded(events: list[Event], rng: random.Random) -> Caught:
    handed = of(events, "handover", rng)
    events.append(copy(handed, event="read", n=handed.n + 700, hash="", at_ns=handed.at_ns + 1))
    return "read-undelivered", set()


def accept_unsent(events: list[Event], rng: random.Random) -> Caught:
    accepted = of(events, "accepted", rng, how=1)
    events.append(copy(accepted, n=accepted.n + 900, at_ns=accepted.at_ns + 1))
    return "accepted-unsent", {"lost"}


def renumber(events: list[Event], rng: random.Random) -> Caught:
    handed = of(events, "handover", rng)
    sent = about(events, handed, "sent")[-1]
    process = next(e.process for e in reversed(events) if e.event == "drained" and e.user == sent.sender)
    stop = next(e for e in events if e.process == process and e.event == "drained")
    events.append(copy(sent, process=process, hash=body_hash(b"other"), at_ns=stop.at_ns - 1))
    return "renumbered", set()


MUTATIONS: list[Callable[[list[Event], random.Random], Caught]] = [
    lose, repeat, swap, alter, swap_bodies, misdeliver, conjure, hasten_receipt, overread, read_unhanded,
    accept_unsent, renumber,
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), mutation=st.sampled_from(MUTATIONS))
def test_any_one_mutation_of_a_valid_history_is_caught(
    seed: int, mutation: Callable[[list[Event], random.Random], Caught]
) -> None:
    events = valid_history(seed, messages=15, crashes=1).events
    rule, consequences = mutation(events, random.Random(seed))
    if not rule:
        return
    with tempfile.TemporaryDirectory() as folder:
        report = check_files(write_history(events, Path(folder)))
    assert rule in report.rules, report.as_text()
    assert set(report.rules) <= {rule} | consequences, report.as_text()
    assert all(each.lines for each in report.violations), report.as_text()
