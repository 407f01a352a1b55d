"""Waits of histories, and what a run is judged by beside them."""

from datetime import UTC, datetime
from pathlib import Path

from ops.faults.judging import Machine, cost_of_cut, held_talk, long_holds, of_cut, waits
from ops.faults.siege import Cut
from ops.faults.waits import NS, Message, Span, messages, summary, within
from ops.history.writer import HistoryWriter

ALICE, BOB, CAROL, DAVE = 15550000001, 15550000002, 15550000003, 15550000004
AT_EASE = Machine(lost=lambda begin, end: 0.0, offset=0.0, busy=False)


def message(sent: float, answered: float | None, *, busy: int = 0, to: int = BOB) -> Message:
    return Message(ALICE, to, sent, answered, busy)


def test_messages_are_read_with_their_first_departure_and_what_ended_their_wait(tmp_path: Path) -> None:
    now = [0]
    history = HistoryWriter(tmp_path / "a.jsonl", "alice", clock=lambda: now[0])
    key = {"sender": ALICE, "recipient": BOB, "stream": "00" * 8}

    def tell(at: float, event: str, **more: object) -> None:
        now[0] = int(at * NS)
        history.write(event, **key, **more)

    for n in (1, 2, 3, 4, 5):
        tell(1.0, "sent", n=n, hash="0" * 16)
    tell(2.0, "busy", n=2)
    tell(3.0, "sent", n=2, hash="0" * 16)
    tell(4.0, "accepted", n=1, last=2, how=1)
    tell(5.0, "refused", n=3, code=14)
    tell(6.0, "receipt", n=4, kind=1)
    history.close()
    assert messages(tmp_path) == [
        message(1.0, 4.0), message(1.0, 4.0, busy=1), message(1.0, 5.0), message(1.0, 6.0), message(1.0, None),
    ]  # fmt: skip


def test_a_span_has_what_was_under_way_in_it() -> None:
    span = Span("MOVE", 10.0, 20.0)
    before, into, never, other = message(1, 9), message(1, 11), message(5, None), message(12, 13, to=CAROL)
    all_ = [before, into, never, other, message(21, 22)]
    assert within(all_, span) == [into, never, other]
    assert within(all_, span, {ALICE, BOB}) == [into, never]


def test_what_the_machine_took_from_everybody_is_no_wait() -> None:
    found = summary(
        [message(1.0, 2.0), message(3.0, 7.0, busy=1)], lambda begin, end: 3.5 if begin == 3.0 else 0.0
    )
    assert (found["wait_ms_most"], found["busy"], found["unanswered"]) == (1000.0, 1, 0)


def test_holds_that_are_too_long_are_told_without_what_the_machine_took() -> None:
    when = datetime.fromtimestamp(1_000.0, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = f"timestamp={when} level=warning event=stood_still_long group=users partition=3 ms={{}}\n"
    logs = ["timestamp=t event=other ms=9000\n" + line.format(700), line.format(31_000)]
    assert long_holds(logs, AT_EASE) == [700, 31_000]
    stopped = Machine(lost=lambda begin, end: 30.6 if begin < 970.0 else 0.0, offset=0.0, busy=False)
    assert long_holds(logs, stopped) == [700]
    assert long_holds(logs, AT_EASE, [Span("SPLIT", 999.0, 1_001.0)]) == []
    assert long_holds(logs, AT_EASE, [Span("SPLIT", 990.0, 999.0)]) == [700, 31_000]


def test_a_sender_waits_for_a_move_no_longer_than_a_hold_and_what_it_takes_anyway() -> None:
    spans = [Span("ASSIGN", 10.0, 20.0), Span("KILL", 30.0, 40.0)]
    calm = [message(n, n + 0.1) for n in range(9)]
    held = message(11.0, 11.55)
    killed = message(31.0, 34.0)
    found = waits([*calm, held, killed], spans, AT_EASE)
    assert (found["nothing"]["messages"], found["KILL"]["wait_ms_most"]) == (9, 3000.0)
    assert held_talk(found) == []
    found = waits([*calm, message(11.0, 11.65)], spans, AT_EASE)
    assert held_talk(found) == ["ASSIGN: a sender waited for 650.0 ms, more than 600"]


def test_what_was_sent_while_something_was_done_waited_for_that_and_not_for_what_came_next() -> None:
    spans = [
        Span("CUT", 10.0, 25.0),
        Span("ASSIGN", 26.0, 40.0),
        Span("CUT", 50.0, 60.0),
        Span("MOVE", 61.0, 62.0),
    ]
    cut, again, between = message(11.0, 26.5), message(59.0, 61.5), message(25.5, 26.75)
    found = waits([message(1, 1.1), cut, again, between], spans, AT_EASE)
    assert {name: (one["messages"], one["wait_ms_most"]) for name, one in found.items()} == {
        "nothing": (1, 100.0), "CUT": (2, 15_500.0), "ASSIGN": (1, 1_250.0), "MOVE": (0, 0.0),
    }  # fmt: skip


def cut_of(*sent: Message) -> list[str]:
    cut = Cut(Span("north", 10.0, 24.0), (frozenset({ALICE, BOB}), frozenset({CAROL, DAVE})))
    there = Message(CAROL, DAVE, 12.0, 12.1, 0)
    return cost_of_cut(of_cut([there, *sent], cut, AT_EASE), usual_ms=100.0)


def test_a_cut_costs_nobody_inside_anything() -> None:
    assert cut_of(message(11, 11.1)) == []
    assert "within a cluster waited" in cut_of(message(11, 11.7))[0]
    assert "1 within a cluster were told busy" in cut_of(message(11, 11.1, busy=1))[0]
    assert cut_of() == ["north was cut off, and within a cluster nobody talked: that proves nothing of it"]
    assert cut_of(message(11, 11.1), message(5, 10.1)) == [], "that was sent before it"


def test_senders_across_a_cut_are_told_busy_or_else_it_is_silent() -> None:
    inside = message(11, 11.1)
    assert cut_of(inside, message(11, 26, to=CAROL, busy=2)) == []
    assert cut_of(inside, message(11, 26, to=CAROL), message(12, 26, to=CAROL, busy=1)) == [], (
        "a pair is told once"
    )
    assert "1 pairs were told nothing" in cut_of(inside, message(11, 26, to=CAROL))[0]
    assert cut_of(inside, message(22, 26, to=CAROL)) == [], "that is too soon to say anything"
