"""A cluster of a few nodes on this machine, for a newcomer: `make cluster`. They are real nodes, started and joined as
an operator does it, in a directory of their own; killing one is what it is for. A node's file is written once: what was
changed in it since stays."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from admin.channel.client import Client, Target
from node.founding import found, join
from node.tables import STORE_DIRECTORY
from ops.clustering import place_of
from ops.config import read_config
from replication.zeromq.keys import ensure_keys
from store.directory import make_directory

NODES_MAX: Final = 8
READY_S: Final = 30.0
STOP_S: Final = 15.0
POLL_S: Final = 0.1
COMMAND: Final = (sys.executable, "-m", "ops.command")
ROOT: Final = Path(__file__).resolve().parents[1]
PORT: Final = 7101
"""For phones, of the first node; the others follow, and the nodes' own ports are so many higher:"""
LINKS_ABOVE: Final = 100
ENDS: Final = (signal.SIGTERM, signal.SIGHUP)
"""End all nodes, as Ctrl-C does: they are sessions of their own, and would outlive this process and its terminal."""

CONFIG: Final = """\
[node]
data = "data"

[listen]
port = 0
plain_port = {phones}

[cluster]
listen = "127.0.0.1:{links}"
public = "127.0.0.1:{phones}"
server = "server-{number}"
calm_ms = 3_000
moves_per_s = 100.0
moves_max = 32

[store]
map_bytes = 1_073_741_824
"""

GUIDE: Final = """
{count} nodes are one cluster now: users are spread over them, each with a copy on another one.

Talk, each in a terminal of its own, over different nodes:

    {waystation} chat --as +15551230001 --to +15551230002 --server 127.0.0.1:{first} --plain
    {waystation} chat --as +15551230002 --to +15551230001 --server 127.0.0.1:{second} --plain

Each asks for a PIN the first time, which appears here. Then look, kill a node, and see it go on:

    {waystation} cluster status {directory}/n1
    {waystation} admin {directory}/n1 alarms --all      # any member reaches all
    kill -9 {victim}                # the last one; after two seconds the others serve what it served
    {waystation} cluster status {directory}/n1
    {waystation} top --nodes {directory}

A node that was killed is started again here when you press Enter. Ctrl-C ends all.
"""


class HereError(Exception):
    """The cluster can't be started; the text says why."""


class HereNode:
    """One of the nodes. What it prints is shown, with its name before it."""

    def __init__(self, directory: Path, number: int, phones: int, links: int) -> None:
        self.name = f"n{number}"
        self.directory = directory / self.name
        self.config = self.directory / "node.toml"
        self.data = self.directory / "data"
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        if self.config.exists():
            kept = read_config(self.config)
            phones, links = kept.listen.plain_port or kept.listen.port, _port_of(kept.cluster.listen, links)
        self.number, self.phones, self.links = number, phones, links

    def prepare(self) -> None:
        """Write its file, if it has none."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.config.exists():
            self.config.write_text(CONFIG.format(number=self.number, phones=self.phones, links=self.links))

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it is."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            HereError
        """
        self._ready.clear()
        with (self.directory / "node.log").open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*COMMAND, "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        assert self._process.stdout is not None
        threading.Thread(target=self._show, args=(self._process.stdout,), daemon=True).start()
        until = time.monotonic() + READY_S
        while not self._ready.wait(POLL_S):
            if not self.is_running or time.monotonic() > until:
                tail = (self.directory / "node.log").read_text()[-600:]
                raise HereError(f"{self.name} did not start:\n{tail}")

    def _show(self, output: IO[str]) -> None:
        for line in output:
            if line.startswith("ready"):
                self._ready.set()
            with suppress(
                OSError
            ):  # the terminal is gone: it is read all the same, or the node would wait for us
                sys.stdout.write(f"{self.name}: {line}")
                sys.stdout.flush()

    def stop(self) -> None:
        """Ask it to end."""
        if self.is_running and self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Until it has; killed if that takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_here(directory: Path, count: int, port: int = PORT) -> None:
    """Until Ctrl-C, SIGTERM or SIGHUP. Members that a former run made in this directory are started again.

    Raises:
        HereError, ConfigError
    """
    nodes = [HereNode(directory, n, port + n - 1, port + LINKS_ABOVE + n - 1) for n in range(1, count + 1)]
    taken = [port for node in nodes for port in (node.phones, node.links) if _is_taken(port)]
    if taken:
        raise HereError(
            f"these ports are in use: {sorted(taken)}; stop what uses them, or choose --port for a new directory"
        )
    for node in nodes:
        node.prepare()
    ends = [number for number in ENDS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup means it
    before = {number: signal.signal(number, _interrupt) for number in ends}
    try:
        _start(nodes)
        sys.stdout.write(
            GUIDE.format(
                waystation=_shown(ROOT / ".venv" / "bin" / "waystation"),
                first=nodes[0].phones,
                second=nodes[1].phones,
                directory=_shown(directory),
                count=count,
                victim=nodes[-1].pid,
            )
        )
        sys.stdout.flush()
        _watch(nodes)
    except KeyboardInterrupt:
        with suppress(OSError):
            sys.stdout.write("\nstopping\n")
            sys.stdout.flush()
    finally:
        for node in nodes:
            node.stop()
        for node in nodes:
            node.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: object) -> None:
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)  # once is enough: a second one would end the ending
    raise KeyboardInterrupt


def _port_of(address: str, otherwise: int) -> int:
    _, _, port = address.rpartition(":")
    return int(port) if port.isdecimal() else otherwise


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _start(nodes: Sequence[HereNode]) -> None:
    """As `waystation cluster init`, `key`, `invite` and `join` do it, without a process for each."""
    first = nodes[0]
    if not (first.data / STORE_DIRECTORY).exists():
        found(first.data, "here", place_of(read_config(first.config).cluster))
    first.start()
    for node in nodes[1:]:
        if not (node.data / STORE_DIRECTORY).exists():
            make_directory(node.data)
            words = ("cluster", "invite", "--server", f"server-{node.name[1:]}", "--")
            with Client(Target.find(str(first.data))) as client:
                invited = client.ask((*words, ensure_keys(node.data).public))
            key, _, address = invited["join"].rpartition("@")  # a key may hold one, too
            join(node.data, key, address, place_of(read_config(node.config).cluster))
        node.start()


def _watch(nodes: Sequence[HereNode]) -> None:
    """Enter starts again what isn't running. Without a terminal it only waits."""
    while True:
        line = sys.stdin.readline()
        while not line:
            time.sleep(POLL_S)  # not `signal.pause`, which a signal just before it doesn't wake
        for node in nodes:
            if not node.is_running:
                sys.stdout.write(f"{node.name} is started again\n")
                node.start()


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
