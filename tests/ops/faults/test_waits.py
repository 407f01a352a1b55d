"""Who waited for an answer, and whether that was for the node or for a connection."""

from pathlib import Path

from ops.faults.recorder import Recorder
from ops.faults.waits import NS, Message, messages, summary
from ops.history.writer import HistoryWriter

ALICE, BOB = 15550000001, 15550000002


def test_a_message_whose_senders_connection_was_made_anew_meanwhile_is_told_apart(tmp_path: Path) -> None:
    now = [0]
    history = HistoryWriter(tmp_path / "a.jsonl", "alice", clock=lambda: now[0])
    alice, bob = Recorder(history, ALICE), Recorder(history, BOB)
    key = {"sender": ALICE, "recipient": BOB, "stream": "00" * 8}

    def at(seconds: float) -> None:
        now[0] = int(seconds * NS)

    alice.connected("127.0.0.1:1")
    for n, second in enumerate((1.0, 3.0, 9.0), 1):
        at(second)
        history.write("sent", **key, n=n, hash="0" * 16)
        at(second + 0.5)
        bob.connected("127.0.0.1:2")
        at(second + 1.0)
        if n == 2:
            alice.connected("127.0.0.1:2")
        history.write("accepted", **key, n=n, last=n, how=1)
    at(20.0)
    history.write("sent", **key, n=4, hash="0" * 16)
    at(21.0)
    alice.connected("127.0.0.1:1")
    history.close()
    found = messages(tmp_path)
    assert [one.reconnected for one in found] == [False, True, False, True]


def test_waits_of_those_who_stayed_connected_are_told_beside_all() -> None:
    some = [Message(ALICE, BOB, n, n + 0.1, 0) for n in range(98)]
    some += [Message(ALICE, BOB, 1.0, 1.3, 0), Message(ALICE, BOB, 1.0, 3.0, 0, reconnected=True)]
    found = summary(some)
    assert (found["wait_ms_p50"], found["wait_ms_p99"], found["wait_ms_most"]) == (100.0, 2_000.0, 2_000.0)
    assert (found["reconnected"], found["stayed_ms_most"]) == (1, 300.0)
    assert summary([])["stayed_ms_p99"] == 0.0
