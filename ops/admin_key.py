"""`waystation admin-key`: who may operate a node. Works on files, whether the node runs or not; a running one notices.

Rights are given and taken here only, by whoever may write the data directory; never over the channel itself.
"""

import sys
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from admin.channel.errors import ChannelError, KeyNameTaken, KeysDamaged
from admin.channel.folder import Folder, ensure_folder
from admin.channel.keyring import Asker, allow, is_name, read_askers, revoke, role_of
from admin.shell.rendering import console, show
from ops.failures import told
from replication.zeromq.errors import LinkError
from replication.zeromq.keys import ensure_key_file, is_public_key
from store.directory import make_directory

app = App(name="admin-key", help="Who may operate a node: keys and their roles.")

Data = Annotated[Path, Parameter(help="The node's data directory; made if it isn't there.")]
_DATA: Final = Path("data")


@app.command
def make(file: Annotated[Path, Parameter(help="Where to put the secret key.")]) -> None:
    """Make a key pair for somebody who is to operate nodes, and print its public key.

    Run it where the key is to be used: the secret stays there. A file that is there is left as it is.
    """
    with told(LinkError, OSError):
        sys.stdout.write(f"{ensure_key_file(file, 'of somebody who operates nodes').public}\n")


@app.command(name="allow")
def allow_(
    name: Annotated[str, Parameter(help="Whose key it is, as the audit shall name him.")],
    role: Annotated[
        Literal["viewer", "operator", "deployer"],
        Parameter(help="viewer looks; operator changes what the node does; deployer changes its code, too."),
    ],
    key: Annotated[str, Parameter(help="The public key, as make printed it.", allow_leading_hyphen=True)],
    *,
    data: Data = _DATA,
) -> None:
    """Let a key in."""
    with told(ChannelError, LinkError, OSError):
        if not is_name(name):
            raise KeyNameTaken(f"{name!r} can't be a name", "choose letters, digits and . _ @ -, 64 at most")
        if not is_public_key(key):
            raise KeysDamaged("that is no public key", "give the 40 characters that admin-key make printed")
        allow(_folder(data).authorised, Asker(name, role_of(role), key))


@app.command(name="revoke")
def revoke_(
    name: Annotated[str, Parameter(help="As it was allowed.")],
    *,
    data: Data = _DATA,
) -> None:
    """Keep a key out, at once: what it has running is ended, and its connections aren't heard any more."""
    with told(ChannelError, LinkError, OSError):
        revoke(_folder(data).authorised, name)


@app.command(name="list")
def list_(*, data: Data = _DATA) -> None:
    """Show who may operate the node, and the node's own public key."""
    with told(ChannelError, LinkError, OSError):
        folder = _folder(data)
        askers = read_askers(folder.authorised)
        rows = [{"name": one.name, "role": one.role.title, "key": one.key} for one in askers]
        show({"node": folder.node_public.read_text("utf-8").strip()}, console(sys.stdout))
        show(rows, console(sys.stdout))


def _folder(data: Path) -> Folder:
    make_directory(data)
    folder = Folder.of(data)
    ensure_folder(folder)
    return folder
