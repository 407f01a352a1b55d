"""Connections and sessions: list, find, disconnect. A connection is a phone's socket; a session, one that is logged in.

A node may have a million of them: looking goes in slices, between which the hub has its turns.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from itertools import islice
from typing import Any, Final

import attrs
import trio

from admin.commands.onhub import on_hub
from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.commands.whose import require_no_session_elsewhere
from node.hub.walking import connections_from
from node.session import ASKING, GREETED, NEW, TALKING, Session

LISTED_DEFAULT: Final = 50
LISTED_MAX: Final = 5_000
CLOSED_MAX: Final = 100_000
"""Connections that one command ends."""
CLOSED_AT_ONCE: Final = 100
"""Of these, in one pass of the hub."""

PHASES: Final = ("new", "greeted", "asking", "talking")
assert (NEW, GREETED, ASKING, TALKING) == (0, 1, 2, 3)

REASON: Final = "operator"
"""What the end of such a connection is counted as, in stats hub.closed."""


def described(session: Session) -> dict[str, Any]:
    """A row of a list."""
    return {
        "fd": session.fd,
        "user": f"+{session.user}" if session.user else None,
        "phase": PHASES[session.phase],
        "address": session.address,
        "tls": session.tls is not None,
        "idle_s": session.idle_s,
        "queued_bytes": session.queued_bytes,
    }


async def matching(context: Context, arguments: Mapping[str, Any]) -> AsyncGenerator[Session, None]:
    """Connections that fit, in no order that means something; they may end while this looks."""
    address, idle, phase = arguments["address"], arguments["idle"], arguments["phase"]
    place: int | None = 0
    while place is not None:
        some, place = connections_from(context.node.hub, place)
        for one in some:
            if (
                (address is None or one.address == address)
                and (idle is None or one.idle_s >= idle)
                and (phase is None or PHASES[one.phase] == phase)
            ):
                yield one
        await trio.lowlevel.checkpoint()


_NARROWING: Final = (
    Parameter(name="address", help="Only from this address (of IPv6: its /64).", option=True, required=False),
    Parameter(
        name="idle",
        help="Only those that said nothing for so long.",
        kind="duration",
        option=True,
        required=False,
        low=0,
    ),
    Parameter(name="phase", help="Only those in this phase.", choices=PHASES, option=True, required=False),
)


async def _list(context: Context, arguments: Mapping[str, Any]) -> Any:
    rows = []
    async with aclosing(matching(context, arguments)) as found:
        async for one in found:
            if one.fd >= 0:
                rows.append(described(one))
            if len(rows) >= arguments["limit"]:
                break
    return rows


async def _sessions(context: Context, arguments: Mapping[str, Any]) -> Any:
    rows = []
    for session in islice(context.node.service.sessions.values(), arguments["limit"]):
        assert isinstance(session, Session)
        rows.append(_with_mail(context, session))
    return rows


def _with_mail(context: Context, session: Session) -> dict[str, Any]:
    box = context.node.service.mail.boxes.get(session.user)
    return {
        **described(session),
        "waiting": box.count + box.pending if box is not None else None,
        "in_flight": box.inflight if box is not None else None,
    }


def _no_session(context: Context, number: int) -> CommandError:
    """Raises OtherNode instead, if another node may have it."""
    require_no_session_elsewhere(context, number)
    return CommandError(f"+{number} has no session on this node")


async def _find(context: Context, arguments: Mapping[str, Any]) -> Any:
    session = context.node.service.sessions.get(arguments["number"])
    if session is None:
        raise _no_session(context, arguments["number"])
    assert isinstance(session, Session)
    return _with_mail(context, session)


def say_bye(context: Context, session: Session, retry_ms: int) -> bool:
    """On the hub's task: tell a connection to come again, and close it. Whether it was still there."""
    if session.fd < 0 or session.is_closing:
        return False
    context.node.service.bye(session, retry_ms)
    session.close(REASON)
    return True


async def _disconnect_session(context: Context, arguments: Mapping[str, Any]) -> Any:
    number, retry_ms = arguments["number"], int(arguments["retry"] * 1000)

    def end() -> bool:
        session = context.node.service.sessions.get(number)
        return isinstance(session, Session) and say_bye(context, session, retry_ms)

    if not await on_hub(context, end):
        raise _no_session(context, number)
    return {"disconnected": 1}


async def _disconnect(context: Context, arguments: Mapping[str, Any]) -> Any:
    if all(arguments[name] is None for name in ("address", "idle", "phase")):
        raise CommandError("say which: --address, --idle or --phase; to send all away, see drain")
    ended, limit, retry_ms = 0, arguments["limit"], int(arguments["retry"] * 1000)
    waiting: list[Session] = []
    seen = 0

    def end() -> int:
        return sum(say_bye(context, one, retry_ms) for one in waiting)

    async with aclosing(matching(context, arguments)) as found:
        async for one in found:
            waiting.append(one)
            seen += 1
            if len(waiting) == CLOSED_AT_ONCE or seen == limit:
                ended += await on_hub(context, end)
                waiting = []
            if seen == limit:
                break
    if waiting:
        ended += await on_hub(context, end)
    return {"disconnected": ended}


_LIMIT: Final = Parameter(
    name="limit",
    help="At most so many.",
    kind="integer",
    option=True,
    required=False,
    default=LISTED_DEFAULT,
    low=1,
    high=LISTED_MAX,
)
_RETRY: Final = Parameter(
    name="retry",
    help="When the phone is told to come again.",
    kind="duration",
    option=True,
    required=False,
    default=1.0,
    low=0,
    high=86_400,
)
_NUMBER: Final = Parameter(name="number", help="The phone number, with or without its +.", kind="phone")

COMMANDS: Final = (
    Command(
        name="connections list",
        role=Role.VIEWER,
        summary="Connections of phones, logged in or not.",
        help=(
            "One line for each: descriptor, user if it is known, phase (new: said nothing yet; greeted; asking: a"
            " PIN, a registration or a login is being looked at; talking: logged in), the address that limits"
            " count by, seconds since it last said something, and bytes that the kernel hasn't taken. Options"
            " narrow it down. It goes through all connections in slices, so the list is of no single moment."
        ),
        example="connections list --phase talking --limit 10",
        parameters=(*_NARROWING, _LIMIT),
        run=_list,
    ),
    Command(
        name="connections disconnect",
        role=Role.OPERATOR,
        summary="Send connections away that fit a description.",
        help=(
            "Each is told to come again after --retry, and closed; what was written to it before still goes out."
            " Nothing is lost: what waits for a phone waits. At least one of --address, --idle and --phase must be"
            " given. To keep somebody out for good, block the user."
        ),
        example="connections disconnect --address 192.0.2.7",
        parameters=(
            *_NARROWING,
            _RETRY,
            attrs.evolve(_LIMIT, default=CLOSED_MAX, high=CLOSED_MAX),
        ),
        run=_disconnect,
    ),
    Command(
        name="sessions list",
        role=Role.VIEWER,
        summary="Sessions, those who logged in first at the top.",
        help=(
            "As connections list, and with it how many messages wait for the user on this node (-: the mailbox isn't in"
            " memory), and how many of these the session has been sent and not acknowledged."
        ),
        example="sessions list --limit 10",
        parameters=(_LIMIT,),
        run=_sessions,
    ),
    Command(
        name="sessions find",
        role=Role.VIEWER,
        summary="The session of one user.",
        help=(
            "The line of sessions list for one phone number. Refused if the user has no session on this node. In a"
            " cluster the primary of the number says then which member has it, and another member names the primary;"
            " with --all it is found wherever it is."
        ),
        example="sessions find +15551230001",
        parameters=(_NUMBER,),
        run=_find,
    ),
    Command(
        name="sessions disconnect",
        role=Role.OPERATOR,
        summary="End the session of one user.",
        help=(
            "The phone is told to come again after --retry, and its connection closed. Nothing is lost. Where the user"
            " has no session on this node, it says whom to ask, as sessions find does. To keep a user out, see user"
            " block."
        ),
        example="sessions disconnect +15551230001 --retry 5s",
        parameters=(_NUMBER, _RETRY),
        run=_disconnect_session,
    ),
)
