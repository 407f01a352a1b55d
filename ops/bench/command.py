"""`waystation bench`: the benchmarks' command line.

Each command prints a table, or with --json one JSON object; docs/benchmarks.md says what each key means. This
module only turns options into calls.
"""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec

from attrs import asdict
from cyclopts import App, Parameter
from cyclopts.validators import Number

from ops.bench import connections as idle
from ops.bench import exchange, mailbox, waiting
from ops.bench import report as tables
from ops.bench.comparison import Peer, Setting, run
from ops.bench.ejabberd import EjabberdMissingError, EjabberdStartError
from ops.bench.ejabberd_configuration import Profile
from ops.bench.exchange import NotAllArrivedError
from ops.bench.node_process import NodeStartError
from ops.bench.places import Directory
from ops.bench.process import ProcessGoneError
from ops.bench.report import MarkersMissingError
from ops.bench.sampling import TooFewFilesError
from ops.bench.screen import Screen, print_result
from ops.bench.server import Server
from ops.bench.session import LoadError

app = App(name="bench", help="Measure a node, and a peer in the same run. Linux only.")
app.command(
    "ops.bench.hub:app",
    name="hub",
    help="What the hub alone costs: echoed frames, idle connections, accepts.",
)
app.command(
    "ops.bench.store:app", name="store", help="What the store alone costs: puts, overwrites, deletes."
)
app.command(
    "ops.bench.cold:app", name="cold", help="How a store larger than memory holds up the loop, or doesn't."
)
app.command(
    "ops.bench.links:app",
    name="links",
    help="What a message between nodes costs: CPU of both ends, and rates.",
)

app.command(
    "ops.bench.reloads:app",
    name="reload",
    help="How long a node stands still when its code is replaced.",
)
app.command(
    "ops.bench.stats:app",
    name="stats",
    help="What it costs a node to look at itself once a second.",
)
app.command(
    "ops.bench.cluster:app",
    name="cluster",
    help="What a cluster costs beside one node, and how long phones wait when a node dies.",
)
app.command(
    "ops.bench.events:app",
    name="events",
    help="How many messages an event costs a cluster, at growing numbers of nodes.",
)
app.command(
    "ops.bench.storm:app",
    name="storm",
    help="What happens when a node or a switch is lost with 10,000 sessions.",
)
app.command(
    "ops.bench.tables:app",
    name="tables",
    help="What a write to tables on two nodes costs, and how fast it is; Mnesia beside it.",
)

app.command(
    "ops.bench.upgrades:app",
    name="upgrade",
    help="How long a node stands still when its process is replaced.",
)

_FAILURES = (
    EjabberdMissingError,
    EjabberdStartError,
    LoadError,
    MarkersMissingError,
    NodeStartError,
    NotAllArrivedError,
    ProcessGoneError,
    TooFewFilesError,
)

Tls = Annotated[bool, Parameter(negative="", help="TLS 1.3 instead of plain TCP, for the peer too.")]
Against = Annotated[
    Peer | None, Parameter(help="Measure this server, too. It is taken from the system's packages.")
]
PeerProfile = Annotated[
    Profile,
    Parameter(
        help="How the peer is configured: debian (the modules of the package's own configuration), managed (only"
        " offline storage and stream management, which the clients use), lean (only offline storage)."
    ),
]
Repeat = Annotated[
    int, Parameter(validator=Number(gte=1, lte=1_000), help="Run it so often; the result has the medians.")
]
AsJson = Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")]
Body = Annotated[int, Parameter(validator=Number(gte=8, lte=61_440), help="Bytes of a message's body.")]
Generators = Annotated[int, Parameter(validator=Number(gte=1, lte=256), help="Processes that make the load.")]


P = ParamSpec("P")


def _told(command: Callable[P, None]) -> Callable[P, None]:
    """A failure that has a remedy is told without a traceback; Ctrl-C ends quietly, with everything stopped."""

    @wraps(command)
    def tell(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except _FAILURES as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(130)

    return tell


def _even(count: int) -> int:
    """The count, or one more."""
    return count + count % 2


@app.command
@_told
def connections(
    *,
    count: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=1, lte=10_000_000), help="Sessions. Default: 15,000, or 5,000 with TLS."
        ),
    ] = None,
    tls: Tls = False,
    against: Against = None,
    peer: PeerProfile = "debian",
    repeat: Repeat = 1,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """What an idle logged-in session costs in memory, and a login in CPU."""
    wanted = idle.Connections(_even(count or (5_000 if tls else 15_000)), tls)
    wanted.prepare()
    setting = Setting(
        users=wanted.users, tls=tls, against=against, profile=peer, repeat=repeat, directory=directory
    )
    screen = Screen()
    result = run("connections", wanted, setting, lambda server: idle.measure(server, wanted, screen), screen)
    print_result(result, as_json=as_json)


@app.command
@_told
def messages(
    *,
    users: Annotated[
        int,
        Parameter(
            validator=Number(gte=2, lte=10_000_000),
            help="Users who send; with --recipients offline half of them receive.",
        ),
    ] = 200,
    window: Annotated[
        int, Parameter(validator=Number(gte=1), help="Messages that each keeps in flight.")
    ] = 5,
    partners: Annotated[
        int, Parameter(validator=Number(gte=1), help="To how many others each writes, in turn.")
    ] = 1,
    rate: Annotated[
        float,
        Parameter(
            validator=Number(gte=0),
            help="Messages a second in all, started on time (open loop). 0: the window decides.",
        ),
    ] = 0,
    recipients: Annotated[
        Literal["online", "offline"],
        Parameter(help="offline: nobody receives until all is stored; then everybody logs in."),
    ] = "online",
    durable: Annotated[
        bool, Parameter(negative="", help="The node fsyncs every message before it hands it over.")
    ] = False,
    seconds: Annotated[
        float, Parameter(validator=Number(gt=0), help="Measured; a warm-up of 2 s comes before.")
    ] = 10,
    body: Body = 120,
    tls: Tls = False,
    against: Against = None,
    peer: PeerProfile = "debian",
    repeat: Repeat = 1,
    generators: Generators = 1,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Delivered and receipted messages a second, their latencies, and what one costs the node in CPU."""
    screen = Screen()
    mail: dict[str, Any] = {"sync_first": True} if durable else {}
    wanted: exchange.Exchange | waiting.Waiting
    if recipients == "online":
        wanted = online = exchange.Exchange(
            users=users,
            window=window,
            partners=partners,
            rate=rate,
            body_bytes=body,
            seconds=seconds,
            generators=generators,
        )

        def measure(server: Server) -> dict[str, Any]:
            return exchange.measure(server, online, screen)

    else:
        if partners > users // 2:
            sys.exit(
                f"waystation: {users} users have {users // 2} recipients, fewer than --partners {partners}:"
                " give more --users or fewer --partners"
            )
        wanted = offline = waiting.Waiting(
            senders=users // 2,
            recipients=users // 2,
            partners=partners,
            window=window,
            rate=rate,
            seconds=seconds,
            body_bytes=body,
            generators=generators,
        )

        def measure(server: Server) -> dict[str, Any]:
            return waiting.measure(server, offline, screen)

    setting = Setting(
        users=wanted.shape.users,
        tls=tls,
        mail=mail,
        against=against,
        profile=peer,
        repeat=repeat,
        directory=directory,
    )
    settings = {"recipients": recipients, "durable": durable, **asdict(wanted)}
    print_result(run("messages", settings, setting, measure, screen), as_json=as_json)


@app.command(name="mailbox")
@_told
def mailbox_(
    *,
    messages: Annotated[
        int, Parameter(validator=Number(gte=1), help="Messages that are stored and drained.")
    ] = 1_000_000,
    recipients: Annotated[int, Parameter(validator=Number(gte=1), help="Users who aren't there.")] = 1_000,
    senders: Annotated[
        int, Parameter(validator=Number(gte=1), help="Users who write to all of them, in turn.")
    ] = 100,
    window: Annotated[
        int, Parameter(validator=Number(gte=1), help="Messages that each sender keeps in flight.")
    ] = 50,
    body: Body = 120,
    tls: Tls = False,
    repeat: Repeat = 1,
    generators: Generators = 1,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """A million messages for offline users: stored, then drained; rates, bytes on disk, peak memory."""
    screen = Screen()
    wanted = waiting.Waiting(
        senders=senders,
        recipients=recipients,
        partners=recipients,
        window=window,
        messages=messages,
        body_bytes=body,
        generators=generators,
    )
    setting = Setting(users=wanted.shape.users, tls=tls, repeat=repeat, directory=directory)
    result = run("mailbox", wanted, setting, lambda server: mailbox.measure(server, wanted, screen), screen)
    print_result(result, as_json=as_json)


@app.command
@_told
def report(
    *,
    repeat: Repeat = 3,
    against: Against = "ejabberd",
    only: Annotated[str, Parameter(help="Only the parts whose title contains this.")] = "",
    quick: Annotated[bool, Parameter(negative="", help="Small counts, to try it out.")] = False,
    into: Annotated[
        Path | None, Parameter(help="Markdown file whose figures are replaced. Default: print them.")
    ] = None,
    directory: Directory = None,
) -> None:
    """All benchmarks, repeated, as tables with the medians. Takes most of an hour."""
    screen = Screen()
    measured = []
    for part in tables.measure_all(
        screen, quick=quick, repeat=repeat, against=bool(against), directory=directory, only=only
    ):
        measured.append(part)  # written after each, so that what is measured isn't lost
        if into is not None:
            tables.place(tables.markdown(measured, repeat), into)
    if into is None and measured:
        sys.stdout.write(tables.markdown(measured, repeat))


if __name__ == "__main__":
    app()
