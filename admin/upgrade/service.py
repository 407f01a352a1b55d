"""An upgrade in order: start the successor, check it, stand still, take everything out, end the node, hand over, go.
A member of a cluster hands what it is primary of to others before it stands still.

Whatever fails up to the last step, this process serves on: before the node ended as if nothing had been, after it by
taking in again what it had taken out. State and the thin order only; what is taken out and passed is not known here.
"""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any, Final

import attrs
import structlog
import trio

from admin.reload.ending import ends_node
from admin.systemd.supervision import Supervision
from admin.upgrade.errors import SuccessorFailed, UpgradeError
from admin.upgrade.successor import Successor, command_line
from node.handing.freezing import Cargo, Freezing, NotStill
from node.running import Running
from replication.cluster import Cluster
from replication.membership.handing import Handed

log = structlog.get_logger()

LOOK_S: Final = 0.25
"""So long a check that was called off may go on."""
LEAVE_S_MAX: Final = 10.0
"""TLS clients have so long to take their farewell, and gateways to take the PINs that are under way."""
HOLD_S_MAX: Final = 5.0
"""Plain connections stand still for so long at most, until all is written; then the upgrade is called off."""
ASKING_S_MAX: Final = 1.0
"""Who waits longer than this for an answer to a login or a PIN is sent away."""
AWAY_S: Final = 15.0
"""From the last move of a partition to when the new process speaks for this node: so long others move nothing to it."""
ANSWER_S_MAX: Final = 3.0
"""So long the asker's answer may take to leave this process."""
ANSWER_SENT_S: Final = 0.2
"""From when ZeroMQ was given it until it is surely sent: a close doesn't wait for that."""


class Upgrade:
    """Of one process. `attend` when a node serves; `finish` when it has ended."""

    def __init__(self, supervision: Supervision) -> None:
        self.tried = 0
        self.failed = 0
        self.pause_ms = 0.0
        self._supervision = supervision
        self._running: Running | None = None
        self._stop = trio.Event()
        self._rest: Callable[[], None] = _nothing
        self._nursery: trio.Nursery | None = None
        self._under_way = False
        self._successor: Successor | None = None  # of the upgrade whose cargo waits for `finish`
        self._freezing: Freezing | None = None
        self._cargo: Cargo | None = None
        self._over = trio.Event()
        self._result: dict[str, Any] = {}
        self._error: Exception | None = None
        self._moves: dict[str, int] = {}
        self._answers = 0
        self._answered = trio.Event()

    def attend(
        self, running: Running, stop: trio.Event, nursery: trio.Nursery, rest: Callable[[], None]
    ) -> None:
        """A node serves.

        Args:
            stop: ends it.
            nursery: lives as long as it.
            rest: ends what looks at its parts, which are about to be closed.
        """
        self._running, self._stop, self._nursery, self._rest = running, stop, nursery, rest

    # ---- as a command --------------------------------------------------------------------------

    async def run(
        self, given: str | None, retry_s: float, tell: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Hand over to a new process. Cancelled before that one is checked, nothing has happened; later it goes on.

        Args:
            given: another `waystation` than this one.
            retry_s: TLS clients are told to come again within it.

        Raises:
            UpgradeError: this process serves on.
        """
        if self._under_way:
            raise UpgradeError("an upgrade is under way: wait for its end")
        if self._running is None or self._nursery is None:
            raise UpgradeError("no node serves in this process yet, or not any more")
        self._under_way = True  # before the first await: whoever asks meanwhile is refused above
        self.tried += 1
        began = time.monotonic()
        successor: Successor | None = None
        try:
            successor = await trio.to_thread.run_sync(Successor, command_line(given), dict(os.environ))
            tell({"state": "checking", "pid": successor.pid})
            greeting = None
            while greeting is None:
                greeting = await trio.to_thread.run_sync(successor.check, LOOK_S)
                await trio.lowlevel.checkpoint_if_cancelled()
            if greeting.member != (self._running.cluster is not None):
                raise UpgradeError(_OTHER_KIND)
        except BaseException:
            self.failed += 1
            await self._call_off(successor)
            raise
        checked_s = time.monotonic() - began
        tell({"state": "checked", "pid": greeting.pid, "version": greeting.version})
        over = self._over = trio.Event()
        self._error = None
        self._nursery.start_soon(self._leave, self._running, successor, retry_s)
        self._answers += 1
        try:
            await over.wait()
        finally:
            self._answers -= 1
            self._answered.set()
        if self._error is not None:
            raise self._error
        return {**self._result, "check_s": round(checked_s, 2), "version": greeting.version}

    async def _call_off(self, successor: Successor | None) -> None:
        """End this one, of which nothing is left then; another upgrade may be asked for."""
        if successor is not None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(successor.end)
        self._successor = None
        self._under_way = False

    async def _leave(self, running: Running, successor: Successor, retry_s: float) -> None:
        """Up to the end of the node. Cancelled (the node is to stop), the successor is called off."""
        freezing = self._freezing = Freezing(
            running.hub, running.service, random.SystemRandom(), math.ceil(retry_s * 1000)
        )
        self._supervision.reloading(f"handing over to process {successor.pid}")
        try:
            with trio.move_on_after(LEAVE_S_MAX):
                await freezing.send_encrypted_away()
                while running.service.accounts.delivers:  # noqa: ASYNC110 - a gateway's answer brings it about
                    await trio.sleep(LOOK_S)
            if running.cluster is not None:
                await self._hand_over_partitions(running.cluster)
            await freezing.hold(HOLD_S_MAX, ASKING_S_MAX)
            self._cargo = await freezing.take_out()
        except Exception as error:  # noqa: BLE001 - whatever it is: nothing was taken out
            try:
                if ends_node(error):
                    raise
                await self._go_on(running, freezing, successor, error)
            except BaseException:
                await self._call_off(successor)
                raise
            return
        except BaseException:
            await self._call_off(successor)
            raise
        self._rest()  # its parts are open until it is told to stop
        self._successor = successor
        self._stop.set()

    async def _go_on(
        self, running: Running, freezing: Freezing, successor: Successor, error: Exception
    ) -> None:
        """As before, for nothing was taken out. Whatever it failed by, phones are served as well as ever."""
        await freezing.go_on()
        if running.cluster is not None:
            running.cluster.handing.stay()
        await self._fail(successor, UpgradeError(f"this process serves on: {_cause_of(error)}"))
        self._supervision.ready()

    async def _hand_over_partitions(self, cluster: Cluster) -> None:
        """What the node is primary of goes to its heirs, while it is the edge of its phones still."""
        seconds, began = cluster.operate.rebalancer.settings.stop_moves_s, trio.current_time()
        done = await cluster.handing.hand_over(seconds, AWAY_S) if seconds else Handed(0, 0)
        took_ms = round(1000 * (trio.current_time() - began))
        self._moves = {"partitions": done.moved, "partitions_left": done.left, "moves_ms": took_ms}
        log.info("handed_over", partitions=done.moved, left=done.left, took_ms=took_ms)

    def _with_units(self, cargo: Cargo) -> Cargo:
        """With what systemd's units have opened marked as such."""
        units = self._supervision.units
        listeners = tuple(attrs.evolve(one, unit=one.name in units) for one in cargo.handed.listeners)
        return attrs.evolve(cargo, handed=attrs.evolve(cargo.handed, listeners=listeners))

    # ---- when the node has ended ---------------------------------------------------------------

    async def finish(self, stopping: Callable[[], bool]) -> Cargo | None:
        """Hand over. None: there is nothing, or nothing any more, to be served here.

        Args:
            stopping: whether somebody has asked for the end of the service.
        """
        cargo, self._cargo = self._cargo, None
        successor = self._successor
        if cargo is None or successor is None:
            return None
        with trio.CancelScope(shield=True):
            self._supervision.passes_rest()
            try:
                await trio.to_thread.run_sync(successor.hand_over, self._with_units(cargo))
            except Exception as error:  # noqa: BLE001 - whatever it is: nobody else has the phones
                cause = f"this process serves on, after a pause: {_cause_of(error)}"
                await self._fail(successor, UpgradeError(cause))
                self._supervision.passes_rest()
                return None if stopping() else cargo
            await trio.to_thread.run_sync(successor.go)
            self._succeed(cargo, successor.pid)
            await trio.to_thread.run_sync(self._supervision.hand_over, successor.pid)
            if stopping():
                os.kill(successor.pid, signal.SIGTERM)
            await self._let_answer()
        return None

    def _succeed(self, cargo: Cargo, pid: int) -> None:
        assert self._freezing is not None
        self.pause_ms = (time.monotonic() - self._freezing.began) * 1000
        self._result = {
            "pid": pid,
            "connections": len(cargo.handed.sessions),
            "sent_away": self._freezing.sent_away,
            "pause_ms": round(self.pause_ms, 1),
            **self._moves,
        }
        if cargo.handed.member:
            self._result["sends"] = sum(len(one.kept) for one in cargo.handed.sessions)
        log.info("handed over", **self._result)
        self._over.set()

    async def _fail(self, successor: Successor, error: UpgradeError) -> None:
        self.failed += 1
        log.error("upgrade failed", cause=str(error))
        await self._call_off(successor)
        self._error = error
        self._over.set()
        await self._let_answer()

    async def _let_answer(self) -> None:
        """Whoever asked shall hear how it went, before the channel is closed."""
        with trio.move_on_after(ANSWER_S_MAX):
            while self._answers:
                self._answered = trio.Event()
                await self._answered.wait()
            await trio.sleep(ANSWER_SENT_S)

    def statistics(self) -> dict[str, Any]:
        """Numbers for the operator. Of this process: who was handed over to begins anew."""
        return {"tried": self.tried, "failed": self.failed, "under_way": int(self._under_way)}


_OTHER_KIND: Final = (
    "a node that stands alone can't be succeeded by a member of a cluster, nor the other way round: what the new"
    " process read in the configuration has become another kind; restart the node"
)


def _cause_of(error: Exception) -> str:
    """For whoever asked. Of a mistake of ours the log has the rest: a text may be of a phone."""
    if isinstance(error, NotStill | SuccessorFailed):
        return str(error)
    log.error("upgrade_crashed", exc_info=error)
    return f"it failed by a mistake in Waystation ({type(error).__name__}): see the node's log"


def _nothing() -> None:
    """Nobody rests."""
