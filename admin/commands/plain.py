"""The plainest commands: is the node there, what is it, what does it count, and what can be asked."""

import os
import platform
from collections.abc import Mapping
from typing import Any, Final

import attrs

from admin.backup.service import Backups
from admin.channel.server import AdminServer
from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.commands.words import find_command, shown
from admin.profiling.service import Profiling
from admin.reload.service import Reload
from admin.statistics import replicas
from admin.statistics.service import Statistics
from admin.systemd.supervision import Supervision
from admin.tee.receiver import Receiver
from admin.tee.service import Tee
from admin.upgrade.service import Upgrade
from node.hub.adjusting import is_draining


@attrs.frozen
class Facts:
    """What the composition root knows of the process. started: seconds since 1970."""

    version: str
    data: str
    started: float


async def _ping(context: Context, arguments: Mapping[str, Any]) -> Any:
    return {"time": context.clock(), "asker": context.asker, "role": context.role.title}


async def _info(context: Context, arguments: Mapping[str, Any]) -> Any:
    node, facts = context.node, context.service(Facts)
    return {
        "node": node.node.hex(),
        "version": facts.version,
        "python": platform.python_version(),
        "pid": os.getpid(),
        "data": facts.data,
        "started": facts.started,
        "up_s": round(context.clock() - facts.started, 1),
        "addresses": {name: f"{host}:{port}" for name, host, port in node.addresses},
        "prometheus": _scraped_at(context),
        "draining": is_draining(node.hub),
        "connections": node.hub.counters.connections,
        "sessions": len(node.service.sessions),
    }


def _scraped_at(context: Context) -> str | None:
    found = context.services.get(Statistics)
    if found is None or not found.settings.prometheus_port:
        return None
    host = found.settings.prometheus_host
    return f"{f'[{host}]' if ':' in host else host}:{found.settings.prometheus_port}"


_BESIDE: Final[tuple[tuple[str, type[Any]], ...]] = (
    ("reload", Reload),
    ("backup", Backups),
    ("admin", AdminServer),
    ("systemd", Supervision),
    ("profiling", Profiling),
    ("tee", Tee),
    ("shadow", Receiver),
    ("upgrade", Upgrade),
)
"""What runs beside a node and has statistics."""


async def _stats(context: Context, arguments: Mapping[str, Any]) -> Any:
    found: dict[str, Any] = dict(context.node.statistics())
    for name, kind in _BESIDE:
        if kind in context.services:
            found[name] = context.service(kind).statistics()
    if Statistics in context.services:
        found |= context.service(Statistics).beside()
    part = arguments["part"]
    if context.node.cluster is not None:
        found["replication"] = replicas.figures(context.node.cluster)
    if part is None:
        return found
    for name in part.split("."):
        if not isinstance(found, dict) or name not in found:
            known = ", ".join(map(str, found)) if isinstance(found, dict) else "nothing below it"
            raise CommandError(f"there is no part {shown(part)!r}: {shown(name)!r} isn't among {known}"[:400])
        found = found[name]
    return found


async def _help(context: Context, arguments: Mapping[str, Any]) -> Any:
    words = arguments["words"]
    if not words:
        return [
            {"command": command.usage, "role": command.role.title, "does": command.summary}
            for command in context.commands
        ]
    try:
        command, _ = find_command(context.commands, words)
    except CommandError:
        begun = [one for one in context.commands if one.name.split(" ")[: len(words)] == list(words)]
        if not begun:
            raise
        return [{"command": one.usage, "role": one.role.title, "does": one.summary} for one in begun]
    return {
        "usage": command.usage,
        "role": command.role.title,
        "summary": command.summary,
        "help": command.help,
        "parameters": [
            {"name": parameter.usage, "kind": parameter.kind, "help": parameter.help}
            for parameter in command.parameters
        ],
        "example": f"waystation admin NODE {command.example}",
    }


COMMANDS: Final = (
    Command(
        name="ping",
        role=Role.VIEWER,
        summary="Ask whether the node answers.",
        help=(
            "Answers with the node's clock (seconds since 1970), and the name and role of the key that asked. The"
            " answer comes from the node's own loop: if it is slow, the node is."
        ),
        example="ping",
        run=_ping,
    ),
    Command(
        name="info",
        role=Role.VIEWER,
        summary="What this node is.",
        help=(
            "Its id, version, process and data directory, since when it runs, where phones connect and Prometheus"
            " scrapes, and how many connections and sessions it has. A connection becomes a session with its login."
        ),
        example="info",
        run=_info,
    ),
    Command(
        name="stats",
        role=Role.VIEWER,
        summary="The counts of every part, as they are now.",
        help=(
            "Everything that has statistics: hub, sessions, mail, accounts, store and this channel; of the last second"
            " also the system, garbage collection, the loop, the statistics themselves, and the alarms that stand."
            " Counts run from the node's start; lengths are those of this moment. PART shows one part, or one of its"
            " parts, as mail or store.groups.users. Looking costs the node next to nothing, and changes nothing."
        ),
        example="stats mail",
        parameters=(
            Parameter(name="part", help="Which part; names are put together with points.", required=False),
        ),
        run=_stats,
    ),
    Command(
        name="help",
        role=Role.VIEWER,
        summary="What can be asked, and how.",
        help=(
            "Without words: every command, the role it needs and what it does. With the words of a command: all"
            " about it. With the first word of several: those."
        ),
        example="help stats",
        parameters=(
            Parameter(name="words", help="A command, or its first word.", many=True, required=False),
        ),
        run=_help,
    ),
)
