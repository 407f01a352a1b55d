"""Empty a node before it is stopped: take nobody more, and send those who are there away at a rate; a member of a
cluster hands over the partitions that it serves, too.

Everybody at once, as a stop does it, comes back at once, too: to the node's neighbours, or to itself.
"""

import math
import random
from collections.abc import Mapping
from typing import Any, Final

import trio

from admin.commands.cluster import Done
from admin.commands.sessions import say_bye
from admin.commands.table import SECONDS_MAX, Command, CommandError, Context, Parameter, Role
from node.hub.adjusting import is_draining, set_draining
from node.hub.walking import connections_from
from node.session import Session
from replication.cluster import Cluster

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
    hub, cluster, rate = context.node.hub, context.node.cluster, arguments["rate"]
    stays = await _emptied(cluster)
    set_draining(hub, True)
    away = _Away(context, math.ceil(arguments["retry"] * 1000))
    budget = 0.0
    told_at = trio.current_time()
    while hub.counters.connections or (_served(cluster) and not stays):
        if not is_draining(hub):
            raise CommandError(
                f"undrain ended it: {away.sent} were sent away, {hub.counters.connections} are here"
            )
        budget = min(budget + rate * STEP_S, rate)
        away.send(int(budget))
        budget -= int(budget)
        if trio.current_time() - told_at >= TOLD_EVERY_S:
            told_at = trio.current_time()
            context.tell(
                {
                    "sent_away": away.sent,
                    "left": hub.counters.connections,
                    "partitions_left": _served(cluster),
                }
            )
        await trio.sleep(STEP_S)
    mail = context.node.service.mail
    return {
        "sent_away": away.sent,
        "left": 0,
        "partitions_left": _served(cluster),
        **({"hint": stays} if stays else {}),
        "unwritten_bytes": mail.pending_bytes,
        "unwritten_pairs": len(mail.dirty),
    }


async def _emptied(cluster: Cluster | None) -> str:
    """Has a member begin to hand over what it serves. Or gives why that stays here: phones go all the same."""
    if cluster is None:
        return ""
    try:
        with Done():
            await cluster.operate.empty()
    except CommandError as error:
        return f"partitions stay here: {error}"
    return ""


def _served(cluster: Cluster | None) -> int:
    """Partitions that are to be handed over still."""
    return 0 if cluster is None else cluster.operate.served()


async def _undrain(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = context.node.cluster
    was = is_draining(context.node.hub) or (cluster is not None and cluster.operate.is_emptying())
    set_draining(context.node.hub, False)
    if cluster is not None:
        with Done():
            await cluster.operate.stay()
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
            " what waits for a phone waits. A member of a cluster is shown as leaving meanwhile, and hands over what"
            " it serves, each partition held up for less than half a second; it ends when it serves none, and copies"
            " that it held are made elsewhere afterwards. The node goes on refusing, until undrain or its next start,"
            " also if this command is ended before its time; a member gets partitions again after undrain only,"
            " however often it is started."
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
            " the number of those it had sent away. A member of a cluster becomes active again, and its partitions"
            " come back by and by, as after any change of members. Nothing happens if the node isn't draining."
        ),
        example="undrain",
        run=_undrain,
    ),
)
