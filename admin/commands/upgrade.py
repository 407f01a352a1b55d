"""Replace a node's process by a new one, with its plain connections kept: for code that can't be hot-loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from admin.commands.table import SECONDS_MAX, Command, CommandError, Context, Parameter, Role
from admin.upgrade.errors import UpgradeError
from admin.upgrade.service import Upgrade

RETRY_DEFAULT_S: Final = 30.0


async def _upgrade(context: Context, arguments: Mapping[str, Any]) -> Any:
    command = arguments["command"]
    if command is not None and not Path(command).is_absolute():
        raise CommandError(f"{command} isn't an absolute path: it is a file on the node's machine")
    try:
        return await context.service(Upgrade).run(command, arguments["retry"], context.tell)
    except UpgradeError as error:
        raise CommandError(str(error)) from None


COMMANDS: Final = (
    Command(
        name="upgrade",
        role=Role.DEPLOYER,
        summary="Replace the node's process by a new one, with every plain connection kept.",
        help=(
            "A new process is started as this one was, or by the waystation command COMMAND: an absolute path, on the"
            " node's machine. It imports its code and reads the configuration anew; if it can't, nothing happens, and"
            " what it said is shown. Then TLS clients are told to come again after a time drawn from 0 to --retry (10 s"
            " at most are they waited for), and new connections wait in the kernel's queue. Plain connections stand"
            " still while everything is written, the store is closed, and the new process takes over ports,"
            " connections, sessions, and what is in flight. Phones on them notice a pause, which the result tells;"
            " nothing is lost or overtaken. If the new process fails up to then, this one serves on, with all plain"
            " connections. The channel answers again after a moment. A member of a cluster first hands the partitions"
            " that it serves to other members, as at a stop, and gets them back as after a start."
        ),
        example="upgrade",
        parameters=(
            Parameter(name="command", help="Another waystation command.", required=False),
            Parameter(
                name="retry",
                help="When TLS clients are told to come again, at most.",
                kind="duration",
                option=True,
                required=False,
                default=RETRY_DEFAULT_S,
                low=0,
                high=86_400,
            ),
        ),
        run=_upgrade,
        seconds_max=SECONDS_MAX,
    ),
)
