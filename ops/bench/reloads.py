"""`bench reload`: how long a node stands still when its code is replaced, with sessions and messages on it, and whether
messages wait or memory grows.

The node runs from a copy of this program; each reload changes the code of sessions, router and mailbox in it. Two
pauses are told: the node's own (`pause_ms`), and what phones notice of it (`send_to_deliver_ms`, beside the same
without reloads). This module must never know a protocol, nor how code is replaced.
"""

import importlib.metadata
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from attrs import asdict, frozen
from cyclopts import App, Parameter
from cyclopts.validators import Number

from admin.channel.client import Client, Target
from admin.reload.service import UNDOS_MAX
from node.accounts.provision import provision
from ops.bench.comparison import terminated_as_interrupted
from ops.bench.exchange import NotAllArrivedError
from ops.bench.fleet import Fleet, Mark, pairs_shape
from ops.bench.identities import number_of, public_key, stream_of
from ops.bench.node_process import NodeProcess, free_ports
from ops.bench.places import Directory
from ops.bench.plan import Plan
from ops.bench.reload_verdict import broken, growth_of
from ops.bench.revisions import Revisions
from ops.bench.sampling import allow_files, machine, settle
from ops.bench.screen import Screen, print_result
from ops.bench.server import LIMITS_OFF

app = App(name="reload", help="How long a node stands still when its code is replaced.")

LOGIN_SECONDS_MAX: Final = 0.2
"""For each login, on average: a limit for hopeless cases."""
_LOGINS_PARALLEL: Final = 64
_FILES_SPARE: Final = 400
_PER_GENERATOR: Final = 5_000
_UNDISTURBED_SECONDS: Final = 3.0
_FINISH_SECONDS_MAX: Final = 60.0
_BODY_BYTES: Final = 120
APPLY: Final = ("reload", "apply", "--watch", "0s")
ROLLBACK: Final = ("reload", "rollback")


@frozen
class Load:
    """idle, busy: sessions. rate: messages a second of the busy ones."""

    idle: int
    busy: int
    rate: float


@frozen
class Stand:
    """A node of revisions, with sessions on it."""

    node: NodeProcess
    config: dict[str, dict[str, Any]]
    port: int
    revisions: Revisions
    admin: Client
    idle: Fleet
    busy: Fleet


def measure(load: Load, reloads: int, directory: Path, screen: Screen) -> dict[str, Any]:
    """
    Args:
        reloads: in a row.

    Raises:
        LoadError: a session was closed, or it took too long.
        NotAllArrivedError: messages were lost or repeated.
        Refused: a reload was.
    """
    with stand_of(load, directory, screen) as stand:
        settle(stand.node)
        return reloaded(stand, reloads, screen)


def reloaded(
    stand: Stand, reloads: int, screen: Screen, undisturbed_seconds: float = _UNDISTURBED_SECONDS
) -> dict[str, Any]:
    """On a stand where nobody sends yet, and nobody at the end. As `measure` otherwise."""
    stand.busy.begin()
    time.sleep(undisturbed_seconds / 3)
    stand.busy.mark()
    time.sleep(undisturbed_seconds)
    quiet, memory = stand.busy.mark(), [stand.node.memory().anonymous]
    done = []
    with screen.phase("reloading", reloads) as phase:
        for number in range(1, reloads + 1):
            stand.revisions.revise(number)
            done.append(stand.admin.ask(APPLY))
            memory.append(stand.node.memory().anonymous)
            phase.show(number, f"{done[-1]['pause_ms']:.2f} ms")
    under = stand.busy.mark()
    undone = min(len(done), UNDOS_MAX)
    with screen.phase("rolling back", undone):
        back = [stand.admin.ask(ROLLBACK)["pause_ms"] for _ in range(undone)]
    all_arrived(stand)
    figures = stand.admin.ask(("stats", "hub"))
    pauses = _pauses("pause_ms", [one["pause_ms"] for one in done])
    delays, undisturbed = (one.to_deliver.summary_ms() for one in (under, quiet))
    return {
        **pauses,
        **_pauses("swap_ms", [one["swap_ms"] for one in done]),
        **_pauses("rollback_pause_ms", back),
        "functions_changed": sum(len(one["changed"]) for one in done[0]["modules"]),
        "reloads": len(done),
        "sessions": figures["connections"],
        "closed": sum(figures["closed"].values()),
        "send_to_deliver_ms": delays,
        "send_to_deliver_without_reloads_ms": undisturbed,
        "messages_per_s": _rate(quiet, under),
        **growth_of(memory),
        "memory_bytes": memory,
        "broken": broken(pauses["pause_ms_max"], delays, undisturbed, memory),
    }


def _pauses(name: str, values: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p50": statistics.median(values), f"{name}_max": max(values)}


def _rate(before: Mark, after: Mark) -> float:
    return (after.counts.receipted - before.counts.receipted) / (after.at - before.at)


def all_arrived(stand: Stand) -> None:
    """Send no more, and wait for what is under way.

    Raises:
        LoadError: a session was closed, or it took too long.
        NotAllArrivedError: messages were lost or repeated.
    """
    stand.busy.end()
    last = stand.busy.wait(
        lambda counts: counts.receipted >= counts.sent,
        lambda _: None,
        _FINISH_SECONDS_MAX,
        "the last receipts",
    )
    stand.idle.counts()  # raises if a session was closed
    if last.delivered != last.sent or last.repeated:
        raise NotAllArrivedError(f"{last}")


@contextmanager
def stand_of(load: Load, directory: Path, screen: Screen, spare: int = 0) -> Iterator[Stand]:
    """Everybody is logged in, and nobody sends.

    Args:
        spare: accounts more, behind the others.
    """
    users = load.idle + load.busy
    data, revisions = directory / "data", Revisions(directory / "code")
    provision(
        data, [(number_of(index), public_key(index), stream_of(index)) for index in range(users + spare)]
    )
    public, plain = free_ports(2)
    config: dict[str, dict[str, Any]] = {
        "node": {"data": data},
        "listen": {"host": "127.0.0.1", "port": public, "plain_port": plain},
        "mail": dict(LIMITS_OFF),
    }
    seconds_max = 30 + users * LOGIN_SECONDS_MAX
    with (
        NodeProcess.start(config, directory / "node", environment=revisions.environment) as node,
        Fleet.of(_plan(plain, load.busy, load.rate), 1) as busy,
        Fleet.of(_plan(plain, users, 0), -(-load.idle // _PER_GENERATOR)) as idle,
        Client(Target.find(str(data))) as admin,
    ):
        with screen.phase("logging in", users) as phase:
            busy.connect(0, load.busy, lambda counts: phase.show(counts.connected), seconds_max)
            idle.connect(
                load.busy, users, lambda counts: phase.show(load.busy + counts.connected), seconds_max
            )
        yield Stand(node, config, plain, revisions, admin, idle, busy)


def _plan(port: int, users: int, rate: float) -> Plan:
    return Plan(
        dialect="waystation",
        host="127.0.0.1",
        port=port,
        tls=False,
        shape=pairs_shape(users, 1),
        window=0 if rate else 1,
        rate=rate,
        body_bytes=_BODY_BYTES,
        flight="receipted",
        logins_parallel=_LOGINS_PARALLEL,
    )


@app.default
def command(
    *,
    idle: Annotated[int, Parameter(validator=Number(gte=2), help="Idle sessions; an even number.")] = 10_000,
    busy: Annotated[
        int, Parameter(validator=Number(gte=2), help="Sessions that send; an even number.")
    ] = 500,
    rate: Annotated[float, Parameter(validator=Number(gt=0), help="Messages a second of all of them.")] = 500,
    reloads: Annotated[int, Parameter(validator=Number(gte=1, lte=1_000), help="Reloads in a row.")] = 10,
    directory: Directory = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Replace the code of sessions, router and mailbox in a node, again and again.

    Exit status: 1 if the loop stood still for more than 20 ms, a message took more than 100 ms, or memory went on
    growing after the first 20 reloads (judged from 36 on); 0 if not.
    """
    load = Load(idle + idle % 2, busy + busy % 2, rate)
    allow_files(load.idle + load.busy + _FILES_SPARE)
    with (
        terminated_as_interrupted(),
        tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=directory) as folder,
    ):
        result = measure(load, reloads, Path(folder), Screen())
    if not as_json:
        del result["memory_bytes"]
    about = {"version": importlib.metadata.version("waystation"), "machine": machine()}
    print_result(
        {"benchmark": "reload", "settings": {**asdict(load), "reloads": reloads}, **result, **about},
        as_json=as_json,
    )
    for cause in result["broken"]:
        sys.stderr.write(f"waystation: {cause}\n")
    if result["broken"]:
        sys.exit(1)
