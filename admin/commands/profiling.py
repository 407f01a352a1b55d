"""Commands that look into a running node: where its time goes, what its tasks wait for, what its memory holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.profiling import allocations, heap, report
from admin.profiling.allocations import TracingAlready
from admin.profiling.sampling import RATE_MAX
from admin.profiling.service import Busy, Profiling
from admin.statistics.service import Statistics

SECONDS_MAX: Final = 600.0


async def _profile(context: Context, arguments: Mapping[str, Any]) -> Any:
    try:
        return await context.service(Profiling).profile(
            arguments["seconds"],
            arguments["rate"],
            top=arguments["top"],
            resting=arguments["resting"],
            with_stacks=arguments["stacks"],
        )
    except Busy:
        raise CommandError("somebody profiles this node already: wait until that has ended") from None


async def _snapshot(context: Context, arguments: Mapping[str, Any]) -> Any:
    try:
        found = await context.service(Profiling).snapshot(arguments["over"])
    except Busy:
        raise CommandError("somebody takes a snapshot already: try again") from None
    if Statistics in context.services:
        found["queues"] = [
            {name: line[name] for name in ("queue", "length", "limit", "age_s", "drain_s", "holds")}
            for line in context.service(Statistics).queues()
        ]
    return found


async def _heap(context: Context, arguments: Mapping[str, Any]) -> Any:
    try:
        return await context.service(Profiling).heap(arguments["top"], arguments["by"])
    except Busy:
        raise CommandError("somebody counts the heap already: wait until that has ended") from None


async def _allocations(context: Context, arguments: Mapping[str, Any]) -> Any:
    try:
        return await context.service(Profiling).allocations(arguments["seconds"], arguments["top"])
    except (Busy, TracingAlready):
        raise CommandError("allocations are traced already: wait until that has ended") from None


def _seconds(default: float) -> Parameter:
    return Parameter(
        name="seconds",
        help="How long to look.",
        kind="duration",
        option=True,
        required=False,
        default=default,
        low=0.1,
        high=SECONDS_MAX,
    )


def _top(default: int, most: int) -> Parameter:
    return Parameter(
        name="top",
        help="Rows that are shown.",
        kind="integer",
        option=True,
        required=False,
        default=default,
        low=1,
        high=most,
    )


COMMANDS: Final = (
    Command(
        name="profile",
        role=Role.OPERATOR,
        summary="Where the node's time goes, by samples.",
        help=(
            "--rate times a second the loop's thread is interrupted, and it is written down where it is, in which task,"
            " and where all other threads are. by_self are the functions that samples fell on, by_whole those with"
            " what they called; shares are of all samples in which a thread had something to do (--resting: of all)."
            " Time in C counts for the function that called it; other threads are seen where they let go of the"
            " interpreter's lock. cost_share is what the samples took of the loop's time. --stacks gives every stack"
            " as collapsed text, 1 MiB at most; `waystation admin NODE profile --output FILE.svg` draws them as a"
            " flame graph."
        ),
        example="profile --seconds 300ms",
        parameters=(
            _seconds(10.0),
            Parameter(
                name="rate",
                help="Samples in a second.",
                kind="integer",
                option=True,
                required=False,
                default=100,
                low=1,
                high=RATE_MAX,
            ),
            _top(20, report.TOP_MAX),
            Parameter(
                name="resting",
                help="Count threads that have nothing to do, too.",
                kind="flag",
                option=True,
                required=False,
                default=False,
            ),
            Parameter(
                name="stacks",
                help="Give the stacks, too.",
                kind="flag",
                option=True,
                required=False,
                default=False,
            ),
        ),
        run=_profile,
        seconds_max=SECONDS_MAX + 60,
    ),
    Command(
        name="snapshot",
        role=Role.OPERATOR,
        summary="All tasks, threads and queues at this moment.",
        help=(
            "The tree of tasks: what each waits in, the innermost place of it that isn't Trio's, and how old it is (-:"
            " it was there before the node was ready). Tasks side by side that are alike are one row: times says how"
            " many, the age is the oldest's. With --over also how often each was stepped in that time: 0 of"
            " a task that should do something says more than its place. Then every Python thread and its line, and"
            " all queues with their lengths and limits. Connections are no tasks; see connections list. Nothing is"
            " changed; it holds the loop for some tens of microseconds a task."
        ),
        example="snapshot --over 100ms",
        parameters=(
            Parameter(
                name="over",
                help="Count steps for so long first.",
                kind="duration",
                option=True,
                required=False,
                default=0.0,
                low=0,
                high=SECONDS_MAX,
            ),
        ),
        run=_snapshot,
        seconds_max=SECONDS_MAX + 60,
    ),
    Command(
        name="heap objects",
        role=Role.OPERATOR,
        summary="What the heap holds, by type.",
        help=(
            "Every object that the collector follows, counted by type in slices between which the node goes on; bytes"
            " are those of the objects alone. Texts, bytes and numbers aren't among them, nor what was there when the"
            " node started (frozen). more is how many more there are than at the last such look, so two looks show"
            " what grows. hold_ms_max is how long this held the loop at once: mostly Python's list of all objects,"
            " which takes some 11 ms a million. Contents are never looked at."
        ),
        example="heap objects --top 10 --by objects",
        parameters=(
            _top(25, heap.TOP_MAX),
            Parameter(
                name="by",
                help="What the most of is shown first.",
                choices=("bytes", "objects", "more"),
                option=True,
                required=False,
                default="bytes",
            ),
        ),
        run=_heap,
        seconds_max=300.0,
    ),
    Command(
        name="heap allocations",
        role=Role.OPERATOR,
        summary="Which lines allocate what is kept, over a while.",
        help=(
            "Turns Python's tracing of allocations on for --seconds, and shows the lines whose allocations of that"
            " time are still there. While it is on the whole node is slower, by up to a half: not for a node at its"
            " limit. It ends early (full) when the traces have grown to 8 MiB, and is off afterwards, also after"
            " Ctrl-C. hold_ms is how long the loop was held at the end, while the traces were copied."
        ),
        example="heap allocations --seconds 300ms",
        parameters=(_seconds(10.0), _top(25, allocations.TOP_MAX)),
        run=_allocations,
        seconds_max=SECONDS_MAX + 60,
    ),
)
