"""Generator processes against a stand-in for a node: all arrives, rules of the protocol are kept, faults are told."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from ops.bench import exchange, waiting
from ops.bench.exchange import Exchange, NotAllArrivedError
from ops.bench.fleet import Fleet, pairs_shape
from ops.bench.node_process import NodeProcess, free_ports
from ops.bench.plan import Counts, Plan, Shape
from ops.bench.screen import Screen
from ops.bench.server import Server
from ops.bench.session import LoadError
from ops.bench.waiting import Waiting

FAKE = (sys.executable, str(Path(__file__).with_name("fake_node.py")))
ONLINE = Exchange(users=6, window=5, seconds=0.3, warm_up_seconds=0.1)

Start = Callable[..., AbstractContextManager[Server]]


@pytest.fixture
def node(tmp_path: Path) -> Start:
    @contextmanager
    def start(trick: str = "") -> Iterator[Server]:
        (port,) = free_ports(1)
        config = {"listen": {"plain_port": port}, "fake": {"trick": trick}}
        with NodeProcess.start(config, tmp_path, command=FAKE) as process:
            yield Server("waystation", port, False, process, tmp_path, {"name": "fake"})

    return start


def plan(server: Server, **changes: Any) -> Plan:
    return evolve(Exchange(users=4, window=3).plan(server), **changes)


def nothing(_: Counts) -> None:
    pass


@pytest.mark.parametrize("generators", [1, 2])
@pytest.mark.parametrize("partners", [1, 2])
def test_what_is_sent_online_is_delivered_and_receipted(node: Start, generators: int, partners: int) -> None:
    with node() as server:
        wanted = evolve(ONLINE, generators=generators, partners=partners)
        result = exchange.measure(server, wanted, Screen())
    assert result["messages"] > 100
    assert result["node_cpu_us_per_message"] > 0
    assert result["generator"]["processes"] == generators
    assert result["resent"] == result["disordered"] == 0
    for latency in ("send_to_deliver_ms", "send_to_accepted_ms", "send_to_receipted_ms"):
        assert 0 < result[latency]["p50"] <= result[latency]["p99"] <= result[latency]["p99.9"]


def test_an_open_loop_sends_at_its_rate(node: Start) -> None:
    with node() as server:
        result = exchange.measure(server, evolve(ONLINE, rate=400, seconds=1), Screen())
    assert result["messages"] == pytest.approx(400, rel=0.1)


def test_mail_for_those_absent_is_stored_and_then_drained(node: Start) -> None:
    with node() as server:
        wanted = Waiting(senders=4, recipients=6, partners=6, window=5, messages=500, generators=2)
        result = waiting.measure(server, wanted, Screen())
    assert result["messages"] == result["store"]["messages"] == 500
    assert result["pairs"] == 24
    assert result["drain"]["logins"] == 6
    assert result["node_cpu_us_per_message"] == pytest.approx(
        result["store"]["node_cpu_us_per_message"] + result["drain"]["node_cpu_us_per_message"]
    )


def test_a_window_is_never_exceeded(node: Start) -> None:
    with node() as server, Fleet.of(plan(server, window=7, shape=Shape(2, 1, 1)), 1) as fleet:
        fleet.connect(0, 2, nothing, 10)  # nobody receives: nothing leaves the window by a receipt
        fleet.begin()
        fleet.wait(lambda counts: counts.accepted == 14, nothing, 10, "the windows")
        assert fleet.counts().sent == 14


def test_a_number_of_messages_is_kept_exactly(node: Start) -> None:
    with node() as server, Fleet.of(plan(server), 2) as fleet:
        fleet.connect(0, 4, nothing, 10)
        fleet.begin(messages=101)
        fleet.wait(lambda counts: counts.receipted == 101, nothing, 10, "the messages")
        assert fleet.counts().sent == 101


@pytest.mark.parametrize("trick", ["gap", "busy"])
def test_what_is_refused_for_now_is_sent_again_in_order(node: Start, trick: str) -> None:
    with node(trick) as server, Fleet.of(plan(server), 1) as fleet:
        fleet.connect(0, 4, nothing, 10)
        fleet.begin(messages=80)
        last = fleet.wait(lambda counts: counts.receipted == 80, nothing, 10, "the messages")
    assert last.resent >= 4
    assert last.delivered == 80
    assert last.repeated == last.disordered == 0


def test_receipts_of_stored_messages_count_apart_from_acceptance(node: Start) -> None:
    with node("stored") as server, Fleet.of(plan(server), 1) as fleet:
        fleet.connect(0, 4, nothing, 10)
        fleet.begin(messages=60)
        fleet.wait(lambda counts: counts.receipted == 60, nothing, 10, "the messages")
        mark = fleet.mark()
    assert mark.counts.accepted == mark.counts.receipted == 60
    assert mark.to_accepted.count == mark.to_receipted.count == mark.to_deliver.count == 60


def test_a_repeated_delivery_spoils_the_run(node: Start) -> None:
    with node("twice") as server, pytest.raises(NotAllArrivedError, match="repeated=6"):
        exchange.measure(server, ONLINE, Screen())


def test_a_lost_message_spoils_the_run(node: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_FINISH_SECONDS_MAX", 0.3)
    with node("loses") as server, pytest.raises((LoadError, NotAllArrivedError)):
        exchange.measure(server, ONLINE, Screen())


def test_a_closed_session_is_told_with_its_user(node: Start) -> None:
    with node("closes") as server, pytest.raises(LoadError, match=r"user [0-5]: the server closed"):
        exchange.measure(server, ONLINE, Screen())


def test_a_login_that_is_put_off_is_tried_again(node: Start) -> None:
    with node("refuses") as server, Fleet.of(plan(server), 2) as fleet:
        fleet.connect(0, 4, nothing, 20)
        assert fleet.counts().login_retries == 8


def test_marks_give_latencies_once(node: Start) -> None:
    with node() as server, Fleet.of(plan(server), 1) as fleet:
        fleet.connect(0, 4, nothing, 10)
        fleet.begin(messages=30)
        fleet.wait(lambda counts: counts.receipted == 30, nothing, 10, "the messages")
        assert fleet.mark().to_deliver.count == 30
        assert fleet.mark().to_deliver.count == 0


def test_a_server_that_is_gone_is_told(node: Start) -> None:
    with node() as server, Fleet.of(plan(server), 1) as fleet:
        fleet.connect(0, 4, nothing, 10)
        assert isinstance(server.process, NodeProcess)
        server.process.kill()
        with pytest.raises(LoadError, match="the server closed the session"):
            fleet.wait(lambda _: False, nothing, 10, "an end")


def test_users_who_write_to_one_another_are_in_one_process(node: Start) -> None:
    with node() as server, Fleet.of(plan(server, shape=pairs_shape(9, 2)), 2) as fleet:
        fleet.connect(0, 9, nothing, 10)
        fleet.begin(messages=90)
        fleet.wait(lambda counts: counts.receipted == 90, nothing, 10, "the messages")
