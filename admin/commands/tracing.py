"""See one user's frames as they come and go, without what they carry."""

from collections.abc import Mapping
from typing import Any, Final

import trio

from admin.commands.table import Command, CommandError, Context, Parameter, Role
from node import tracing
from node.tracing import Trace

WAITING_MAX: Final = 256
"""Frames that were seen and not told yet; what is beyond is dropped and counted."""
RATE_MAX: Final = 500
SECONDS_MAX: Final = 3_600.0


async def _trace(context: Context, arguments: Mapping[str, Any]) -> Any:
    service = context.node.service
    seen, told = trio.open_memory_channel[dict[str, Any]](WAITING_MAX)
    dropped = 0

    def show(frame: dict[str, Any]) -> None:
        nonlocal dropped
        try:
            seen.send_nowait({"at": round(context.clock(), 3), **frame})
        except trio.WouldBlock:
            dropped += 1

    trace = Trace(arguments["number"], show, arguments["rate"])
    try:
        if not tracing.begin(service.traces, service.sessions, trace):  # tasks run between two passes
            raise CommandError(
                f"+{trace.user} is traced already, or {tracing.TRACES_MAX} others are: end one of these first"
            )
        with trio.move_on_after(arguments["seconds"]):
            async for frame in told:
                context.tell(frame)
    finally:
        tracing.end(service.traces, service.sessions, trace)
    return {"in": trace.came, "out": trace.went, "hidden": trace.hidden + dropped}


COMMANDS: Final = (
    Command(
        name="trace",
        role=Role.OPERATOR,
        summary="See one user's frames as they come and go.",
        help=(
            "A line for each frame from now on, also if the user comes only later, or comes again: its way, its"
            " verb, and who it concerns. Bodies, PINs, keys and signatures are never shown, only how long they"
            " are. At most --rate frames a second are shown; what is beyond is counted as hidden. It ends after"
            " --seconds, or with Ctrl-C, and gives how many frames came in, how many writes went out, and how many"
            " were hidden. Nobody else's frames are touched, and the phone notices nothing."
        ),
        example="trace +15551230001 --seconds 1s",
        parameters=(
            Parameter(name="number", help="The phone number, with or without its +.", kind="phone"),
            Parameter(
                name="seconds",
                help="How long to look.",
                kind="duration",
                option=True,
                required=False,
                default=10.0,
                low=0.1,
                high=SECONDS_MAX,
            ),
            Parameter(
                name="rate",
                help="Frames shown in a second.",
                kind="integer",
                option=True,
                required=False,
                default=50,
                low=1,
                high=RATE_MAX,
            ),
        ),
        run=_trace,
        seconds_max=SECONDS_MAX + 60,
    ),
)
