"""Who asked for what, and what came of it: a JSON object to a line, in files of bounded size.

What changes a node is in `audit.log`, twice: before it is done, so that it is there even if the node doesn't survive
it, and with its result. Who asked for more than his role allows is there too, as often as can't push out what matters.
What only looks, and whatever else was refused, is in `looks.log`.
Arguments that a command calls secret are not written; results that are data aren't either. Lines are given to the
kernel, and not synced: they outlive the node's process, and not always the machine's power.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from admin.channel.keyring import Asker
from admin.channel.settings import (
    AUDIT_KEPT,
    AUDIT_TEXT_MAX,
    FORBIDDEN_AT_ONCE,
    FORBIDDEN_KEYS,
    FORBIDDEN_PER_S,
)
from admin.commands.table import Command, Role
from node.hub.bucket import Bucket

log = structlog.get_logger()

CHANGES: Final = "audit.log"
LOOKS: Final = "looks.log"
HIDDEN: Final = "(not shown)"


class Audit:
    """Writes, and starts new files. `lost`: entries that couldn't be written."""

    __slots__ = ("_bytes_max", "_clock", "_folder", "_forbidden", "_unlisted", "lost", "written")

    def __init__(self, folder: Path, bytes_max: int, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._clock = clock
        self._forbidden: dict[str, Bucket] = {}  # key → what of it may be in the log of changes still
        self._unlisted: Counter[str] = Counter()  # key → what wasn't since
        self.lost = 0
        self.written = 0

    def begun(self, asker: Asker, command: Command, arguments: Mapping[str, Any]) -> None:
        """A change is about to be made.

        Raises:
            OSError: it can't be written down, so it must not be made.
        """
        entry = self._entry(asker, command.name, _shown(command, arguments), "begun")
        self._write(CHANGES, entry)
        log.info("admin", key=asker.name, command=command.name, result="begun")

    def ended(
        self, asker: Asker, command: Command, arguments: Mapping[str, Any], result: str, seconds: float
    ) -> None:
        """What came of it: done, or why not."""
        entry = self._entry(asker, command.name, _shown(command, arguments), result)
        entry["ms"] = round(seconds * 1000)
        changes = command.role > Role.VIEWER
        self._note(CHANGES if changes else LOOKS, entry)
        if changes:
            log.info("admin", key=asker.name, command=command.name, result=entry["result"])

    def refused(self, asker: Asker, name: str, why: str) -> None:
        """A request that wasn't begun. `name`: of the command, if there is such a one; no words of the asker."""
        self._note(LOOKS, self._entry(asker, name, {}, f"refused: {why}"))

    def forbidden(self, asker: Asker, command: Command, arguments: Mapping[str, Any] | None) -> None:
        """Somebody wanted to change what his role doesn't let him. `arguments`: None if they make no sense."""
        result = f"refused: needs the role {command.role.title}"
        if arguments is None:
            result += "; wrong arguments"
        entry = self._entry(asker, command.name, _shown(command, arguments or {}), result)
        if not self._may_list(asker.key):
            self._unlisted[asker.key] += 1
            self._note(LOOKS, entry)
            return
        unlisted = self._unlisted.pop(asker.key, 0)
        if unlisted:
            entry["not_listed_before"] = unlisted
        self._note(CHANGES, entry)
        log.warning("admin", key=asker.name, command=command.name, result=entry["result"])

    def _may_list(self, key: str) -> bool:
        bucket = self._forbidden.get(key)
        if bucket is None:
            if len(self._forbidden) >= FORBIDDEN_KEYS:
                del self._forbidden[next(iter(self._forbidden))]
            bucket = self._forbidden[key] = Bucket(FORBIDDEN_PER_S, FORBIDDEN_AT_ONCE)
        now = self._clock()
        if now < bucket.opens_at:
            return False
        bucket.spend(now)
        return True

    def _entry(self, asker: Asker, name: str, arguments: Mapping[str, Any], result: str) -> dict[str, Any]:
        return {
            "time": datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds"),
            "key": asker.name,
            "role": asker.role.title,
            "command": name,
            "arguments": arguments,
            "result": _shortened(result),
        }

    def _note(self, name: str, entry: dict[str, Any]) -> None:
        try:
            self._write(name, entry)
        except OSError as error:
            self.lost += 1
            log.error("admin_audit_not_written", cause=error.strerror, **entry)

    def _write(self, name: str, entry: dict[str, Any]) -> None:
        path = self._folder / name
        line = msgspec.json.encode(entry) + b"\n"
        descriptor = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            full = os.fstat(descriptor).st_size + len(line) > self._bytes_max
            if not full:
                _write_all(descriptor, line)
        finally:
            os.close(descriptor)
        if full:
            for number in range(AUDIT_KEPT, 0, -1):
                older = path.with_name(f"{name}.{number - 1}") if number > 1 else path
                if older.exists():
                    os.replace(older, path.with_name(f"{name}.{number}"))
            self._write(name, entry)
            return
        self.written += 1


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    if written < len(data):
        raise OSError("the disk took part of an audit line")


def _shown(command: Command, arguments: Mapping[str, Any]) -> dict[str, Any]:
    secret = {parameter.name for parameter in command.parameters if parameter.secret}
    return {name: HIDDEN if name in secret else _plain(value) for name, value in arguments.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _shortened(value)
    if isinstance(value, tuple):
        return _shortened(" ".join(map(str, value)))
    return value


def _shortened(text: str) -> str:
    return text if len(text) <= AUDIT_TEXT_MAX else text[: AUDIT_TEXT_MAX - 1] + "…"
