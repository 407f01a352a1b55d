"""The proxy does to connections what it says, and nothing else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import trio

from ops.faults.proxy import BACK, FORTH, Proxy, obey

GIVE_UP_S = 30.0


class Bench:
    """A proxy before a server whose connections the test holds."""

    def __init__(
        self, proxy: Proxy, address: tuple[str, int], accepted: trio.MemoryReceiveChannel[trio.SocketStream]
    ):
        self.proxy = proxy
        self.address = address
        self._accepted = accepted
        self._opened: list[trio.SocketStream] = []

    async def open(self) -> trio.SocketStream:
        """Connect to the proxy."""
        self._opened.append(await trio.open_tcp_stream(*self.address))
        return self._opened[-1]

    async def accept(self) -> trio.SocketStream:
        """What the proxy has connected to its target."""
        return await self._accepted.receive()

    async def connection(self) -> tuple[trio.SocketStream, trio.SocketStream]:
        """(who connected, who was connected to)"""
        return await self.open(), await self.accept()

    async def close(self) -> None:
        for stream in self._opened:
            await trio.aclose_forcefully(stream)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    send, receive = trio.open_memory_channel[trio.SocketStream](100)

    async def serve(stream: trio.SocketStream) -> None:
        await send.send(stream)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        proxy = Proxy(("127.0.0.1", 0), listener.socket.getsockname())
        address = await nursery.start(proxy.run)
        with trio.fail_after(GIVE_UP_S):
            made = Bench(proxy, address, receive)
            yield made
            await made.close()
        nursery.cancel_scope.cancel()


async def silent(stream: trio.SocketStream) -> bool:
    """Whether nothing comes, for a while that is long on a loopback."""
    with trio.move_on_after(0.1):
        await stream.receive_some(1)
        return False
    return True


async def ended(stream: trio.SocketStream) -> str:
    try:
        while await stream.receive_some(100_000):
            pass
    except trio.BrokenResourceError:
        return "reset"
    return "end"


async def test_what_is_sent_arrives_both_ways(bench: Bench) -> None:
    opener, listener = await bench.connection()
    data = bytes(range(256)) * 4_000
    async with trio.open_nursery() as nursery:
        for source, sink in ((opener, listener), (listener, opener)):
            nursery.start_soon(source.send_all, data)
            got = b""
            while len(got) < len(data):
                got += await sink.receive_some()
            assert got == data
    assert bench.proxy.carried == {FORTH: len(data), BACK: len(data)}
    await opener.aclose()
    assert await ended(listener) == "end"
    assert bench.proxy.connections == 1


async def test_a_cut_holds_what_is_sent_until_it_heals(bench: Bench) -> None:
    opener, listener = await bench.connection()
    bench.proxy.cut()
    await opener.send_all(b"forth")
    await listener.send_all(b"back")
    assert await silent(listener)
    assert await silent(opener)
    bench.proxy.heal()
    assert await listener.receive_some() == b"forth"
    assert await opener.receive_some() == b"back"


@pytest.mark.parametrize("direction", [FORTH, BACK])
async def test_a_one_way_cut_lets_the_other_way_pass(bench: Bench, direction: str) -> None:
    opener, listener = await bench.connection()
    bench.proxy.cut(direction)
    cut, open_ = (listener, opener) if direction == FORTH else (opener, listener)
    await opener.send_all(b"x")
    await listener.send_all(b"x")
    assert await open_.receive_some() == b"x"
    assert await silent(cut)
    bench.proxy.heal()
    assert await cut.receive_some() == b"x"


async def test_who_connects_during_a_cut_hears_nothing_until_it_heals(bench: Bench) -> None:
    bench.proxy.cut()
    opener = await bench.open()
    await opener.send_all(b"hello")
    assert await silent(opener)
    bench.proxy.heal()
    listener = await bench.accept()
    assert await listener.receive_some() == b"hello"


async def test_a_delay_keeps_the_order(bench: Bench) -> None:
    opener, listener = await bench.connection()
    bench.proxy.delay(0.05)
    before = trio.current_time()
    for number in range(100):
        await opener.send_all(bytes((number,)))
    got = b""
    while len(got) < 100:
        got += await listener.receive_some()
    assert got == bytes(range(100))
    assert trio.current_time() - before >= 0.05


async def test_a_reset_is_felt_at_both_ends(bench: Bench) -> None:
    opener, listener = await bench.connection()
    await opener.send_all(b"x")
    assert await listener.receive_some() == b"x"
    bench.proxy.reset()
    assert await ended(opener) == "reset"
    assert await ended(listener) == "reset"
    assert await bench.connection(), "who comes later is carried"


async def test_refused_connections_are_reset(bench: Bench) -> None:
    bench.proxy.refuse()
    with contextlib.suppress(OSError):  # the reset may be quicker than we are
        opener = await bench.open()
        assert await ended(opener) == "reset"
    assert bench.proxy.open == 0
    bench.proxy.accept()
    assert await bench.connection()


async def test_a_forgotten_connection_is_half_open(bench: Bench) -> None:
    opener, listener = await bench.connection()
    await opener.send_all(b"x")
    assert await listener.receive_some() == b"x"
    bench.proxy.forget()
    assert await ended(listener) == "reset"
    await opener.send_all(b"into the void")
    assert await silent(opener)
    assert await bench.connection(), "who comes later is carried"


async def test_nobody_listens_behind_the_proxy() -> None:
    async with trio.open_nursery() as nursery:
        proxy = Proxy(("127.0.0.1", 0), ("127.0.0.1", 1))
        address = await nursery.start(proxy.run)
        with trio.fail_after(GIVE_UP_S), contextlib.suppress(OSError):
            async with await trio.open_tcp_stream(*address) as opener:
                assert await ended(opener) == "reset"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "line", ["cut", "cut forth", "cut back", "delay 5", "heal", "reset", "refuse", "accept", "forget"]
)
def test_a_line_is_obeyed(line: str) -> None:
    assert obey([Proxy(("127.0.0.1", 0), ("127.0.0.1", 1))], line) == "done"


@pytest.mark.parametrize("line", ["", "cut sideways", "delay soon", "delay", "run", "_serve"])
def test_another_line_is_not(line: str) -> None:
    assert obey([Proxy(("127.0.0.1", 0), ("127.0.0.1", 1))], line) == "what?"


def test_as_a_process_it_is_told_by_lines() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ops.faults.proxy", "127.0.0.1:0=127.0.0.1:1", "[::1]:0=[::1]:1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        for line in ("cut back", "heal", "nonsense"):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == ("what?\n" if line == "nonsense" else "done\n")
        process.stdin.close()
        assert process.wait(GIVE_UP_S) == 0
