"""The files of the channel, `admin/` in the data directory. Made at the first start, for the node's user only.

node.key     the node's secret; node.pub beside it, for whoever connects from elsewhere
local.key    the secret of the key `local`, a deployer: who can read this file owns the node's files anyway
authorised   who may ask (see keyring)
socket       where the node listens, unless admin.listen says otherwise
audit.log    what was changed, by whom (see audit)
"""

import os
from pathlib import Path
from typing import Final

import attrs

from admin.channel.keyring import Asker, write_askers
from admin.commands.table import Role
from replication.zeromq.keys import Keys, ensure_key_file
from store.disk import sync_directory

FOLDER: Final = "admin"
DATA: Final = "data"
"""What a data directory is called in a node's own directory, unless its configuration has another name."""
LOCAL: Final = "local"
"""The name of the key that a node makes for its own machine."""


def data_in(place: Path) -> Path:
    """The data directory that a path stands for: itself, or `data` in it, with a node's configuration beside that."""
    inner = place / DATA
    return inner if (inner / FOLDER).is_dir() and not (place / FOLDER).is_dir() else place


@attrs.frozen
class Folder:
    """Its paths. Nothing is made by asking for them."""

    path: Path

    @classmethod
    def of(cls, data: Path) -> "Folder":
        """That of the node with this data directory."""
        return cls(data / FOLDER)

    @property
    def node_key(self) -> Path:
        return self.path / "node.key"

    @property
    def node_public(self) -> Path:
        return self.path / "node.pub"

    @property
    def local_key(self) -> Path:
        return self.path / "local.key"

    @property
    def authorised(self) -> Path:
        return self.path / "authorised"

    @property
    def socket(self) -> Path:
        return self.path / "socket"

    @property
    def address(self) -> Path:
        """Where the node listens now, as text, for clients that know only the directory."""
        return self.path / "address"


def ensure_folder(folder: Folder) -> Keys:
    """Make what is missing; gives the node's pair.

    A list of keys that was emptied stays empty: only where there is none `local` is put on it.

    Raises:
        KeyFileExposed, KeyFileDamaged
        OSError: something can't be read or made.
    """
    folder.path.mkdir(mode=0o700, exist_ok=True)
    os.chmod(folder.path, 0o700)
    sync_directory(folder.path.parent)
    keys = ensure_key_file(folder.node_key, "of this node, for those who operate it")
    if not folder.node_public.exists() or folder.node_public.read_text("utf-8").strip() != keys.public:
        folder.node_public.write_text(f"{keys.public}\n", "utf-8")
    if not folder.authorised.exists():
        local = ensure_key_file(folder.local_key, "with which this machine operates the node")
        write_askers(folder.authorised, (Asker(LOCAL, Role.DEPLOYER, local.public),))
    return keys
