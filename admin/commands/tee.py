"""A share of the node's traffic, said again to a test node: begin, end, look at both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from admin.channel.errors import PlaceUnusable
from admin.channel.place import Place
from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.tee.receiver import Receiver
from admin.tee.sender import CONNECTING
from admin.tee.service import Already, Tee
from replication.zeromq.errors import LinkError
from replication.zeromq.keys import is_public_key

FOR_MAX: Final = 7 * 86_400.0


async def _start(context: Context, arguments: Mapping[str, Any]) -> Any:
    if Receiver in context.services:
        raise CommandError("this node is a shadow itself: start the tee on a live one")
    try:
        place = Place.parse(arguments["address"])
    except PlaceUnusable as error:
        raise CommandError(str(error)) from None
    if not is_public_key(arguments["key"]):
        raise CommandError(
            "KEY is no public key: give the 40 characters that the test node logs at its start, in quotes"
        )
    tee = context.service(Tee)
    try:
        await tee.start(place, arguments["key"], arguments["share"], arguments["for"])
    except Already:
        raise CommandError("there is a tee already: tee stop ends it") from None
    except (LinkError, OSError) as error:
        raise CommandError(f"this node's key for tees can't be used: {error}") from None
    status = tee.status()
    if status["state"] == CONNECTING:
        why = status["trouble"] or "no answer yet"
        return {
            "hint": f"not connected ({why}): it is tried until --for is over or tee stop; see tee status",
            **status,
        }
    return status


async def _stop(context: Context, arguments: Mapping[str, Any]) -> Any:
    return await context.service(Tee).stop() or {"state": "off"}


async def _status(context: Context, arguments: Mapping[str, Any]) -> Any:
    found: dict[str, Any] = {}
    if Receiver in context.services:
        receiver = context.service(Receiver)
        return {"state": "shadow", "key": receiver.public, **receiver.statistics()}
    tee = context.service(Tee)
    try:
        found["key"] = tee.public()
    except (LinkError, OSError) as error:
        found["key"] = f"can't be used: {error}"
    return {**tee.status(), **found}


async def _stats(context: Context, arguments: Mapping[str, Any]) -> Any:
    return context.service(Tee).compared()


COMMANDS: Final = (
    Command(
        name="tee start",
        role=Role.OPERATOR,
        summary="Say a share of the phones' frames again to a test node.",
        help=(
            "From now on what the chosen users say after login also goes to the test node at ADDRESS, known by its"
            " public KEY, which runs with --shadow. Users are chosen by a hash, always the same for a share. Frames"
            " go as they are, but each body is replaced by as many other bytes before it leaves this node; logins,"
            " PINs and keys don't go. It never waits for the test node: a bounded buffer, a tenth of the loop's time"
            " at most, and what is beyond is dropped and counted. The connection is made anew whenever it is lost,"
            " until --for is over or tee stop; a hint says if it isn't there after two seconds. One tee at a time."
        ),
        example="tee start 127.0.0.1:7450 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7' --share 0.05 --for 10m",
        parameters=(
            Parameter(name="address", help="host:port, [IPv6]:port or ipc:///path of the test node."),
            Parameter(name="key", help="The test node's public key."),
            Parameter(
                name="share",
                help="Of the users, from 0 to 1.",
                kind="number",
                option=True,
                required=False,
                default=0.05,
                low=0.0001,
                high=1,
            ),
            Parameter(
                name="for",
                help="End it by itself after so long.",
                kind="duration",
                option=True,
                required=False,
                low=1,
                high=FOR_MAX,
            ),
        ),
        run=_start,
    ),
    Command(
        name="tee stop",
        role=Role.OPERATOR,
        summary="End the tee.",
        help=(
            "Nothing more is said to the test node, which lets its guests go a few seconds later. The result is what"
            " tee status would have shown; nothing happens if there is no tee."
        ),
        example="tee stop",
        run=_stop,
    ),
    Command(
        name="tee status",
        role=Role.VIEWER,
        summary="Whether there is a tee, what it sent and dropped, and this node's key for it.",
        help=(
            "key is what the test node's shadow.allow must list. state: off; connecting (trouble says why); on. dropped"
            " are reads that had no room in the buffer: then share_now becomes smaller, until all of it can be carried;"
            " stalled how often the test node took no more, left_out frames"
            " that aren't carried, work_share what of the loop's time it took beside the hub's passes. On a shadow:"
            " who tees to it, and its guests."
        ),
        example="tee status",
        run=_status,
    ),
    Command(
        name="tee stats",
        role=Role.VIEWER,
        summary="The live node and its shadow side by side.",
        help=(
            "Nothing without a tee. Since it was last connected, a row for each figure: frames of the share by kind, in"
            " and out; error frames by name; failures of handlers; and of each node as a whole, quantiles of latencies"
            " and of the loop's lag, and CPU. The shadow's are at most a second or two old. What the shadow knows is"
            " the share only: a chosen phone's messages for one that isn't chosen wait there for ever."
        ),
        example="tee stats",
        run=_stats,
    ),
)
