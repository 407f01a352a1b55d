"""All commands of a node, in one tuple. A module of commands is listed here, and nowhere else."""

from typing import Final

from admin.commands import (
    backup,
    cluster,
    clusterstatus,
    draining,
    glancing,
    knobs,
    logs,
    members,
    plain,
    profiling,
    reload,
    sessions,
    statistics,
    tee,
    tracing,
    upgrade,
    users,
)
from admin.commands.table import Command, in_order

COMMANDS: Final[tuple[Command, ...]] = in_order(
    (
        *plain.COMMANDS,
        *sessions.COMMANDS,
        *users.COMMANDS,
        *logs.COMMANDS,
        *knobs.COMMANDS,
        *draining.COMMANDS,
        *clusterstatus.COMMANDS,
        *cluster.COMMANDS,
        *members.COMMANDS,
        *tracing.COMMANDS,
        *reload.COMMANDS,
        *statistics.COMMANDS,
        *glancing.COMMANDS,
        *profiling.COMMANDS,
        *tee.COMMANDS,
        *backup.COMMANDS,
        *upgrade.COMMANDS,
    )
)
