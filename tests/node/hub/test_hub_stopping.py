"""A hub that stops: newcomers are refused, everybody is said bye to, and the slow ones are cut off."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from node.hub.errors import HubStopped
from tests.node.hub.running import Running, read


async def test_stop_says_bye_and_ends_run(running):
    streams = [await running.connect() for _ in range(5)]
    async with trio.open_nursery() as inner:
        inner.start_soon(running.hub.stop, 60)
        for stream in streams:
            inner.start_soon(until_bye, stream)
    assert running.hub.statistics().connections == 0
    assert [reason for _, reason in running.handler.ends] == ["stopping"] * 5
    assert len(set(running.handler.farewells)) > 1, "they are told different times"
    assert all(0 <= retry <= 30_000 for retry in running.handler.farewells)
    with pytest.raises(HubStopped):
        await running.hub.run()


async def until_bye(stream):
    assert await read(stream, 3) == b"bye"
    assert await stream.receive_some() == b""
    await stream.aclose()


async def test_stop_without_anybody(running):
    await running.hub.stop(60)
    with pytest.raises(OSError):
        await trio.open_tcp_stream(*running.listener.address)


async def test_stop_twice(running):
    stream = await running.connect()
    async with trio.open_nursery() as inner:
        inner.start_soon(running.hub.stop, 60)
        inner.start_soon(running.hub.stop, 60)
        inner.start_soon(until_bye, stream)
    await running.hub.stop(60)
    assert len(running.handler.farewells) == 1


async def test_stop_does_not_wait_for_the_stubborn(nursery):
    made = Running(linger_s_max=200)
    await nursery.start(made.hub.run)
    stream = await made.connect()
    with trio.fail_after(20):
        await made.hub.stop(0.01)
    assert made.hub.statistics().connections == 0
    assert len(made.handler.farewells) == 1
    await trio.aclose_forcefully(stream)


async def test_stop_does_not_wait_for_handshakes(nursery, server_tls):
    made = Running(server_tls)
    await nursery.start(made.hub.run)
    stream = await trio.open_tcp_stream(*made.listener.address)
    while not made.handler.made:
        await trio.testing.wait_all_tasks_blocked(0.001)
    await made.hub.stop(60)
    assert made.handler.ends == []
    await stream.aclose()


async def test_byes_are_spread_over_passes(nursery):
    made = Running(byes_per_pass_max=2)
    await nursery.start(made.hub.run)
    streams = [await made.connect() for _ in range(6)]
    counts = []
    made.handler.end_pass = lambda: counts.append(len(made.handler.farewells))
    async with trio.open_nursery() as inner:
        inner.start_soon(made.hub.stop, 60)
        for stream in streams:
            inner.start_soon(until_bye, stream)
    assert {2, 4, 6} <= set(counts)
    assert not {1, 3, 5} & set(counts)


async def test_who_waits_to_be_accepted_is_told():
    made = Running()
    stream = await trio.open_tcp_stream(*made.listener.address)
    made.hub.soon(made.hub._stopping.begin)  # before the first pass has looked at the listener
    made.hub._pollset.modify(made.listener, 0)
    await made.hub.run()
    assert await read(stream, 16) == b"refused stopping"
    await stream.aclose()
