"""The figures of a storm, its pairs, and a phone of it: on made-up times, without a node."""

from collections.abc import Sequence
from random import Random

import pytest

from client.settings import Settings
from node.wire import verbs
from node.wire.codec import encode
from ops.bench import storm_figures as figures
from ops.bench.session import LoadError
from ops.bench.storm import Load, pairs_of
from ops.bench.storm_line import AWAY, OPEN, Place
from ops.bench.storm_phone import StormPhone
from ops.bench.storm_plan import Refusal, Return, Told

S = 1_000_000


def test_a_rate_is_the_most_within_any_second() -> None:
    assert figures.rate_max([]) == 0
    assert figures.rate_max([0, S - 1, S, 5 * S]) == 2
    assert figures.rate_max([600_000, 700_000, S + 500_000, 900_000, 9 * S]) == 4


def test_seconds_are_counted_from_the_loss() -> None:
    assert figures.each_second([], 0) == []
    assert figures.each_second([10 * S, 10 * S + 5, 12 * S], 10 * S) == [2, 0, 1]


def test_returns_are_told_by_time_and_node_and_refusal() -> None:
    returns = [
        Return(1, 10 * S, 12 * S, 71, 1, 11 * S, 0),
        Return(2, 10 * S, 16 * S, 72, 3, 12 * S, 1, (Refusal(13 * S, 2_000, 32), Refusal(15 * S, 0, 0))),
        Return(3, 11 * S, 0, 0, 1, 0, 0),
    ]
    found = figures.returning(returns, 10 * S)
    assert (found["phones"], found["back"], found["unanswered"], found["refusals"]) == (3, 2, 1, 2)
    assert found["refusals_without_a_time"] == 1
    assert found["back_each_s"] == [0, 0, 1, 0, 0, 0, 1]
    assert (found["back_s"]["first"], found["back_s"]["last"]) == (2.0, 6.0)
    assert found["login_s"]["last"] == 4.0
    assert (found["tries_per_s_max"], found["back_per_s_max_of_a_node"]) == (1, 1)
    assert found["refusals_by_code"] == {"32": 1, "0": 1}


def test_messages_are_told_by_when_they_were_sent_and_to_whom() -> None:
    messages = [Told(1, 5, 1_005, 2_005), Told(1, 15, 4_015, 0), Told(2, 25, 0, 0)]
    found = figures.latencies(messages, figures.Window(10, 20), lambda one: "a" if one.sender == 1 else "b")
    assert found["a"]["before"]["accepted_ms"] == {"p50": 1.0, "p99": 1.0, "max": 1.0}
    assert found["a"]["during"]["delivered_ms"] == {"p50": None, "p99": None, "max": None}
    assert found["b"]["after"]["messages"] == 1
    assert figures.lost_messages(messages) == {
        "messages": 3, "accepted_and_not_delivered": 1, "not_accepted": 1,
    }  # fmt: skip


def test_half_of_the_pairs_are_of_partitions_that_are_lost() -> None:
    pairs = pairs_of(range(20), lambda user: user >= 10, 4)
    assert [(one >= 10, two >= 10) for one, two in pairs] == [(False, False), (True, True)] * 2
    assert len({user for pair in pairs for user in pair}) == 8
    with pytest.raises(
        LoadError, match=r"of 20 users who may write, 1 have .* 2 and 3 pairs of them are wanted"
    ):
        pairs_of(range(20), lambda user: user >= 19, 5)


def test_more_users_may_write_where_many_nodes_share_the_partitions() -> None:
    """One of sixteen nodes is lost: of twelve users for each writer, a quarter of these would have had to be there."""
    load = Load(16, 100, 0.5, 40, 1.0, 100, 1.0, 60.0)
    assert (load.users - load.sessions) / load.nodes > load.busy


class Seen:
    """What a phone tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return lambda *_: self.told.append(name)


class Wire:
    """A socket that takes everything and has what it is given."""

    def __init__(self) -> None:
        self.to_read = b""

    def send(self, data: bytes) -> int:
        return len(data)

    def recv(self, _: int) -> bytes:
        return self.to_read

    def close(self) -> None:
        pass


def on_line(frames: Sequence[tuple[object, ...]], seen: Seen, spread: float) -> StormPhone:
    """A phone whose node has said this, and is gone."""
    phone = StormPhone(Place(7, 71, [71], Settings(cut_spread=spread), Random(1), seen))
    wire = Wire()
    phone.sock, phone.state = wire, OPEN  # type: ignore[assignment]
    phone.open(1.0)
    for frame in frames:
        wire.to_read = encode(frame)
        phone.ready(1.0, readable=True)
    if phone.state == OPEN:
        wire.to_read = b""
        phone.ready(1.0, readable=True)
    return phone


HELLO = (verbs.HELLO, 1, (), bytes(32), 65_536, 64, "node")


def test_a_phone_that_is_cut_off_spreads_its_return_and_one_that_is_told_a_time_keeps_it() -> None:
    seen = Seen()
    phone = on_line([HELLO, (verbs.LOGIN, 0, 7, 0)], seen, 1e6)
    assert phone.state == AWAY
    assert "online" in seen.told
    assert phone.due is not None
    assert phone.due > 100.0
    seen = Seen()
    phone = on_line([HELLO, (verbs.ERROR, 32, "many", 8_000, None)], seen, 1e6)
    assert "put_off" in seen.told
    assert phone.due is not None
    assert 9.0 <= phone.due <= 11.0
