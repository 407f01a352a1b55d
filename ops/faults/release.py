"""Another release of this code, to have nodes of two releases in one cluster: a copy of the packages with a higher
version, whose nodes say more than those of this one, and say it from the first word on.

Each message between members has something at its end, words of links too; each node's row in the roster has one field
more; and on every channel messages come with a code that is new. One more code is said only when everybody speaks the
new version: it must never reach a node of this release. This module must never start a process.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from replication.clustersettings import SPEAKS

PACKAGES: Final = ("store", "replication", "node", "admin", "client", "ops")
ROOT: Final = Path(__file__).resolve().parents[2]
NEW: Final = 201
"""The code that is new."""
AGREED: Final = 202
"""The one that is said when all speak the version that has it."""

_SPEAKS: Final = re.compile(r"^SPEAKS: Final = \(\d+, \d+\)$", re.MULTILINE)
_WORDS: Final = """

_say, _encode_message = say, encode_message


def say(kind, *words):
    return _say(kind, *words, "of a later release")


def encode_message(message):
    if not isinstance(message, (list, tuple)):
        return _encode_message(message)
    return _encode_message((*message, ["of a later release", None]))


def alone(message):
    return encode_message(cbor2.loads(message))
"""
_MEMBERSHIP: Final = """

_init = Membership.__init__


def _init_and_say_more(self, *arguments):
    _init(self, *arguments)
    self._intents._own["rest"] = ("of a later release",)


Membership.__init__ = _init_and_say_more
"""
_CLUSTER: Final = """

_tick = Cluster.tick


def _tick_and_say_what_is_new(self):
    _tick(self)
    for peer in self.nodes:
        for channel in (None, *self._hearing.groups_on, *self._hearing.channels):
            if peer != self.me:
                self.links.send(peer, channel, ({new}, "new"))
                if self.membership.spoken >= {version}:
                    self.links.send(peer, channel, ({agreed}, "agreed"))


Cluster.tick = _tick_and_say_what_is_new
"""


class ReleaseError(Exception):
    """The copy can't be changed: the code isn't what this module takes it for."""


def make_release(folder: Path, ahead: int = 1) -> Path:
    """Make the release that is so many ahead of this one; what is to come first in PYTHONPATH for it.

    Raises:
        ReleaseError, OSError
    """
    tree = folder / f"ahead-{ahead}"
    for package in PACKAGES:
        # What is compiled, too: it goes by the time of its source.
        shutil.copytree(ROOT / package, tree / package)
    low, high = SPEAKS[1] + ahead - 1, SPEAKS[1] + ahead
    settings = tree / "replication" / "clustersettings.py"
    text, changed = _SPEAKS.subn(f"SPEAKS: Final = ({low}, {high})", settings.read_text("utf-8"))
    if changed != 1:
        raise ReleaseError(f"SPEAKS is in {settings.name} {changed} times, not once")
    settings.write_text(text, "utf-8")
    _append(tree / "replication" / "zeromq" / "words.py", _WORDS)
    _append(tree / "replication" / "membership" / "membership.py", _MEMBERSHIP)
    _append(tree / "replication" / "cluster.py", _CLUSTER.format(new=NEW, agreed=AGREED, version=high))
    told = tree / "waystation.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: waystation\nVersion: {version(ahead)}\n", "utf-8"
    )
    return tree


def version(ahead: int) -> str:
    """What it calls itself."""
    return f"{ahead}000.0"


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
