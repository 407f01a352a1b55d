"""Who may ask, and in which role: a file with a line for each key, read again when it was changed.

    deployer anna  rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7
    viewer   grafana  …

It is the only place where a right is given or taken; the node never writes it after its first start.
"""

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs
import structlog

from admin.channel.errors import KeyNameTaken, KeyNameUnknown, KeysDamaged, KeysExposed
from admin.channel.settings import KEYS_BYTES_MAX, KEYS_MAX
from admin.commands.table import Role
from replication.zeromq.keys import is_public_key
from store.disk import sync_directory

log = structlog.get_logger()

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_ROLES: Final = MappingProxyType({role.title: role for role in Role})
_HEAD: Final = "# Who may operate this node: ROLE NAME PUBLIC-KEY. Roles: viewer, operator, deployer.\n"


@attrs.frozen
class Asker:
    """Somebody who may ask. name: for the audit. key: the public one, in Z85."""

    name: str
    role: Role
    key: str


def read_askers(path: Path) -> tuple[Asker, ...]:
    """Everybody in the file; nobody if there is none.

    Raises:
        KeysDamaged, KeysExposed
        OSError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(KEYS_BYTES_MAX + 1)
    except FileNotFoundError:
        return ()
    if mode & 0o022:
        raise KeysExposed(f"{path} has mode {mode:03o}: others than its owner may write it")
    if len(content) > KEYS_BYTES_MAX:
        raise KeysDamaged(f"{path} has more than {KEYS_BYTES_MAX} bytes", f"list {KEYS_MAX} keys at most")
    return _parse(content.decode("utf-8", "replace"), path)


def _parse(text: str, path: Path) -> tuple[Asker, ...]:
    found: list[Asker] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 3 or words[0] not in _ROLES or not is_name(words[1]) or not is_public_key(words[2]):
            raise KeysDamaged(f"{path}, line {number}, isn't a role, a name and a public key")
        asker = Asker(words[1], _ROLES[words[0]], words[2])
        if any(one.name == asker.name or one.key == asker.key for one in found):
            raise KeysDamaged(f"{path}, line {number}: {asker.name!r} or its key is there twice")
        found.append(asker)
    if len(found) > KEYS_MAX:
        raise KeysDamaged(f"{path} lists {len(found)} keys", f"list {KEYS_MAX} at most")
    return tuple(found)


def is_name(text: str) -> bool:
    """Whether a key can be called so: short, and one word."""
    return _NAME.fullmatch(text) is not None


def role_of(title: str) -> Role:
    """Raises KeyError: there is no such role."""
    return _ROLES[title]


def write_askers(path: Path, askers: tuple[Asker, ...]) -> None:
    """Replace the list, durably and never in part."""
    lines = "".join(f"{one.role.title} {one.name} {one.key}\n" for one in askers)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(_HEAD + lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
    sync_directory(path.parent)


def allow(path: Path, asker: Asker) -> None:
    """Put a key on the list.

    Raises:
        KeyNameTaken, KeysDamaged, KeysExposed, OSError
    """
    askers = read_askers(path)
    if any(one.name == asker.name or one.key == asker.key for one in askers):
        raise KeyNameTaken(f"{asker.name!r}, or its key, is in {path}")
    write_askers(path, (*askers, asker))


def revoke(path: Path, name: str) -> None:
    """Take a key off the list.

    Raises:
        KeyNameUnknown, KeysDamaged, KeysExposed, OSError
    """
    askers = read_askers(path)
    left = tuple(one for one in askers if one.name != name)
    if len(left) == len(askers):
        raise KeyNameUnknown(f"{name!r} is not in {path}")
    write_askers(path, left)


class Keyring:
    """The list as a node holds it. `by_key`: who may ask now."""

    __slots__ = ("_path", "_seen", "by_key", "unread")

    def __init__(self, path: Path) -> None:
        """Raises KeysDamaged, KeysExposed, OSError."""
        self._path = path
        self._seen = self._look()
        self.by_key: Mapping[str, Asker] = MappingProxyType({one.key: one for one in read_askers(path)})
        self.unread = 0

    def refresh(self) -> bool:
        """Read the list again if it was changed; whether it was. What can't be read leaves the old one in force."""
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            askers = read_askers(self._path)
        except (KeysDamaged, KeysExposed, OSError) as error:
            self.unread += 1
            log.error("admin_keys_not_read", cause=str(error), in_force="those that were read before")
            return False
        self.by_key = MappingProxyType({one.key: one for one in askers})
        log.info("admin_keys_read", keys=len(askers))
        return True

    def _look(self) -> tuple[int, int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode
