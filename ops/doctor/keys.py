"""Keys of the node, who may operate it, and files that others can read. No secret is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from admin.channel.errors import ChannelError
from admin.channel.folder import Folder
from admin.channel.keyring import read_askers
from admin.commands.table import Role
from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import Patient
from replication.zeromq.errors import LinkError
from replication.zeromq.keys import KEY_FILE, read_key_file

ABOUT: Final = "keys"


def check(patient: Patient) -> Iterator[Finding]:
    data, folder = patient.data, Folder.of(patient.data)
    if not data.exists():
        yield skipped(ABOUT, f"{data} isn't there yet: the node makes it, and its keys, at the first start")
        return
    if data.stat().st_mode & 0o077:
        yield bad(ABOUT, f"others than its owner may look into {data}", f"chmod 700 {data}")
    secrets = (
        folder.node_key,
        folder.local_key,
        folder.path / "tee.key",
        data / KEY_FILE,
        data / "shadow.key",
    )
    found = [path for path in secrets if path.exists()]
    if not found:
        yield skipped(ABOUT, "there are none yet: the node makes them at its first start")
    troubles = [trouble for path in found if (trouble := _trouble(path)) is not None]
    yield from troubles
    if folder.authorised.exists():
        yield from _askers(folder)
    elif found:
        yield warning(
            ABOUT,
            f"{folder.authorised} isn't there: nobody is on the list of those who may operate the node",
            "start the node once, which makes it",
        )
    if found and not troubles:
        yield good(ABOUT, f"{len(found)} secret keys, each for its owner only")


def _trouble(path: Path) -> Finding | None:
    try:
        read_key_file(path)
    except LinkError as error:
        return bad(ABOUT, error.cause, error.remedy)
    except OSError as error:
        return bad(ABOUT, f"{path} can't be read: {error.strerror}", "run this as the node's user")
    return None


def _askers(folder: Folder) -> Iterator[Finding]:
    try:
        askers = read_askers(folder.authorised)
    except ChannelError as error:
        yield bad(ABOUT, str(error), "correct the list; a running node goes on with what it had read before")
        return
    except OSError as error:
        yield bad(
            ABOUT, f"{folder.authorised} can't be read: {error.strerror}", "run this as the node's user"
        )
        return
    roles = {role: sum(one.role == role for one in askers) for role in Role}
    told = ", ".join(f"{count} {role.title}" for role, count in roles.items() if count)
    if not askers:
        yield warning(
            ABOUT, "nobody may operate this node", "waystation admin-key allow NAME ROLE KEY --data DIRECTORY"
        )
    else:
        yield good(ABOUT, f"who may operate it: {told}")
