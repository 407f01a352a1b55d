"""A copy of a node's data while it serves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from admin.backup.service import BackupFailed, Backups
from admin.commands.table import SECONDS_MAX, Command, CommandError, Context, Parameter, Role

RATE_DEFAULT_MIB: Final = 50
RATE_MAX_MIB: Final = 10_000


async def _backup(context: Context, arguments: Mapping[str, Any]) -> Any:
    try:
        return await context.service(Backups).make(Path(arguments["folder"]), arguments["rate"], context.tell)
    except BackupFailed as error:
        raise CommandError(str(error)) from None


COMMANDS: Final = (
    Command(
        name="backup",
        role=Role.OPERATOR,
        summary="Copy this node's data to a directory of its machine, and read the copy back.",
        help=(
            "Makes a directory below FOLDER, called by the node's id and the time: a data directory with the tables,"
            " and what phones and other nodes know the node by. Everything that was accepted before it began is in it."
            " A process of its own at the lowest priority copies at --rate and then checks every record's checksum,"
            " the indexes and the counts; the hash of each file is kept in backup.json. Progress is told each second;"
            " Ctrl-C ends it, and nothing is left. It has bodies and private keys in it: guard it. `waystation"
            " restore` makes a data directory of it."
        ),
        example="backup /var/backups/waystation --rate 20",
        parameters=(
            Parameter(
                name="folder",
                help="A directory on the node's machine, as a whole path; made if the one above it is there.",
            ),
            Parameter(
                name="rate",
                kind="integer",
                option=True,
                required=False,
                default=RATE_DEFAULT_MIB,
                low=1,
                high=RATE_MAX_MIB,
                help="How many MiB are copied in a second, at most.",
            ),
        ),
        run=_backup,
        seconds_max=SECONDS_MAX,
    ),
)
