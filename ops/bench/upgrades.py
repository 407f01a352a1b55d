"""`bench upgrade`: how long plain connections stand still when a node's process is replaced by a new one.

Each upgrade starts a new process of the same code, which takes the connections, sessions and ports over. Two pauses are
told: from when connections are held to when the successor may serve (`pause_ms`), and what phones notice of it
(`send_to_deliver_ms`, beside the same without). And whether the port was ever closed to somebody who connects. This
module must never know a protocol, nor how connections are handed over.
"""

import contextlib
import importlib.metadata
import os
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from admin.channel.client import Client, Target
from admin.channel.errors import ChannelError
from ops.bench.comparison import terminated_as_interrupted
from ops.bench.places import Directory
from ops.bench.reloads import Load, Stand, all_arrived, stand_of
from ops.bench.sampling import allow_files, machine
from ops.bench.screen import Screen, print_result

app = App(name="upgrade", help="How long a node stands still when its process is replaced.")

_UNDISTURBED_SECONDS: Final = 3.0
_FILES_SPARE: Final = 400
_CONNECT_SECONDS_MAX: Final = 30.0
_ANSWER_SECONDS_MAX: Final = 30.0
_ENDED_SECONDS_MAX: Final = 30.0
UPGRADE: Final = ("upgrade", "--retry", "1s")


class Connecting:
    """Connects to a port, again and again, in a thread: is it ever closed?"""

    def __init__(self, port: int) -> None:
        self.connected = 0
        self.refused = 0
        self.ms_max = 0.0
        self._port = port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Connecting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.005):
            began = time.monotonic()
            try:
                socket.create_connection(("127.0.0.1", self._port), _CONNECT_SECONDS_MAX).close()
            except OSError:
                self.refused += 1
            else:
                self.connected += 1
                self.ms_max = max(self.ms_max, (time.monotonic() - began) * 1000)


def ask(stand: Stand, *words: str) -> Any:
    """See `asked`."""
    return asked(stand.config["node"]["data"], *words)


def asked(data: Path, *words: str) -> Any:
    """As soon as the channel answers: between two processes it doesn't, for a moment.

    Raises:
        Refused
        ChannelError: it doesn't answer any more.
    """
    until = time.monotonic() + _ANSWER_SECONDS_MAX
    while True:
        try:
            with Client(Target.find(str(data))) as admin:
                return admin.ask(words)
        except ChannelError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def upgraded(stand: Stand) -> dict[str, Any]:
    """Replace the process; returns when the new one answers.

    Raises:
        Refused: the old one serves on.
    """
    return succeeded(stand.config["node"]["data"], *UPGRADE)


def succeeded(data: Path, *words: str) -> dict[str, Any]:
    """The same by other words; of a node by its directory."""
    done: dict[str, Any] = asked(data, *words)
    while asked(data, "info")["pid"] != done["pid"]:
        time.sleep(0.05)
    return done


@contextmanager
def ended_afterwards(stand: Stand) -> Iterator[None]:
    """The process that serves at the end isn't the one that was started, and is ended, too."""
    try:
        yield
    finally:
        pid = ask(stand, "info")["pid"]
        if pid != stand.node.pid:
            os.kill(pid, signal.SIGTERM)
            until = time.monotonic() + _ENDED_SECONDS_MAX
            with contextlib.suppress(ProcessLookupError):
                while time.monotonic() < until:
                    os.kill(pid, 0)
                    time.sleep(0.05)
                os.kill(pid, signal.SIGKILL)


def measure(load: Load, upgrades: int, directory: Path, screen: Screen) -> dict[str, Any]:
    """
    Args:
        upgrades: one after the other.

    Raises:
        LoadError: a session was closed, or it took too long.
        NotAllArrivedError: messages were lost or repeated.
        Refused: an upgrade failed.
    """
    with stand_of(load, directory, screen) as stand, ended_afterwards(stand), Connecting(stand.port) as port:
        stand.busy.begin()
        time.sleep(1.0)
        stand.busy.mark()
        time.sleep(_UNDISTURBED_SECONDS)
        quiet = stand.busy.mark()
        done = []
        with screen.phase("upgrading", upgrades) as phase:
            for number in range(1, upgrades + 1):
                done.append(upgraded(stand))
                phase.show(number, f"{done[-1]['pause_ms']:.0f} ms")
        under = stand.busy.mark()
        all_arrived(stand)
    pauses = [one["pause_ms"] for one in done]
    return {
        "pause_ms_p50": statistics.median(pauses),
        "pause_ms_max": max(pauses),
        "handed_over": [one["connections"] for one in done],
        "upgrades": len(done),
        "connects": port.connected,
        "connects_refused": port.refused,
        "connect_ms_max": port.ms_max,
        "send_to_deliver_ms": under.to_deliver.summary_ms(),
        "send_to_deliver_without_upgrades_ms": quiet.to_deliver.summary_ms(),
    }


@app.default
def command(
    *,
    idle: Annotated[int, Parameter(validator=Number(gte=2), help="Idle sessions; an even number.")] = 10_000,
    busy: Annotated[
        int, Parameter(validator=Number(gte=2), help="Sessions that send; an even number.")
    ] = 500,
    rate: Annotated[float, Parameter(validator=Number(gt=0), help="Messages a second of all of them.")] = 500,
    upgrades: Annotated[
        int, Parameter(validator=Number(gte=1, lte=1_000), help="Upgrades, one after the other.")
    ] = 3,
    nodes: Annotated[
        int,
        Parameter(validator=Number(gte=1, lte=16), help="Members of a cluster; 1: a node that stands alone."),
    ] = 1,
    directory: Directory = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Replace a node's process with plain sessions and messages on it; of a cluster, of one member after another."""
    load = Load(idle + idle % 2, busy + busy % 2, rate)
    allow_files(load.idle + load.busy + _FILES_SPARE)
    with (
        terminated_as_interrupted(),
        tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=directory) as folder,
    ):
        if nodes == 1:
            result = measure(load, upgrades, Path(folder), Screen())
        else:
            from ops.bench import upgrades_cluster

            result = upgrades_cluster.measure(load, upgrades, nodes, Path(folder), Screen())
    about = {"version": importlib.metadata.version("waystation"), "machine": machine()}
    settings = {"idle": load.idle, "busy": load.busy, "rate": load.rate, "upgrades": upgrades,
        "nodes": nodes,
    }  # fmt: skip
    print_result({"benchmark": "upgrade", "settings": settings, **result, **about}, as_json=as_json)
