"""New code into a node that runs: look at it, put it in place, take it back, see what was done.

What may be replaced and how is `admin.reload`'s part.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.reload.errors import NothingToReload, NothingToRollBack, ReloadError
from admin.reload.service import Reload

WATCH_S_MAX: Final = 3_600
ENTRIES_DEFAULT: Final = 20
SECONDS_MAX: Final = 120.0
"""The inspection has 90 s of these."""

_WHEEL: Final = Parameter(
    name="wheel",
    help="Path of a wheel on the node's machine, instead of the files that the node was started from.",
    required=False,
)


def _wheel(arguments: Mapping[str, Any]) -> Path | None:
    return Path(arguments["wheel"]).absolute() if arguments["wheel"] else None


async def _plan(context: Context, arguments: Mapping[str, Any]) -> Any:
    try:
        return (await context.service(Reload).plan(_wheel(arguments))).told()
    except ReloadError as error:
        raise CommandError(str(error)) from error


async def _apply(context: Context, arguments: Mapping[str, Any]) -> Any:
    reload = context.service(Reload)
    try:
        return await reload.apply(
            context.asker, _wheel(arguments), only=arguments["plan"] or "", watch_s=arguments["watch"]
        )
    except NothingToReload:
        return {"state": "nothing differs", "id": reload.statistics()["version"]}
    except ReloadError as error:
        raise CommandError(str(error)) from error


async def _rollback(context: Context, arguments: Mapping[str, Any]) -> Any:
    reload = context.service(Reload)
    try:
        return await reload.rollback(context.asker, only=arguments["plan"] or "")
    except NothingToRollBack:
        return {"state": "nothing to roll back", "version": reload.statistics()["version"]}
    except ReloadError as error:
        raise CommandError(str(error)) from error


async def _history(context: Context, arguments: Mapping[str, Any]) -> Any:
    entries = context.service(Reload).history()[-arguments["last"] :]
    return [
        {
            "id": one["id"],
            "at": one.get("at", 0.0),
            "who": one.get("who", ""),
            "state": one.get("state", ""),
            "version": one.get("version", ""),
            "before": one.get("before", ""),
            "modules": len(one.get("modules", ())),
            "pause_ms": one.get("pause_ms"),
            "rolled_back_by": one.get("rolled_back_by"),
            "cause": one.get("cause", ""),
        }
        for one in entries
    ]


async def _versions(context: Context, arguments: Mapping[str, Any]) -> Any:
    prefix = arguments["prefix"] or ""
    versions = context.service(Reload).versions()
    return {name: version for name, version in versions.items() if name.startswith(prefix)}


COMMANDS: Final = (
    Command(
        name="reload plan",
        role=Role.DEPLOYER,
        summary="What differs between the code that runs and the files on disk.",
        help=(
            "Compares every module that runs with its file (or with a wheel), function by function; lines alone are"
            " no difference. A process of its own compiles and imports the new version first, at low priority."
            " `changed` is what another body would come to, `refused` says what can't be loaded into a running node,"
            " why, and what to do instead; one refusal refuses all. Nothing is touched. `id` names exactly these"
            " files: give it to `reload apply --plan`."
        ),
        example="reload plan",
        parameters=(_WHEEL,),
        run=_plan,
        seconds_max=SECONDS_MAX,
    ),
    Command(
        name="reload apply",
        role=Role.DEPLOYER,
        summary="Put the new code in place, between two batches; all of it or nothing.",
        help=(
            "Plans as `reload plan` does, and if nothing is refused swaps every changed function at one point between"
            " two batches of the hub: every connection and every message stays. Then the node is watched: if errors,"
            " the loop's lag or the backlog get worse than in the minute before, the change is taken back by itself,"
            " unless live state was changed by a `code_change` without an inverse; with it all that followed while it"
            " was watched. No file is written: a node starts with what is on disk. A wheel is therefore in effect until"
            " the next start only."
        ),
        example="reload apply --watch 10s",
        parameters=(
            _WHEEL,
            Parameter(
                name="plan",
                option=True,
                required=False,
                help="The id of a plan: if the files are others by now, nothing is done.",
            ),
            Parameter(
                name="watch",
                option=True,
                required=False,
                kind="duration",
                low=0,
                high=WATCH_S_MAX,
                help="How long it is watched; 0s: not at all. Default: 60s.",
            ),
        ),
        run=_apply,
        seconds_max=SECONDS_MAX,
    ),
    Command(
        name="reload rollback",
        role=Role.DEPLOYER,
        summary="Take the last reload back that is in effect.",
        help=(
            "Everything is as it was before that reload, at one point between two batches; again, and the one before"
            " it is taken back, too. The files on disk are not touched: put the right ones in place, or the next start"
            " takes the ones that were rolled back."
        ),
        example="reload rollback",
        parameters=(
            Parameter(
                name="plan",
                option=True,
                required=False,
                help="The id of a plan: if the last reload in effect is of another, nothing is done.",
            ),
        ),
        run=_rollback,
    ),
    Command(
        name="reload history",
        role=Role.VIEWER,
        summary="Who reloaded what and when, and what came of it.",
        help=(
            "One row for each reload that was asked for, kept across starts. `state`: refused, failed (all was taken"
            " back), watched (it still is), kept, rolled_back (`rolled_back_by` says by whom: a key, or the health"
            " watch; `cause` why), cut_off (the node ended meanwhile and started again from the files on disk)."
        ),
        example="reload history",
        parameters=(
            Parameter(
                name="last",
                option=True,
                required=False,
                kind="integer",
                default=ENTRIES_DEFAULT,
                low=1,
                high=1_000,
                help="How many rows; the newest are last.",
            ),
        ),
        run=_history,
    ),
    Command(
        name="reload versions",
        role=Role.VIEWER,
        summary="The version of every module that runs.",
        help=(
            "A module's version is a hash of its source: the same text has the same version on every node. The version"
            " of all of them together is `stats reload.version`, where those of reloaded modules stand, too."
        ),
        example="reload versions node.mail",
        parameters=(Parameter(name="prefix", help="Only modules whose name begins so.", required=False),),
        run=_versions,
    ),
)
