"""Empty a node before it is stopped: take nobody more, and send those who are there away at a rate.

Everybody at once, as a stop does it, comes back at once, too: to the node's neighbours, or to itself.
"""

import math
import random
from collections.abc import Mapping
from typing import Any, Final

import trio

from admin.commands.sessions import say_bye
from admin.commands.table import SECONDS_MAX, Command, CommandError, Context, Parameter, Role
from node.hub.adjusting import is_draining, set_draining
from node.hub.walking import connections_from
from node.session import Session

STEP_S: Final = 0.1
TOLD_EVERY_S: Final = 1.0
RATE_MAX: Final = 10_000
RETRY_DEFAULT_S: Final = 30.0


class _Away:
    """Sends connections away, as they come along on a walk through all of them, again and again."""

    def __init__(self, context: Context, retry_ms: int) -> None:
        self._context = context
        self._retry_ms = retry_ms
        self._place: int | None = 0
        self._met: list[Session] = []
        self.sent = 0

    def send(self, count: int) -> None:
        """So many, or as many as one walk finds. Commands run between two passes of the hub, so this is safe here."""
        for _ in range(count):
            if not self._met and not self._walk():
                return
            self.sent += say_bye(self._context, self._met.pop(), random.randint(0, self._retry_ms))

    def _walk(self) -> bool:
        """To the next slice with connections; False: to the end, and the next call begins anew."""
        while not self._met:
            if self._place is None:
                self._place = 0
                return False
            self._met, self._place = connections_from(self._context.node.hub, self._place)
        return True


async def _drain(context: Context, arguments: Mapping[str, Any]) -> Any:
    hub, rate = context.node.hub, arguments["rate"]
    set_draining(hub, True)
    away = _Away(context, math.ceil(arguments["retry"] * 1000))
    budget = 0.0
    told_at = trio.current_time()
    while hub.counters.connections:
        if not is_draining(hub):
            raise CommandError(
                f"undrain ended it: {away.sent} were sent away, {hub.counters.connections} are here"
            )
        budget = min(budget + rate * STEP_S, rate)
        away.send(int(budget))
        budget -= int(budget)
        if trio.current_time() - told_at >= TOLD_EVERY_S:
            told_at = trio.current_time()
            context.tell({"sent_away": away.sent, "left": hub.counters.connections})
        await trio.sleep(STEP_S)
    mail = context.node.service.mail
    return {
        "sent_away": away.sent,
        "left": 0,
        "unwritten_bytes": mail.pending_bytes,
        "unwritten_pairs": len(mail.dirty),
    }


async def _undrain(context: Context, arguments: Mapping[str, Any]) -> Any:
    was = is_draining(context.node.hub)
    set_draining(context.node.hub, False)
    return {"draining": False, "was_draining": was}


COMMANDS: Final = (
    Command(
        name="drain",
        role=Role.OPERATOR,
        summary="Take nobody more, and send away who is here, at a rate.",
        help=(
            "From now on new connections are refused, and told that the node is shutting down and when to come"
            " again. Those that are here are told the same, --rate of them a second, each with a time drawn from 0"
            " to --retry, and closed. It ends when nobody is left, and shows every second how far it is; its"
            " result also says what mail is in memory and not written yet (a stop writes it). Nothing is lost:"
            " what waits for a phone waits. The node goes on refusing, until undrain or its next start, also if"
            " this command is ended before its time. Partitions stay where they are: this node's phones are served"
            " by this node only."
        ),
        example="drain --rate 1000",
        parameters=(
            Parameter(
                name="rate",
                help="Connections sent away in a second.",
                kind="integer",
                option=True,
                required=False,
                default=100,
                low=1,
                high=RATE_MAX,
            ),
            Parameter(
                name="retry",
                help="When they are told to come again, at most.",
                kind="duration",
                option=True,
                required=False,
                default=RETRY_DEFAULT_S,
                low=0,
                high=86_400,
            ),
        ),
        run=_drain,
        seconds_max=SECONDS_MAX,
    ),
    Command(
        name="undrain",
        role=Role.OPERATOR,
        summary="Take connections again after a drain.",
        help=(
            "Ends what drain began: new connections are taken as before, and a drain that still runs ends with"
            " the number of those it had sent away. Nothing happens if the node isn't draining."
        ),
        example="undrain",
        run=_undrain,
    ),
)
