"""The text that Prometheus reads, and the listener that gives it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from admin.statistics import sampler
from admin.statistics.exposition import render
from admin.statistics.machine import Machine
from admin.statistics.scrapes import CONNECTIONS_MAX, REQUEST_BYTES_MAX, Scrapes, listen
from admin.statistics.series import SamplerState
from node.histogram import Histogram

PROMTOOL = shutil.which("promtool")


def exposed(*figures: dict[str, Any], **more: Any) -> str:
    state = SamplerState()
    for second, one in enumerate(figures, 1):
        sampler.take(state, float(second), one)
    return render(state, **more)


def test_counters_and_levels_have_their_names_types_and_help() -> None:
    text = exposed({"mail": {"sends": 7}, "sessions": 3})
    assert (
        "# HELP waystation_mail_sends_total Messages that phones sent, repetitions included.\n"
        "# TYPE waystation_mail_sends_total counter\n"
        "waystation_mail_sends_total 7\n"
    ) in text
    assert "# TYPE waystation_sessions gauge\nwaystation_sessions 3\n" in text
    assert text.endswith("\n")


def test_what_is_counted_by_name_has_a_label_and_one_head() -> None:
    text = exposed({"hub": {"closed": {"bye": 1, 5: 2}}})
    assert text.count("# TYPE waystation_hub_closed_total counter") == 1
    assert 'waystation_hub_closed_total{reason="bye"} 1\nwaystation_hub_closed_total{reason="5"} 2\n' in text


def test_a_label_may_hold_anything() -> None:
    assert 'reason="a\\"b\\\\c\\nd"' in exposed({"hub": {"closed": {'a"b\\c\nd': 1}}})


def test_histograms_of_each_group_have_their_label_and_one_head() -> None:
    told = {"buckets": (0, 2, 1), "most": 3, "total": 5}
    text = exposed(
        {"store": {"groups": {"users": {"commit_time_us": told}, "other": {"commit_time_us": told}}}}
    )
    name = "waystation_store_groups_commit_time_seconds"
    assert text.count(f"# TYPE {name} histogram\n") == 1
    for group in ("users", "other"):
        assert f'{name}_bucket{{group="{group}",le="1e-06"}} 2\n' in text
        assert f'{name}_bucket{{group="{group}",le="+Inf"}} 3\n' in text
        assert f'{name}_sum{{group="{group}"}} 5e-06\n' in text
        assert f'{name}_count{{group="{group}"}} 3\n' in text


def test_histograms_are_cumulative_in_base_units() -> None:
    lags = Histogram()
    for number in (0, 3, 3, 900):
        lags.record(number)
    picture = lags.picture()
    text = exposed(
        {"hub": {"lag_us": {"buckets": picture.buckets, "most": picture.most, "total": picture.total}}}
    )
    found = [line for line in text.splitlines() if line.startswith("waystation_hub_lag_seconds")]
    assert found[0] == 'waystation_hub_lag_seconds_bucket{le="0"} 1'
    assert 'waystation_hub_lag_seconds_bucket{le="3e-06"} 3' in found
    assert 'waystation_hub_lag_seconds_bucket{le="0.001023"} 4' in found
    assert found[-3:] == [
        'waystation_hub_lag_seconds_bucket{le="+Inf"} 4',
        "waystation_hub_lag_seconds_sum 0.000906",
        "waystation_hub_lag_seconds_count 4",
    ]


def test_a_name_and_its_value_are_in_the_same_unit() -> None:
    text = exposed({"loop": {"late_ms": 1_500}, "reload": {"pause_ms_max": 8}})
    assert "waystation_loop_late_seconds 1.5\n" in text
    assert "waystation_reload_pause_ms_max 8\n" in text


def test_queues_and_alarms_are_there() -> None:
    waiting = [{"mail": {"pending": 3, "taken": 3}}] * 3
    text = exposed(*waiting, raised=[("lag mail", "lag")])
    assert 'waystation_queue_length{queue="mail"} 3\n' in text
    assert 'waystation_queue_age_seconds{queue="mail"} 2\n' in text
    assert 'waystation_queue_drain_seconds{queue="mail"} +Inf\n' in text
    assert 'waystation_alarm{alarm="lag mail",kind="lag"} 1\n' in text


@pytest.mark.skipif(PROMTOOL is None, reason="promtool isn't installed: apt install prometheus")
def test_prometheus_own_checker_finds_nothing_wrong(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    text = exposed(*[{"mail": {"sends": 1, "pending": 2}, "system": Machine(tmp_path).read()}] * 2)
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


# ---- the listener ------------------------------------------------------------------------------------


async def asked(request: bytes, *, end: bool = False) -> tuple[bytes, list[bool]]:
    """What a listener answers, and what it counted."""
    counted: list[bool] = []
    scrapes = Scrapes(lambda: "metrics are here\n", counted.append)
    ours, theirs = trio.testing.memory_stream_pair()
    answer = b""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scrapes.serve, theirs)
            await ours.send_all(request)
            if end:
                await ours.send_eof()
            while more := await ours.receive_some():
                answer += more
    return answer, counted


async def test_a_scrape_is_answered() -> None:
    answer, counted = await asked(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
    assert b"Content-Length: %d" % len(body) in head
    assert body == b"metrics are here\n"
    assert counted == [True]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/2\r\n\r\n", b"400"),
        (b"\x16\x03\x01 not http\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * REQUEST_BYTES_MAX, b"431"),
        (b"GET /metrics HTTP/1.1\r\n", b"400"),
    ],
)
async def test_anything_else_is_refused_and_counted(request_: bytes, status: bytes) -> None:
    answer, counted = await asked(request_, end=True)
    assert answer.split(b" ")[1] == status
    assert b"metrics" not in answer
    assert counted == [False]


async def test_no_more_are_answered_at_once_than_there_may_be(autojump_clock: trio.testing.MockClock) -> None:
    counted: list[bool] = []
    scrapes = Scrapes(lambda: "x\n", counted.append)

    async def idle() -> None:
        _, theirs = trio.testing.memory_stream_pair()
        await scrapes.serve(theirs)

    async with trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS_MAX):
            nursery.start_soon(idle)
        await trio.testing.wait_all_tasks_blocked()
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(scrapes.serve, theirs)
        assert (await ours.receive_some()).startswith(b"HTTP/1.1 503 ")
    # those who said nothing were cut off after their time, and there is room again
    assert counted == [False]
    assert scrapes._open == 0


async def test_a_scrape_that_fails_ends_its_connection_and_nothing_else() -> None:
    counted: list[bool] = []
    ours, theirs = trio.testing.memory_stream_pair()

    def broken() -> str:
        raise KeyError("figure")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Scrapes(broken, counted.append).serve, theirs)
        await ours.send_all(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert await ours.receive_some() == b""
    assert counted == [False]


async def test_it_listens_where_it_is_told(nursery: trio.Nursery) -> None:
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    nursery.start_soon(Scrapes(lambda: "x\n", lambda _: None).run, listening)
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = b""
        while more := await stream.receive_some():
            answer += more
    assert answer.endswith(b"\r\n\r\nx\n")
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", port)
