"""`bench report`: every benchmark, repeated, as tables for docs/benchmarks.md.

The targets that a figure is held against are those of the project's first milestone. This module must never know
how anything is measured.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from ops.bench import connections, exchange, mailbox, waiting
from ops.bench.comparison import Measure, Setting, run
from ops.bench.ejabberd_configuration import Profile
from ops.bench.screen import Screen

BEGIN: Final = "<!-- figures: written by waystation bench report -->"
END: Final = "<!-- end of figures -->"
_KIB: Final = 1024
_PROFILES: Final[tuple[Profile, ...]] = ("debian", "managed", "lean")


@frozen
class Row:
    """One line of the table.

    Attributes:
        key: in the result, with dots between the levels.
        show: the figure as text.
        target: what it should be, as text; empty: none is set.
    """

    what: str
    key: str
    show: Callable[[float], str]
    target: str = ""


@frozen
class Case:
    """One benchmark with its settings.

    Attributes:
        users: accounts.
        profiles: the peer's configurations to compare with, each in a run of its own.
    """

    title: str
    name: str
    users: int
    measure: Measure
    rows: Sequence[Row]
    profiles: Sequence[Profile] = ()
    tls: bool = False
    mail: Mapping[str, Any] = field(factory=dict)


class MarkersMissingError(Exception):
    """The file has no place for the figures. Put the two marker lines where they belong."""


def kib(value: float) -> str:
    """Bytes as KiB."""
    return f"{value / _KIB:.2f} KiB"


def mib(value: float) -> str:
    """Bytes as MiB."""
    return f"{value / _KIB / _KIB:.1f} MiB"


def us(value: float) -> str:
    """Microseconds."""
    return f"{value:.1f} µs"


def ms(value: float) -> str:
    """Milliseconds."""
    return f"{value:.2f} ms"


def count(value: float) -> str:
    """A whole number."""
    return f"{value:,.0f}"


def plain(value: float) -> str:
    """Two digits after the point."""
    return f"{value:.2f}"


def cases(screen: Screen, *, quick: bool) -> list[Case]:
    """All benchmarks of the report; `quick` ones are too small for figures worth keeping."""
    scale = 20 if quick else 1
    seconds = 2.0 if quick else 10.0

    def idle(tls: bool) -> Case:
        wanted = connections.Connections((5_000 if tls else 15_000) // scale, tls)
        wanted.prepare()
        return Case(
            title=f"{wanted.count:,} idle sessions{', TLS' if tls else ''}",
            name="connections",
            users=wanted.users,
            measure=lambda server: connections.measure(server, wanted, screen),
            rows=(
                Row("memory of a session", "bytes_per_session", kib, "≤ 16 KB" if tls else "≤ 1.0 KB"),
                Row(
                    "memory of a session that has sent and got a message",
                    "bytes_per_session_that_talked",
                    kib,
                ),
                Row("CPU of a login", "login_cpu_us", us, "" if tls else "≤ 1 ms"),
                Row("logins a second", "logins_per_s", count),
            ),
            profiles=("debian",),
            tls=tls,
        )

    def online(title: str, target: str, profiles: Sequence[Profile], **changes: Any) -> Case:
        wanted = exchange.Exchange(
            users=200, window=5, seconds=changes.pop("seconds", seconds), rate=changes.pop("rate", 0)
        )
        return Case(
            title=title,
            name="messages",
            users=wanted.shape.users,
            measure=lambda server: exchange.measure(server, wanted, screen),
            rows=(
                Row("CPU of a message", "node_cpu_us_per_message", us, target),
                Row("messages a second", "messages_per_s", count),
                Row("send → deliver, p50", "send_to_deliver_ms.p50", ms),
                Row("send → deliver, p99", "send_to_deliver_ms.p99", ms, "≤ 10 ms" if wanted.rate else ""),
                Row("send → deliver, p99.9", "send_to_deliver_ms.p99.9", ms),
                Row("send → accepted, p99", "send_to_accepted_ms.p99", ms),
                Row("growth of memory, bytes a second", "rss.slope_bytes_per_s", count),
                Row("the generator's CPU for a message", "generator.cpu_us_per_message", us),
            ),
            profiles=profiles,
            **changes,
        )

    absent = waiting.Waiting(senders=100, recipients=100, partners=1, window=5, seconds=seconds)
    million = waiting.Waiting(
        senders=100, recipients=1_000, partners=1_000, window=50, messages=1_000_000 // scale
    )
    return [
        idle(tls=False),
        idle(tls=True),
        online("200 users online, window 5", "≤ 30 µs", _PROFILES),
        online(
            "200 users online, every message fsynced first", "≤ 60 µs", ("debian",), mail={"sync_first": True}
        ),
        online("200 users online, window 5, TLS", "", ("debian",), tls=True),
        online("200 users online, 5,000 messages/s", "", ("debian",), rate=5_000),
        Case(
            title="100 users write to 100 absent ones, window 5; then these log in",
            name="messages",
            users=absent.shape.users,
            measure=lambda server: waiting.measure(server, absent, screen),
            rows=(
                Row("CPU of a message, stored and drained", "node_cpu_us_per_message", us),
                Row("CPU of a message, stored", "store.node_cpu_us_per_message", us),
                Row("messages a second, stored", "store.messages_per_s", count),
                Row("send → accepted, p99", "store.send_to_accepted_ms.p99", ms),
                Row("messages a second, drained", "drain.messages_per_s", count),
            ),
            profiles=("debian", "managed"),
        ),
        Case(
            title=f"{million.messages:,} messages for 1,000 absent users, from 100",
            name="mailbox",
            users=million.shape.users,
            measure=lambda server: mailbox.measure(server, million, screen),
            rows=(
                Row("messages a second, stored", "store.messages_per_s", count),
                Row("messages a second, drained", "drain.messages_per_s", count),
                Row("CPU of a message, stored and drained", "node_cpu_us_per_message", us),
                Row("bytes on disk of a message (body: 120)", "disk_bytes_per_message", count),
                Row("bytes on disk of a pair", "record_bytes_per_pair", count),
                Row("bytes written for a byte of body", "write_amplification", plain),
                Row("the node's peak memory", "peak_rss_bytes", mib),
            ),
        ),
    ]


def measure_all(
    screen: Screen, *, quick: bool, repeat: int, against: bool, directory: Path | None, only: str = ""
) -> Iterator[tuple[Case, dict[str, dict[str, Any]]]]:
    """Each case whose title contains `only`, with its results: the node's as "", the peer's by its profile."""
    for case in cases(screen, quick=quick):
        if only not in case.title:
            continue
        results: dict[str, dict[str, Any]] = {}
        for profile in (case.profiles if against else ()) or (None,):
            setting = Setting(
                users=case.users,
                tls=case.tls,
                mail=case.mail,
                against="ejabberd" if profile else None,
                profile=profile or "debian",
                repeat=repeat,
                directory=directory,
            )
            result = run(case.name, {}, setting, case.measure, screen)
            results.setdefault("", result)
            if profile:
                results[profile] = {**result["ejabberd"], "ratio": result}
        yield case, results


def markdown(measured: Sequence[tuple[Case, dict[str, dict[str, Any]]]], repeat: int) -> str:
    """A table for each case."""
    lines = []
    for case, results in measured:
        ours = results[""]
        machine, peers = ours["machine"], [name for name in results if name]
        lines += [f"### {case.title}", ""]
        head = ["", "waystation", "target", *(f"ejabberd, {name}" for name in peers)]
        lines += [_line(head), _line(["---"] + ["---:"] * (len(head) - 1))]
        for row in case.rows:
            cells = [_shown(row, results[name]) for name in peers]
            lines.append(_line([row.what, _shown(row, ours), row.target, *cells]))
        ratio_cells = [_ratio(results[name]["ratio"]) for name in peers]
        if any(ratio_cells):
            target = "≥ 5" if case.name == "messages" else ""
            lines.append(_line(["times the CPU of Waystation", "", target, *ratio_cells]))
        lines += ["", *(f"Warning: {text}" for text in ours["warnings"]), ""]
    about = (
        f"Medians of {repeat} runs on {machine['cores']} cores, Python {machine['python']}, Linux"
        f" {machine['kernel']}, {machine['filesystem']}."
    )
    return "\n".join([about, "", *lines]).rstrip() + "\n"


def place(text: str, path: Path, first: str = BEGIN, last: str = END) -> None:
    """Put the tables between the markers of a file.

    Raises:
        MarkersMissingError: it has none; nothing is changed.
    """
    before, begin, rest = path.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise MarkersMissingError(f"{path} needs these two lines around the figures:\n{first}\n{last}")
    path.write_text(f"{before}{first}\n\n{text}\n{last}{after}")


def _ratio(result: dict[str, Any]) -> str:
    for name in ("cpu_ratio_ejabberd_over_waystation", "login_cpu_ratio_ejabberd_over_waystation"):
        if name in result:
            return f"{result[name]:.1f}"
    return ""


def _shown(row: Row, result: dict[str, Any]) -> str:
    value: Any = result
    for step in _steps(row.key):
        value = value.get(step) if isinstance(value, dict) else None
    return "—" if value is None else row.show(value)


def _steps(key: str) -> list[str]:
    """The levels of a key. A percentile has a point of its own."""
    first, _, rest = key.partition(".")
    if not rest or first.startswith("p9"):
        return [key]
    return [first, *_steps(rest)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
