"""The tee of a live node: at most one, started and stopped by an operator, or ended by its time.

Made for the loop's thread, between two passes of the hub, as commands are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import attrs
import structlog
import trio

from admin.channel.place import Place
from admin.tee.figures import side_by_side
from admin.tee.sender import Sender
from admin.tee.settings import BUFFER_BYTES_MAX, BUFFER_ENTRIES_MAX
from admin.tee.tap import Counts, Tapping
from node import tapping
from node.running import Running
from replication.zeromq.keys import Keys, ensure_key_file

log = structlog.get_logger()

KEY: Final = "tee.key"
FIRST_WAIT_S: Final = 2.0
"""How long a start waits for the connection; after that it goes on being tried."""


class Already(Exception):
    """There is a tee."""


@attrs.define
class _Running:
    """The tee there is."""

    place: Place
    share: float
    until: float | None
    tap: Tapping
    sender: Sender
    scope: trio.CancelScope
    before: Counts
    began: float
    ended: trio.Event = attrs.Factory(trio.Event)


class Tee:
    """Of one live node.

    Args:
        folder: where its key is kept.
    """

    def __init__(self, running: Running, folder: Path) -> None:
        self._node = running
        self._folder = folder
        self._counts = Counts()
        self._now: _Running | None = None
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """What tees run in, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def public(self) -> str:
        """The key that a test node must allow; made when it is first asked for.

        Raises:
            KeyFileExposed, KeyFileDamaged
            OSError
        """
        return self._keys().public

    def _keys(self) -> Keys:
        return ensure_key_file(self._folder / KEY, "with which this node tees to test nodes")

    async def start(self, place: Place, node_key: str, share: float, for_s: float | None) -> None:
        """Begin; returns when the test node is connected, or when it wasn't for a while.

        Raises:
            Already
            KeyFileExposed, KeyFileDamaged
            OSError
        """
        assert self._nursery is not None, "running"
        if self._now is not None:
            raise Already
        tap = Tapping(share, self._counts)
        sender = Sender(place, node_key, self._keys(), tap, self._node, share)
        now = trio.current_time()
        self._now = _Running(
            place,
            share,
            None if for_s is None else now + for_s,
            tap,
            sender,
            trio.CancelScope(deadline=float("inf") if for_s is None else now + for_s),
            attrs.evolve(self._counts),
            now,
        )
        tapping.begin(self._node.service, tap)
        self._nursery.start_soon(self._run, self._now)
        with trio.move_on_after(FIRST_WAIT_S):
            await sender.changed.wait()

    async def _run(self, tee: _Running) -> None:
        try:
            with tee.scope:
                await tee.sender.run()
        except Exception:  # whatever it is: no tee is worth a node
            log.exception("tee_failed")
        finally:
            tapping.end(self._node.service)
            self._now = None
            tee.ended.set()

    async def stop(self) -> dict[str, Any] | None:
        """End it; gives what it had done, or None if there was none."""
        tee = self._now
        if tee is None:
            return None
        told = self.status()
        tee.scope.cancel()
        await tee.ended.wait()
        return told

    # ---- looking ---------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Counts since it began."""
        tee = self._now
        if tee is None:
            return {"state": "off"}
        now = trio.current_time()
        before = attrs.asdict(tee.before)
        since = {name: value - before[name] for name, value in attrs.asdict(self._counts).items()}
        work = since.pop("work_seconds")
        return {
            "state": tee.sender.state,
            "trouble": tee.sender.trouble or None,
            "to": str(tee.place),
            "share": tee.share,
            "share_now": round(tee.tap.share, 6),
            "running_s": round(now - tee.began, 1),
            "left_s": None if tee.until is None else round(tee.until - now, 1),
            "sessions": len(tee.tap.sessions),
            "buffer_bytes": tee.tap.bytes,
            "buffer_peak_bytes": tee.tap.peak_bytes,
            "buffer_bytes_max": BUFFER_BYTES_MAX,
            **since,
            "work_share": round(work / ((now - tee.began) or 1), 5),
        }

    def compared(self) -> list[dict[str, Any]]:
        """Live and shadow, a row for each figure; none if there is no tee."""
        if self._now is None:
            return []
        return side_by_side(self._now.sender.figures(), self._now.sender.report)

    def statistics(self) -> dict[str, Any]:
        """Of all tees since the start."""
        tap = self._now.tap if self._now is not None else None
        return {
            "running": int(self._now is not None),
            "sessions": len(tap.sessions) if tap is not None else 0,
            "entries": len(tap.buffer) if tap is not None else 0,
            "entries_max": BUFFER_ENTRIES_MAX,
            "buffer_bytes": tap.bytes if tap is not None else 0,
            **attrs.asdict(self._counts),
        }
