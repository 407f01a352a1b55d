"""The hub as a Trio task: sleeping, waking, and sharing the thread."""

from __future__ import annotations

import os
import threading

import pytest
import trio
import trio.testing

from node.hub.errors import HubFull
from node.hub.hub import Hub
from node.hub.settings import HubSettings, ListenerSettings
from tests.node.hub.echo import EchoHandler, framed
from tests.node.hub.running import Running, read


async def test_an_echo(running):
    stream = await running.connect()
    for number in range(100):
        frame = framed(b"%d" % number)
        await stream.send_all(frame)
        assert await read(stream, len(frame)) == frame


async def test_a_write_from_another_task_goes_out(running):
    """Nobody tells the hub but the write itself."""
    stream = await running.connect()
    await trio.testing.wait_all_tasks_blocked()
    assert running.hub.asleep
    running.handler.open[0].write(b"from outside")
    assert not running.hub.asleep
    assert await read(stream, 12) == b"from outside"


async def test_a_close_from_another_task(running):
    stream = await running.connect()
    await trio.testing.wait_all_tasks_blocked()
    running.handler.open[0].close("outside")
    assert not running.hub.asleep
    assert await stream.receive_some() == b""
    assert running.handler.ends[0][1] == "outside"


async def test_soon_wakes_a_sleeping_hub(running):
    await trio.testing.wait_all_tasks_blocked()
    called = trio.Event()
    running.hub.soon(called.set)
    assert not running.hub.asleep
    await called.wait()


async def test_soon_from_another_thread(running):
    await trio.testing.wait_all_tasks_blocked()
    called, count = trio.Event(), 0

    def step():
        nonlocal count
        count += 1
        if count == 1_000:
            called.set()

    def many():
        for _ in range(250):
            running.hub.soon(step)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    await called.wait()
    for thread in threads:
        thread.join()
    assert running.hub.statistics().soon_waiting == 0


async def test_soon_within_soon_is_the_next_pass(running):
    passes = []
    done = trio.Event()

    def first():
        passes.append(running.hub.statistics().passes)
        running.hub.soon(second)

    def second():
        passes.append(running.hub.statistics().passes)
        done.set()

    running.hub.soon(first)
    await done.wait()
    assert passes[1] == passes[0] + 1


async def test_soon_is_bounded():
    hub = Running(soon_max=3).hub
    for _ in range(3):
        hub.soon(lambda: None)
    with pytest.raises(HubFull, match="soon_max"):
        hub.soon(lambda: None)
    hub.close()


async def test_a_watched_descriptor(running):
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    seen, called = [], trio.Event()

    def ready():
        seen.append(os.eventfd_read(fd))
        called.set()

    watch = running.hub.watch(fd, ready)
    await trio.testing.wait_all_tasks_blocked()
    await trio.to_thread.run_sync(os.eventfd_write, fd, 7)
    await called.wait()
    assert seen == [7]
    running.hub.unwatch(watch)
    os.eventfd_write(fd, 1)
    await trio.testing.wait_all_tasks_blocked()
    assert seen == [7]
    os.close(fd)


async def test_what_a_watch_answers_goes_out_in_the_same_pass(running):
    stream = await running.connect()
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    passes = []

    def ready():
        os.eventfd_read(fd)
        passes.append(running.hub.statistics().passes)
        running.handler.open[0].write(b"settled")

    watch = running.hub.watch(fd, ready)
    os.eventfd_write(fd, 1)
    assert await read(stream, 7) == b"settled"
    assert running.hub.statistics().passes == passes[0]
    running.hub.unwatch(watch)
    os.close(fd)


async def test_what_a_watch_raises_ends_the_hub():
    made = Running()
    fd = os.eventfd(1, os.EFD_NONBLOCK)

    def fail():
        raise RuntimeError("the store is gone")

    made.hub.watch(fd, fail)
    with pytest.raises(RuntimeError, match="the store is gone"):
        await made.hub.run()
    assert made.hub._pollset.epoll.closed
    os.close(fd)


async def test_wake_at_brings_about_a_pass(running):
    done = trio.Event()

    def end_pass():
        wake = running.handler.wake
        if wake is not None and running.hub._clock() >= wake:
            running.handler.wake = None
            done.set()

    running.handler.end_pass = end_pass
    running.handler.wake = running.hub._clock() + 0.005
    running.hub.soon(lambda: None)
    await done.wait()


async def test_others_have_their_turn_while_the_hub_is_busy(nursery):
    made = Running(turn_ms_max=0.1)

    def again():
        made.hub.soon(again)

    made.hub.soon(again)
    await nursery.start(made.hub.run)
    for _ in range(50):
        await trio.lowlevel.checkpoint()
    assert made.hub.statistics().turns >= 25
    nursery.cancel_scope.cancel()


async def test_large_inputs_do_not_make_a_pass_endless():
    """Each frame costs the handler a (fake) millisecond: after 5 the rest of the batch waits."""
    now = 0.0

    class Slow(EchoHandler):
        def frame(self, connection, frame):
            nonlocal now
            now += 0.001

    handler = Slow()
    hub = Hub(HubSettings(turn_ms_max=5.0), handler, lambda: now)
    listener = hub.listen(ListenerSettings())
    streams = [await trio.open_tcp_stream(*listener.address) for _ in range(10)]
    while len(handler.open) < 10:
        hub.turn()
    for stream in streams:
        await stream.send_all(framed(bytes(996)) * 6)
    before = now
    hub.turn()
    assert hub.statistics().batches.most <= 11
    assert now - before <= 0.013, "one connection's input beyond the limit at most"
    while now - before < 0.0599:
        hub.turn()
    for stream in streams:
        await stream.aclose()
    hub.close()


async def test_cancelled_it_lets_go_of_everything(transport):
    async with trio.open_nursery() as nursery:
        made = Running(transport)
        await nursery.start(made.hub.run)
        stream = await made.connect()
        fd = made.handler.open[0].fd
        nursery.cancel_scope.cancel()
    assert [reason for _, reason in made.handler.ends] == ["stopped"]
    with pytest.raises(OSError):
        os.fstat(fd)
    assert made.hub._pollset.epoll.closed
    await trio.aclose_forcefully(stream)


async def test_two_hubs_share_a_port(nursery):
    first = Hub(HubSettings(), EchoHandler())
    listener = first.listen(ListenerSettings(reuse_port=True))
    second = Hub(HubSettings(), EchoHandler())
    second.listen(ListenerSettings(port=listener.address[1], reuse_port=True))
    own = second.listen(ListenerSettings(name="own"))
    await nursery.start(first.run)
    await nursery.start(second.run)
    streams = [await trio.open_tcp_stream(*listener.address) for _ in range(64)]
    streams.append(await trio.open_tcp_stream(*own.address))
    for stream in streams:
        await stream.send_all(framed(b"x"))
        assert await read(stream, 5) == framed(b"x")
    counts = first.statistics().connections, second.statistics().connections
    assert sum(counts) == 65
    assert min(counts) > 0
    for stream in streams:
        await stream.aclose()
    nursery.cancel_scope.cancel()


async def test_a_taken_port_is_named():
    made = Running()
    port = made.listener.address[1]
    with pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{port}"):
        made.hub.listen(ListenerSettings(port=port))
    made.hub.close()


def test_memory_is_given_back_after_a_mass_disconnect(make_rig):
    rig = make_rig(settings=HubSettings(trim_after_closes=20))
    peers = [rig.connect() for _ in range(25)]
    for peer in peers:
        peer.close()
    rig.pump(lambda: len(rig.ends()) == 25)
    rig.seconds(1)
    assert rig.hub.statistics().trims == 0, "while the wave lasts there is more to come"
    rig.seconds(1)
    assert rig.hub.statistics().trims == 1
    rig.seconds(10)
    assert rig.hub.statistics().trims == 1
