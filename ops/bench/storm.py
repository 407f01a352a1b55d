"""`waystation bench storm`: what happens when a node or a switch is lost with 10,000 sessions.

Their phones come back to the nodes that live, by the client library's own rule, while others go on writing to one
another there. Told: when they came back and how evenly, who was put off and until when, what those felt who had nothing
to do with it, what the nodes said to one another, and how long it took until everything is served from two copies.
Nodes and phones are processes of this machine and share its cores; only loopback is used. This module only turns
options into calls and figures into a result.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Final

from attrs import asdict, frozen
from cyclopts import App, Parameter
from cyclopts.validators import Number

from client.settings import Settings
from node.settings import SessionSettings
from ops.bench import storm_figures as figures
from ops.bench.comparison import terminated_as_interrupted
from ops.bench.failover import primaries
from ops.bench.identities import number_of
from ops.bench.node_process import NodeStartError
from ops.bench.places import Directory
from ops.bench.sampling import Disturbance, TooFewFilesError, allow_files, machine
from ops.bench.screen import Phase, Screen, print_result
from ops.bench.session import LoadError, now_us
from ops.bench.storm_fleet import Crowds, together
from ops.bench.storm_plan import Crowd, Order, Phone, Told
from ops.bench.storm_stage import Event, Mending, Stage, cpu_seconds, stage
from ops.faults.stage import StageError

app = App(name="storm", help="What happens when a node or a switch is lost with 10,000 sessions.")

EVENTS: Final[tuple[Event, ...]] = ("killed", "switch", "silent", "stopped")
SILENCE_S: Final = 60.0
"""How much longer a storm may last of which nobody is told: phones ask first whether the node is there."""
CANDIDATES: Final = 6
"""For each of two who write to one another, at least, so that their partitions are at the nodes that are wanted."""
CANDIDATES_EACH: Final = 3
"""… and for each node: one of many serves few of them."""
CROWD_MAX: Final = 5_000
FILES_SPARE: Final = 600
LOGINS_PARALLEL: Final = 48
LOGIN_S_MAX: Final = 120.0
BODY_BYTES: Final = 120
CALM_S: Final = 4.0
"""Before, and after."""
REST_S: Final = 10.0
"""For messages under way at the end."""
NICE: Final = 10
SPARED, TAKEN_OVER = "primary_lives", "primary_lost"
_COUNTED: Final = (
    "routing_announced_total",
    "routing_announced_again_total",
    "routing_asks_total",
    "routing_asks_again_total",
    "routing_asks_failed_total",
    "routing_busy_total",
    "routing_busy_full_total",
    "routing_choked_total",
    "logins_total",
)


@frozen
class Load:
    """sessions: idle ones. share: of them, at what is lost. busy: who write, at nodes that live. rate: messages a
    second of each of these. logins_per_s: of each node. spread: of phones that are cut off, in seconds."""

    nodes: int
    sessions: int
    share: float
    busy: int
    rate: float
    logins_per_s: int
    spread: float
    seconds_max: float

    @property
    def users(self) -> int:
        """Accounts that are needed: those who may write come after the idle ones."""
        return self.sessions + self.busy * max(CANDIDATES, CANDIDATES_EACH * self.nodes)


def crowds_of(load: Load, here: Stage, event: Event) -> tuple[list[Crowd], Callable[[Told], str]]:
    """Processes of phones, the first of those who write; and of a message whether its recipient's primary is lost."""
    doomed = {node.number for node in here.doomed(event)}
    nodes = here.town.nodes
    lost = [node.port for node in nodes if node.number in doomed]
    alive = [node.port for node in nodes if node.number not in doomed]
    ports = tuple(node.port for node in nodes)
    partition_of, claims = primaries(nodes[0].data)
    gone = {nodes[number].id for number in doomed}

    def is_lost(user: int) -> bool:
        return claims.get(partition_of(number_of(user))) in gone

    pairs = pairs_of(range(load.sessions, load.users), is_lost, load.busy // 2)
    writers = [
        Phone(user, alive[(place + side) % len(alive)], other)
        for place, (one, two) in enumerate(pairs)
        for side, (user, other) in enumerate(((one, two), (two, one)))
    ]
    many = round(load.sessions * load.share)
    idle = [
        Phone(user, lost[user % len(lost)] if user < many else alive[user % len(alive)])
        for user in range(load.sessions)
    ]
    count = -(-load.sessions // CROWD_MAX)
    parts = [idle[place::count] for place in range(count)]
    common = {
        "ports": ports,
        "rate": load.rate,
        "body_bytes": BODY_BYTES,
        "logins_parallel": LOGINS_PARALLEL,
        "cut_spread": load.spread,
    }
    crowds = [
        Crowd(tuple(part), seed=place, nice=NICE if place else 0, **common)  # type: ignore[arg-type]
        for place, part in enumerate((writers, *parts))
    ]
    to = {one.user: one.to for one in writers}
    return crowds, lambda told: TAKEN_OVER if is_lost(to[told.sender]) else SPARED


def pairs_of(users: Sequence[int], is_lost: Callable[[int], bool], most: int) -> list[tuple[int, int]]:
    """Users who write to one another: half of the pairs with partitions that are lost, half with others.

    Raises:
        LoadError: there aren't enough of one kind.
    """
    kinds: dict[bool, list[int]] = {False: [], True: []}
    for user in users:
        kinds[is_lost(user)].append(user)
    found = []
    spared, lost = tuple(kinds[False]), tuple(kinds[True])
    for place in range(most):
        some = kinds[bool(place % 2)]
        if len(some) < 2:
            raise LoadError(
                f"of {len(users)} users who may write, {len(lost)} have their partitions at nodes that are lost, and"
                f" {len(spared)} at others; {most // 2} and {most - most // 2} pairs of them are wanted: lower --busy"
            )
        found.append((some.pop(), some.pop()))
    return found


def measure(folder: Path, load: Load, event: Event, screen: Screen) -> dict[str, Any]:
    """One storm.

    Raises:
        LoadError: a phone was refused for good, or phones never came back.
        NodeStartError, StageError
    """
    with stage(folder, load.nodes, load.users) as here, ThreadPoolExecutor(load.nodes) as pool:
        crowds, kind_of = crowds_of(load, here, event)
        everybody = sum(len(crowd.phones) for crowd in crowds)
        ports = {node.port for node in here.doomed(event)}
        cut_off = sum(phone.port in ports for crowd in crowds for phone in crowd.phones)
        with Crowds.of(crowds) as fleet:
            with screen.phase(f"{event}: logging in", everybody) as phase:
                began, cpu = time.monotonic(), cpu_seconds(here.town.nodes)
                if not fleet.wait(
                    lambda one: one.online == everybody, LOGIN_S_MAX, lambda one: phase.show(one.online)
                ):
                    raise LoadError(f"not everybody was logged in after {LOGIN_S_MAX:.0f} s")
                entered, cpu = time.monotonic() - began, cpu_seconds(here.town.nodes) - cpu
                here.limit_logins(load.logins_per_s)
            with screen.phase(f"{event}: the storm", everybody) as phase:
                result = _storm(load, here, event, fleet, pool, phase, everybody, cut_off, kind_of)
    at_first = {"logins_per_s": everybody / entered, "node_cpu_ms_each": cpu / everybody * 1000}
    return {"at_first": at_first, **result}


def _storm(
    load: Load,
    here: Stage,
    event: Event,
    fleet: Crowds,
    pool: ThreadPoolExecutor,
    phase: Phase,
    everybody: int,
    cut_off: int,
    kind_of: Callable[[Told], str],
) -> dict[str, Any]:
    town = here.town
    doomed = here.doomed(event)
    alive = [node for node in town.nodes if node not in doomed]
    seconds_max = load.seconds_max + (SILENCE_S if event == "silent" else 0.0)
    fleet.order(Order("begin"))
    time.sleep(CALM_S / 2)
    rest = [town.status(node)["links"]["sent"] for node in alive]
    rest_cpu, rest_at = cpu_seconds(alive), time.monotonic()
    time.sleep(CALM_S / 2)
    sent = [town.status(node)["links"]["sent"] for node in alive]
    rest_s = time.monotonic() - rest_at
    idle_cpu = (cpu_seconds(alive) - rest_cpu) / rest_s
    before, cpu = here.counters(alive), cpu_seconds(alive)
    others = Disturbance(cpu + fleet.cpu_seconds())
    lost = here.happen(event, pool)
    if event == "silent":
        fleet.order(Order("silence", ports=tuple(node.port for node in doomed)))
    mending = Mending(town, alive, lost)
    whole = mending.wait(seconds_max, lambda: phase.show(fleet.order(Order("count"))[0].online))
    left = max(0.0, seconds_max - (now_us() - lost) / 1e6)
    back = fleet.wait(
        lambda one: one.online == everybody and one.lost >= cut_off, left, lambda one: phase.show(one.online)
    )
    over = now_us()
    storm_s = (over - lost) / 1e6
    mending.look()
    cpu_storm = cpu_seconds(alive) - cpu
    others_cores = others.cores(cpu + cpu_storm + fleet.cpu_seconds())
    counted = figures.grown(before, here.counters(alive))
    time.sleep(CALM_S)
    fleet.order(Order("end"))
    fleet.wait(lambda one: not one.open, REST_S)
    told = together(fleet.order(Order("tell")))
    window = figures.Window(lost, max((one.back for one in told.returns), default=over))
    returns = figures.returning(told.returns, lost)
    lost_ones = figures.lost_messages(told.messages)
    return {
        "everybody_back": back,
        "whole": whole,
        "returning": returns,
        "live": figures.latencies(told.messages, window, kind_of),
        "messages": {**lost_ones, "repeated": told.repeated, "disordered": told.disordered},
        "served_s": mending.served_s,
        "whole_s": mending.whole_s,
        "at_one_copy_most": mending.at_one_copy_most,
        "served_by_nobody_most": mending.unserved_most,
        "wrong_deaths": sum(one["detector"]["wrong_deaths"] for one in mending.statuses),
        "between_nodes": figures.between(mending.statuses, sent, rest, rest_s, storm_s),
        "announced_per_session": counted.get("routing_announced_total", 0) / max(1, returns["back"]),
        "counted": {name.removesuffix("_total"): counted.get(name, 0) for name in _COUNTED},
        "storm_s": storm_s,
        "node_cores_before": idle_cpu,
        "node_cores": cpu_storm / storm_s,
        "others_cores": others_cores,
        "warnings": Disturbance.warnings(others_cores),
    }


@app.default
def storm(
    *,
    sessions: Annotated[int, Parameter(validator=Number(gte=10, lte=50_000), help="Idle ones.")] = 10_000,
    share: Annotated[
        float,
        Parameter(validator=Number(gt=0, lte=1), help="Of them at the node, or the switch, that is lost."),
    ] = 1.0,
    busy: Annotated[
        int,
        Parameter(validator=Number(gte=4, lte=2_000), help="Who write to one another at nodes that live."),
    ] = 200,
    rate: Annotated[
        float, Parameter(validator=Number(gt=0, lte=100), help="Messages a second of each of them.")
    ] = 1.0,
    nodes: Annotated[
        int, Parameter(validator=Number(gte=3, lte=16), help="Of the cluster, half of them at each switch.")
    ] = 4,
    only: Annotated[tuple[Event, ...], Parameter(help="Only these.")] = (),
    logins_per_s: Annotated[
        int, Parameter(validator=Number(gte=0), help="session.logins_per_s_max of each node; 0: no limit.")
    ] = SessionSettings().logins_per_s_max,
    spread: Annotated[
        float, Parameter(validator=Number(gt=0, lte=600), help="The client's cut_spread, in seconds.")
    ] = Settings().cut_spread,
    seconds_max: Annotated[
        float, Parameter(validator=Number(gt=0, lte=600), help="That a storm may last.")
    ] = 90.0,
    directory: Directory = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """A node is killed, a switch is lost with half of the nodes, aloud or in silence, a node is stopped."""
    load = Load(nodes, sessions, share, busy - busy % 4, rate, logins_per_s, spread, seconds_max)
    result: dict[str, Any] = {"benchmark": "storm", "settings": asdict(load), "machine": machine()}
    screen = Screen()
    try:
        allow_files(sessions + busy + FILES_SPARE)
        with (
            terminated_as_interrupted(),
            tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=directory) as name,
        ):
            for event in only or EVENTS:
                result[event] = measure(Path(name) / event, load, event, screen)
    except (LoadError, NodeStartError, StageError, TooFewFilesError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    print_result(result, as_json=as_json)
