"""`waystation bench stats`: what it costs a node to look at itself once a second.

Two figures, for each has a blind spot. *Counted* is the CPU that the sampler counts of itself while the node is loaded;
it doesn't see what waking up costs around it. *Idle* is what a node at rest uses more with statistics than
without; there everything is seen, though caches are warm. The larger of the two is the answer.
"""

import itertools
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Annotated, Any, Final

from attrs import asdict, define, field, frozen
from cyclopts import App, Parameter
from cyclopts.validators import Number

from ops.bench import exchange
from ops.bench.comparison import terminated_as_interrupted
from ops.bench.exchange import NotAllArrivedError
from ops.bench.node_process import NodeStartError, free_ports
from ops.bench.process import ProcessGoneError
from ops.bench.sampling import machine, settle
from ops.bench.screen import Screen, print_result
from ops.bench.server import Server, waystation
from ops.bench.session import LoadError

app = App(name="stats", help="What it costs a node to look at itself once a second.")

_COST: Final = "waystation_statistics_cpu_seconds_total "
_SAMPLES: Final = "waystation_statistics_samples_total "
_LOADED_SHARE: Final = 0.5
"""A second counts as loaded if the node used at least so much of the most that it used in one."""


@frozen
class Look:
    """At one moment, in seconds."""

    at: float
    node_cpu: float
    statistics_cpu: float
    samples: float


def figure_of(text: str, name: str) -> float:
    """One sample of a scrape."""
    line = next(line for line in text.splitlines() if line.startswith(name))
    return float(line.rpartition(" ")[2])


def loaded(looks: list[Look]) -> dict[str, float]:
    """What came between looks in which the node was loaded."""
    pairs = list(itertools.pairwise(looks))
    most = max((later.node_cpu - early.node_cpu) / (later.at - early.at) for early, later in pairs)
    chosen = [
        (early, later)
        for early, later in pairs
        if (later.node_cpu - early.node_cpu) / (later.at - early.at) >= _LOADED_SHARE * most
    ]
    node = sum(later.node_cpu - early.node_cpu for early, later in chosen)
    own = sum(later.statistics_cpu - early.statistics_cpu for early, later in chosen)
    seconds = sum(later.at - early.at for early, later in chosen)
    return {
        "counted_share": own / node,
        "counted_ms_per_s": own / seconds * 1000,
        "node_cores": node / seconds,
        "loaded_s": seconds,
    }


@define
class Watcher:
    """Scrapes a node once a second, in a thread, as Prometheus would at its most eager."""

    port: int
    server: Server
    looks: list[Look] = field(factory=list)
    _over: threading.Event = field(factory=threading.Event)

    def look(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        self.looks.append(
            Look(
                time.monotonic(),
                self.server.process.cpu_seconds(),
                figure_of(text, _COST),
                figure_of(text, _SAMPLES),
            )
        )

    def run(self) -> None:
        while not self._over.wait(1.0):
            self.look()

    def stop(self) -> None:
        self._over.set()


def under_load(directory: Path, wanted: exchange.Exchange, screen: Screen) -> dict[str, Any]:
    """A node with everything on, scraped each second, and as many messages as it can take."""
    *_, port = free_ports(3)  # the node takes the first two
    statistics = {"prometheus_port": port}
    with waystation(directory, wanted.shape.users, statistics=statistics) as server:
        watcher = Watcher(port, server)
        watcher.look()
        thread = threading.Thread(target=watcher.run)
        thread.start()
        try:
            result = exchange.measure(server, wanted, screen)
        finally:
            watcher.stop()
            thread.join()
    return {
        **loaded(watcher.looks),
        "messages_per_s": result["messages_per_s"],
        "others_cores": result["others_cores"],
        "warnings": result["warnings"],
    }


def at_rest(directory: Path, *, enabled: bool, seconds: float) -> float:
    """CPU of a node that nobody talks to, in ms a second."""
    with waystation(directory, 2, statistics={"enabled": enabled}) as server:
        settle(server.process)
        began, cpu = time.monotonic(), server.process.cpu_seconds()
        time.sleep(seconds)
        return (server.process.cpu_seconds() - cpu) / (time.monotonic() - began) * 1000


@app.default
def stats(
    *,
    seconds: Annotated[float, Parameter(validator=Number(gte=3, lte=3_600), help="Loaded so long.")] = 10,
    rest: Annotated[
        float, Parameter(validator=Number(gte=1, lte=3_600), help="At rest so long, with and without.")
    ] = 10,
    users: Annotated[int, Parameter(validator=Number(gte=2, lte=1_000_000), help="Who write.")] = 200,
    window: Annotated[
        int, Parameter(validator=Number(gte=1), help="Messages that each keeps in flight.")
    ] = 5,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """The share of a loaded node's CPU that its statistics take: `cpu_share`."""
    screen = Screen()
    wanted = exchange.Exchange(users=users, window=window, seconds=seconds)
    try:
        with terminated_as_interrupted(), tempfile.TemporaryDirectory(prefix="waystation-bench-") as name:
            folder = Path(name)
            under = under_load(folder / "loaded", wanted, screen)
            with screen.phase("at rest", 2) as phase:
                plain = at_rest(folder / "without", enabled=False, seconds=rest)
                phase.show(1)
                sampled = at_rest(folder / "with", enabled=True, seconds=rest)
                phase.show(2)
    except (LoadError, NodeStartError, NotAllArrivedError, ProcessGoneError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    rest_share = max(0.0, sampled - plain) / 1000 / under["node_cores"]
    print_result(
        {
            "benchmark": "stats",
            "settings": {**asdict(wanted), "rest_seconds": rest},
            "machine": machine(),
            "cpu_share": max(under["counted_share"], rest_share),
            **under,
            "rest_share": rest_share,
            "rest_ms_per_s": sampled,
            "rest_without_ms_per_s": plain,
        },
        as_json=as_json,
    )
