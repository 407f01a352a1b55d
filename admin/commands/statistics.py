"""Commands of statistics: rates, queues, alarms, and what was kept of the last hour and week."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import trio

from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.statistics.history import HistoryReader, HistoryUnreadable
from admin.statistics.layout import MINUTE, SECOND, SECONDS
from admin.statistics.minutes import Minute, add, values_of
from admin.statistics.service import Statistics

ROWS_MAX: Final = 600
"""Rows of one answer; what is more is put together."""
FIGURES_MAX: Final = 12
_FIGURES: Final = ("sessions", "mail.taken", "mail.delivered", "mail.pending", "hub.lag_us.p99")


async def _rates(context: Context, arguments: Mapping[str, Any]) -> Any:
    part, busy = arguments["part"], not arguments["all"]
    found = [
        {"figure": path, "1s": round(one, 2), "10s": round(ten, 2), "100s": round(hundred, 2)}
        for path, (one, ten, hundred) in context.service(Statistics).rates().items()
        if (part is None or path == part or path.startswith(f"{part}."))
        and (not busy or one >= 0.005 or ten >= 0.005 or hundred >= 0.005)
    ]
    if part is not None and not found and not busy:
        raise CommandError(f"nothing is counted below {part[:40]!r}: rates --all shows all that is")
    return found


async def _queues(context: Context, arguments: Mapping[str, Any]) -> Any:
    return [
        {
            "queue": line["queue"],
            "length": line["length"],
            "limit": line["limit"],
            "in/s": round(line["in"][1], 2),
            "out/s": round(line["out"][1], 2),
            "age_s": line["age_s"],
            "drain_s": line["drain_s"],
            "holds": line["holds"],
        }
        for line in context.service(Statistics).queues()
        if arguments["all"] or line["length"] or line["in"][1] >= 0.005 or line["out"][1] >= 0.005
    ]


async def _alarms(context: Context, arguments: Mapping[str, Any]) -> Any:
    statistics = context.service(Statistics)
    return statistics.past() if arguments["past"] else statistics.raised()


async def _history(context: Context, arguments: Mapping[str, Any]) -> Any:
    history = context.service(Statistics).history
    if history is None:
        raise CommandError("this node keeps no history: set statistics.history in its configuration")
    figures = arguments["figures"] or _FIGURES
    if len(figures) > FIGURES_MAX:
        raise CommandError(f"{len(figures)} figures at once are too many: name {FIGURES_MAX} at most")
    span_s = arguments["last"]
    read = partial(_read, history.path, figures, span_s, arguments["every"], kept=arguments["kept"])
    return await trio.to_thread.run_sync(read)


def _read(
    path: Any, figures: tuple[str, ...], span_s: float, every_s: float | None, *, kept: bool
) -> list[dict[str, Any]]:
    """In a thread. Bounded by the file's size, and the answer by ROWS_MAX."""
    ring = SECOND if span_s <= SECONDS else MINUTE
    try:
        with HistoryReader(path) as reader:
            names = reader.names()
            records = reader.records(ring)
    except HistoryUnreadable as error:
        raise CommandError(str(error)) from None
    if not records:  # it is young
        return []
    for figure in figures:
        if figure not in names and not kept:
            raise CommandError(f"there is no figure {figure[:60]!r}: `waystation wsar --list` shows all")
    end = records[-1].at
    records = [record for record in records if record.at > end - span_s]
    every_s = max(every_s or 0.0, span_s / ROWS_MAX)
    rows: list[dict[str, Any]] = []
    minute: Minute | None = None
    for index, record in enumerate(records):
        if minute is None:
            minute = Minute(record.at - record.covers_s)
        wanted = {name: value for name, value in record.by_name(names).items() if name in figures}
        add(minute, wanted, record.covers_s)
        if record.at - minute.began >= every_s - 0.5 or index == len(records) - 1:
            values = values_of(minute)
            rows.append({"at": round(record.at, 1), **{name: _rounded(values.get(name)) for name in figures}})
            minute = None
    return rows[-ROWS_MAX:]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


_ALL: Final = Parameter(
    name="all", kind="flag", option=True, required=False, help="Also those at rest.", default=False
)

COMMANDS: Final = (
    Command(
        name="rates",
        role=Role.VIEWER,
        summary="What each counter adds a second.",
        help=(
            "Decaying rates over 1, 10 and 100 s, as load averages are: the first says what happens now, the last what"
            " is usual. A sample is taken each second; a rate of a young node is of what it has seen. Counters at rest"
            " are left out unless --all is given. PART shows those below it, as mail or hub.closed."
        ),
        example="rates mail",
        parameters=(
            Parameter(name="part", help="Only figures that begin so, as mail.", required=False),
            _ALL,
        ),
        run=_rates,
    ),
    Command(
        name="queues",
        role=Role.VIEWER,
        summary="Every queue: length, in and out, age, when it will be empty.",
        help=(
            "The longest first. in/s and out/s are over 10 s. age_s is how long the one at the head waits, to a second,"
            " as the counts tell it; of queues whose coming and going nobody counts, how long ago it was empty. drain_s"
            " is when it will be empty if it goes on like this; nothing if it doesn't become shorter. Queues at rest"
            " are left out unless --all is given."
        ),
        example="queues --all",
        parameters=(_ALL,),
        run=_queues,
    ),
    Command(
        name="alarms",
        role=Role.VIEWER,
        summary="What is above its threshold.",
        help=(
            "The alarms that stand, the oldest first: since when (seconds since 1970), the value now, the worst, and"
            " the threshold of [statistics.alarms]. One is raised after staying above for a while, and cleared after"
            " staying well below. With --past those that were cleared, the newest first, up to 64 of this run."
        ),
        example="alarms",
        parameters=(
            Parameter(
                name="past", kind="flag", option=True, required=False, default=False, help="Those that were cleared."
            ),
        ),
        run=_alarms,
    ),
    Command(
        name="history",
        role=Role.VIEWER,
        summary="Figures of the last hour by seconds, of the last week by minutes.",
        help=(
            "A row for each second that was kept, or for each minute if --last is more than an hour; never more than"
            " 600: what is more is put together. Counters are shown as what they added a second, histograms as .p50,"
            " .p99 and .most, ages of queues as age.NAME. Rows that are put together have the mean, but the most"
            " of these. `waystation wsar` shows the same on the node's machine, with plots."
        ),
        example="history sessions mail.taken --last 1m",
        parameters=(
            Parameter(
                name="figures", help=f"Which, {FIGURES_MAX} at most; without any: the usual ones.", many=True,
                required=False,
            ),
            Parameter(
                name="last", kind="duration", option=True, required=False, default=60.0, low=1, high=7 * 86_400,
                help="How far back.",
            ),
            Parameter(
                name="every", kind="duration", option=True, required=False, low=1, high=86_400,
                help="Put so much together in one row.",
            ),
            Parameter(
                name="kept", kind="flag", option=True, required=False, default=False,
                help="Figures that aren't kept are nothing instead of an error.",
            ),
        ),
        run=_history,
    ),
)  # fmt: skip
