"""Knobs: list, show, set and reset options of the configuration while the node runs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.knobs.board import Knobs, NoKnob
from admin.knobs.catalogue import FIXED, KNOBS
from admin.knobs.layers import Turned

FOR_MAX_S: Final = 30 * 86_400.0
_NOT_KEPT: Final = "it can't be kept ({}), so nothing was changed: make room on the disk"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _row(name: str, found: tuple[Any, Any, Turned | None]) -> dict[str, Any]:
    value, configured, turned = found
    return {
        "knob": name,
        "value": value,
        "configured": configured,
        "by": turned.by if turned else None,
        "at": _when(turned.at) if turned else None,
        "until": None if turned is None else "for good" if turned.until is None else _when(turned.until),
    }


async def _list(context: Context, arguments: Mapping[str, Any]) -> Any:
    knobs = context.service(Knobs)
    if arguments["fixed"]:
        return [{"option": name, "why it takes a restart": why} for name, why in FIXED.items()]
    rows = [_row(name, knobs.read(name)) for name in KNOBS if knobs.has(name)]
    return [row for row in rows if row["by"] is not None] if arguments["turned"] else rows


async def _show(context: Context, arguments: Mapping[str, Any]) -> Any:
    name = arguments["knob"]
    try:
        row = _row(name, context.service(Knobs).read(name))
    except NoKnob as error:
        raise CommandError(str(error)) from None
    return {**row, "type": type(row["configured"]).__name__, "is": KNOBS[name]}


async def _set(context: Context, arguments: Mapping[str, Any]) -> Any:
    return await turn(context, arguments["knob"], arguments["value"], arguments["for"])


async def turn(context: Context, name: str, word: str, for_s: float | None) -> dict[str, Any]:
    """What came of it, as a row with the value before. Raises CommandError."""
    knobs = context.service(Knobs)
    try:
        before = knobs.read(name)[0]
        await knobs.turn(name, word, context.asker, for_s)
    except NoKnob as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(_NOT_KEPT.format(error.strerror)) from None
    return {**_row(name, knobs.read(name)), "before": before}


async def _reset(context: Context, arguments: Mapping[str, Any]) -> Any:
    name, knobs = arguments["knob"], context.service(Knobs)
    try:
        before = knobs.read(name)[0]
        await knobs.reset(name)
    except NoKnob as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(_NOT_KEPT.format(error.strerror)) from None
    return {**_row(name, knobs.read(name)), "before": before}


_KNOB: Final = Parameter(
    name="knob", help="Its name, as section.key of the configuration.", suggestions=tuple(KNOBS)
)

COMMANDS: Final = (
    Command(
        name="knob list",
        role=Role.VIEWER,
        summary="Options that can be changed while the node runs.",
        help=(
            "For each its value now, what the configuration says, who changed it, when, and until when it holds."
            " --turned shows only those that were changed. --fixed shows the options that take a restart instead,"
            " and why. What an option means, its unit and its bounds are in docs/configuration.md."
        ),
        example="knob list --turned",
        parameters=(
            Parameter(
                name="turned", help="Only those that were changed.", kind="flag", option=True, required=False
            ),
            Parameter(
                name="fixed", help="What takes a restart, and why.", kind="flag", option=True, required=False
            ),
        ),
        run=_list,
    ),
    Command(
        name="knob show",
        role=Role.VIEWER,
        summary="One such option.",
        help=(
            "As a line of knob list, with its type and what it is. An option that takes a restart is refused with"
            " the reason."
        ),
        example="knob show mail.sync_delay_ms",
        parameters=(_KNOB,),
        run=_show,
    ),
    Command(
        name="knob set",
        role=Role.OPERATOR,
        summary="Change an option, for a time or for good.",
        help=(
            "It holds from the next pass of the node's loop on, for everybody. With --for it holds so long, and"
            " then what held before does again; a restart ends it, too. Without, it holds for good: also after a"
            " restart, where it goes before the configuration, until knob reset. The value is checked as the"
            " configuration's is: type, bounds, and relation to other options. Waits that run keep their time,"
            " connections beyond a lowered limit stay, and a rate that is changed begins with a whole burst."
        ),
        example="knob set mail.sync_delay_ms 25 --for 10m",
        parameters=(
            _KNOB,
            Parameter(
                name="value", help="The new value, written as in the configuration, text without quotes."
            ),
            Parameter(
                name="for",
                help="How long it is to hold; left out, for good.",
                kind="duration",
                option=True,
                required=False,
                low=1,
                high=FOR_MAX_S,
            ),
        ),
        run=_set,
    ),
    Command(
        name="knob reset",
        role=Role.OPERATOR,
        summary="Let an option be as the configuration has it.",
        help=(
            "Ends what knob set began, for a time or for good, now and at the next start. Refused if other"
            " options that were changed contradict the configured value: reset those first."
        ),
        example="knob reset mail.sync_delay_ms",
        parameters=(_KNOB,),
        run=_reset,
    ),
)
