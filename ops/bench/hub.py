"""`bench hub`: what the hub alone costs: CPU for one frame echoed, memory of one idle connection, CPU of an accept.

The hub runs in this process with a handler that does nothing but echo; the load comes from another process.
CPU is this process's own (user and system), so other work on the machine makes it noisy, not wrong. Nothing
above the hub takes part: sessions, wire and store have benchmarks of their own.
"""

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import trio
from attrs import frozen
from cyclopts import App, Parameter
from cyclopts.validators import Number

from node.hub.certificate import make_certificate
from node.hub.connection import Connection, Reason
from node.hub.hub import Hub
from node.hub.listener import Listener
from node.hub.settings import HubSettings, ListenerSettings
from node.hub.tls import load_tls
from ops.bench.screen import Screen, print_result

app = App(name="hub", help="Measure the hub alone: echoed frames, idle connections, accepts.")

PATIENCE_S = 3_600
SWITCH_INTERVAL_S = 0.0005  # as the node's composition root sets it


class EchoHandler:
    """Echoes frames of a four-byte length; the cheapest handler that still looks at every frame."""

    remainder_max = 1 << 20

    def __init__(self) -> None:
        self.frames = 0
        self.opened_now = 0

    def make(self, fd: int, address: str, listener: Listener) -> Connection:
        return Connection(fd, address)

    def opened(self, connection: Connection) -> None:
        self.opened_now += 1
        connection.expect(PATIENCE_S)

    def received(self, connection: Connection, data: bytes) -> int:
        used, length = 0, len(data)
        while length - used >= 4:
            end = used + 4 + int.from_bytes(data[used : used + 4], "big")
            if end > length:
                break
            connection.write(data[used:end])
            self.frames += 1
            used = end
        return used

    def closed(self, connection: Connection, reason: Reason) -> None:
        self.opened_now -= 1

    def quiet(self, connection: Connection) -> int:
        return PATIENCE_S

    def failed(self, connection: Connection, error: Exception) -> None:
        raise error

    def begin_pass(self) -> None:
        pass

    def end_pass(self) -> None:
        pass

    def wake_at(self) -> float | None:
        return None

    def refusal(self, reason: str) -> bytes:
        return reason.encode()

    def bye(self, connection: Connection, retry_ms: int) -> None:
        pass


@frozen
class Load:
    """What to measure."""

    idle: int
    active: int
    window: int
    size: int
    frames: int
    tls: bool


class Generator:
    """The load process."""

    def __init__(self, address: tuple[str, int], load: Load) -> None:
        arguments = [address[0], *map(str, (address[1], int(load.tls), load.active, load.window, load.size))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ops.bench.hub_load", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def tell(self, line: str) -> float:
        """Have it done; returns the CPU seconds it took there."""
        return await trio.to_thread.run_sync(self._tell, line)

    def _tell(self, line: str) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Let it go; it ends when its input does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def rss_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def until(done: Callable[[], bool]) -> None:
    """Look now and then whether it is done; the hub tells nobody."""
    while not done():  # noqa: ASYNC110
        await trio.sleep(0.05)


async def measure(load: Load, screen: Screen) -> dict[str, Any]:
    """Connections first, then echoes over the active ones."""
    handler = EchoHandler()
    settings = HubSettings(
        first_look_s=120,
        handshake_s_max=120,
        accepts_per_address_max=0,
        accepts_per_s_max=0,
        handshakes_per_s_max=0,
    )
    hub = Hub(settings, handler)
    with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder:
        tls = None
        if load.tls:
            files = Path(folder, "certificate.pem"), Path(folder, "key.pem")
            make_certificate(*files)
            tls = load_tls(*files)
        listener = hub.listen(ListenerSettings(tls=tls))
    generator = Generator(listener.address, load)
    result: dict[str, Any] = {}
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(hub.run)
            await generator.tell(f"open {load.active}")
            await generator.tell("echo 20")  # what is needed once isn't charged to the connections
            await trio.sleep(0.2)
            gc.collect()
            memory, cpu = rss_bytes(), time.process_time()
            with screen.phase("connecting", 1):
                await generator.tell(f"open {load.idle}")
            await until(lambda: handler.opened_now == load.active + load.idle)
            result["accept_cpu_us"] = (time.process_time() - cpu) / load.idle * 1e6
            gc.collect()
            result["bytes_per_connection"] = (rss_bytes() - memory) / load.idle
            gc.freeze()
            rounds = max(1, load.frames // (load.active * load.window))
            before, frames, cpu = hub.statistics(), handler.frames, time.process_time()
            began = time.monotonic()
            with screen.phase("echoing", 1):
                generator_cpu = await generator.tell(f"echo {rounds}")
            took = time.monotonic() - began
            cpu = time.process_time() - cpu
            frames = handler.frames - frames
            after = hub.statistics()
            result["cpu_us_per_frame"] = cpu / frames * 1e6
            result["frames"] = frames
            result["frames_per_s"] = frames / took
            result["frames_per_pass"] = frames / (after.passes - before.passes)
            result["frames_per_turn"] = frames / (after.turns - before.turns)
            result["cpu_share"] = cpu / took
            result["generator_cpu_us_per_frame"] = generator_cpu / frames * 1e6
            result["lag_us_p99"] = after.lag_us.quantile(0.99)
            await generator.tell("close")
            await until(lambda: hub.statistics().trims > 0 or load.idle < settings.trim_after_closes)
            result["bytes_kept_per_connection"] = (rss_bytes() - memory) / load.idle
            nursery.cancel_scope.cancel()
    finally:
        generator.end()
    return result


@app.default
def command(
    *,
    tls: Annotated[bool, Parameter(negative="", help="TLS 1.3 instead of plain TCP.")] = False,
    idle: Annotated[
        int, Parameter(validator=Number(gte=0), help="Idle connections, whose memory is measured.")
    ] = 5_000,
    active: Annotated[int, Parameter(validator=Number(gte=1), help="Connections that echo.")] = 500,
    window: Annotated[int, Parameter(validator=Number(gte=1), help="Frames each of them has under way.")] = 1,
    size: Annotated[int, Parameter(validator=Number(gte=1), help="Bytes of a frame.")] = 120,
    frames: Annotated[int, Parameter(validator=Number(gte=1), help="Frames to echo.")] = 100_000,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Echo frames through the hub, and hold idle connections."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    load = Load(idle=idle, active=active, window=window, size=size, frames=frames, tls=tls)
    result = trio.run(measure, load, Screen())
    print_result({"tls": tls, "idle": idle, "active": active, "window": window, **result}, as_json=as_json)
