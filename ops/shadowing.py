"""A node as a shadow: what live nodes tee is played here, and nothing of it reaches anybody.

A shadow has a directory of its own, known by its key file: real mail would be acknowledged away by guests, and a real
node must never serve what guests have said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import trio

from admin.tee.receiver import Receiver
from admin.tee.settings import ShadowSettings
from node.running import Running
from node.tables import STORE_DIRECTORY
from ops.config import Config, ConfigError
from replication.zeromq.keys import ensure_key_file

KEY: Final = "shadow.key"


class Shadowing:
    """Of one node, made before it is opened. Raises KeyFileExposed, KeyFileDamaged, OSError."""

    def __init__(self, settings: ShadowSettings, data: Path) -> None:
        self._settings = settings
        self._keys = ensure_key_file(data / KEY, "of this shadow, for the nodes that tee to it")

    async def run(
        self, running: Running, *, task_status: trio.TaskStatus[Receiver] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Listen until cancelled. Tells who receives.

        Raises:
            PlaceUnusable
        """
        receiver = Receiver(self._settings, self._keys, running)
        async with trio.open_nursery() as nursery:
            await nursery.start(receiver.run)
            task_status.started(receiver)


def check_directory(config: Config) -> None:
    """Before anything is made in it.

    Raises:
        ConfigError: it is a real node's, and this one is to be a shadow; or the other way round.
    """
    data, settings = config.data, config.shadow
    is_shadows = (data / KEY).exists()
    if settings.enabled and not is_shadows and (data / STORE_DIRECTORY).exists():
        raise ConfigError(
            f"{data} is the directory of a node that serves phones: give a shadow another one (node.data)"
        )
    if is_shadows and not settings.enabled:
        raise ConfigError(
            f"{data} is the directory of a shadow, which holds no real mail: run it with --shadow, or set node.data"
        )
    if settings.enabled and not settings.allow:
        raise ConfigError(
            "shadow.allow is empty: list the key of the live node, as `waystation admin NODE tee status` shows it"
        )
