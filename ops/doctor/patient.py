"""The node that is looked at. Nothing of it is changed, and no lock is taken: a node that starts meanwhile must find
none."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import attrs

from admin.channel.client import Client
from admin.channel.errors import ChannelError, Refused
from admin.channel.messages import Malformed
from admin.channel.roster import Entry
from node.tables import STORE_DIRECTORY
from ops.config import Config, ConfigError, read_config
from replication.zeromq.errors import LinkError
from store.directory import LOCK

ASK_S: Final = 5.0
UNREACHED: Final = (ChannelError, LinkError, Malformed, Refused, OSError)


@attrs.frozen(kw_only=True)
class Patient:
    """config: None if it can't be read, and then `trouble` says why. source: of the configuration. named: whether its
    directory was named by the asker. others: nodes whose clocks are asked. root: where /proc and /sys are. verify_s:
    how long records are read. now: seconds since 1970."""

    source: Path | None
    config: Config | None
    trouble: str = ""
    data: Path
    named: bool = False
    others: tuple[Entry, ...] = ()
    root: Path = Path("/")
    verify_s: float = 5.0
    now: float = attrs.Factory(time.time)

    @classmethod
    def find(cls, source: Path | None, data: Path | None, **more: Any) -> Patient:
        """By its configuration, its directory, or both, as `waystation run` finds it."""
        try:
            config: Config | None = read_config(source)
            trouble = ""
        except ConfigError as error:
            config, trouble = None, str(error)
        if config is not None and data is not None:
            config = attrs.evolve(config, node=attrs.evolve(config.node, data=str(data.absolute())))
        place = config.data if config is not None else (data or Path("data")).absolute()
        return cls(source=source, config=config, trouble=trouble, data=place, named=data is not None, **more)

    @property
    def store(self) -> Path:
        return self.data / STORE_DIRECTORY

    def holder(self) -> int | None:
        """The process that holds the store's lock, as the kernel lists it (proc_locks(5)); None: nobody that is seen
        from here."""
        try:
            inode = (self.store / LOCK).stat().st_ino
            lines = (self.root / "proc/locks").read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            words = line.split()
            if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
                return int(words[4])
        return None


def ask(entry: Entry, *words: str, seconds: float = ASK_S) -> Any:
    """What a node answers to a command. Raises one of UNREACHED."""
    with Client(entry.target()) as client:
        return client.ask(words, seconds_max=seconds)
