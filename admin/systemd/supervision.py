"""What a node says to systemd while it lives, and how it proves that it does.

The watchdog is fed by the hub itself: a function that its next pass calls sends WATCHDOG=1. If the loop is stuck, or
the hub makes no passes any more, nothing is sent, and systemd restarts the node. Without systemd all of this rests.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any, Final

import structlog
import trio

from admin.systemd.another import another_process
from admin.systemd.inherited import STORED, Inherited
from admin.systemd.notify import Notifier, one_line, reloading
from node.hub.errors import HubFull
from node.hub.hub import Hub
from node.hub.listener import Listener
from node.hub.settings import ListenerSettings
from replication.rounds import go_round

log = structlog.get_logger()

FEEDS_PER_TIMEOUT: Final = 4
"""A feed that is lost, and one that comes late, are no reason to die."""
STATUS_EVERY_S: Final = 10.0
END_S_MAX: Final = 50.0
"""How long the end may take without a feed; below TimeoutStopSec of the unit."""
HAND_OVER_S_MAX: Final = 120.0
"""How long an upgrade may take without a feed, from one of its steps to the next; above the limits of each."""
BARRIER_S_MAX: Final = 5.0
ADOPTED_S_MAX: Final = 20.0
"""From when a predecessor has closed everything until it has ended."""
ADOPTED_POLL_S: Final = 0.01


class Supervision:
    """Of one process. `feeds` counts what the hub's passes have sent.

    Args:
        notifier: None: nobody supervises.
        inherited: what came with the start.
        watchdog_s: how long systemd waits for a sign of life; 0: it doesn't.
    """

    def __init__(self, notifier: Notifier | None, inherited: Inherited, watchdog_s: float = 0.0) -> None:
        self.feeds = 0
        self.skipped = 0
        self.stored = 0
        self._notifier = notifier
        self._inherited = inherited
        self._watchdog_s = watchdog_s
        self._asked = False  # the hub has a feed to send
        self._status = ""
        self._parent = os.getppid()

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Supervision:
        """By the variables that systemd has set; those that only this process may use are taken out."""
        pid = os.getpid()
        inherited = Inherited.of(environment, pid)
        watchdog_s = _watchdog_s(
            environment.get("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", ""), pid
        )
        try:
            notifier = Notifier.of(environment)
        except ValueError as error:
            log.warning("nobody can be told how this node is", cause=str(error))
            notifier = None
        return cls(notifier, inherited, watchdog_s)

    @property
    def units(self) -> frozenset[str]:
        """Names of the ports that a socket unit has opened."""
        return frozenset(self._inherited.units)

    def inherit(self, inherited: Inherited) -> None:
        """What came from a predecessor stands for what came with the start."""
        self._inherited = inherited

    @property
    def is_supervised(self) -> bool:
        return self._notifier is not None

    def close(self) -> None:
        """Nobody is told anything more."""
        self._inherited.close_rest()
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None

    # ---- sockets -------------------------------------------------------------------------------

    def prepare(
        self, listeners: Sequence[ListenerSettings]
    ) -> Callable[[ListenerSettings], socket.socket | None]:
        """Take what there is for these, and let go of the rest, before a socket is opened. Gives what `Surroundings`
        wants: the socket for a listener, or None.

        Raises:
            OSError: an inherited socket can't be used.
        """
        found = {one.name: self._inherited.take(one) for one in listeners}
        stale = [name for name in self._inherited.close_rest() if name.startswith(STORED)]
        if stale and self._notifier is not None:
            log.info("sockets that were kept don't fit the configuration any more", names=stale)
            for name in stale:
                self._notifier.tell("FDSTOREREMOVE=1", f"FDNAME={name}")
            self._notifier.barrier(BARRIER_S_MAX)  # systemd has closed its copies: their ports are free
        return lambda settings: found.get(settings.name)

    def keep(self, listeners: Sequence[Listener]) -> None:
        """Have systemd hold what we listen on while the node is restarted. What it has already it takes no second time;
        what comes from a socket unit it holds anyway."""
        if self._notifier is None:
            return
        for one in listeners:
            if one.opened:
                name = f"FDNAME={STORED}{one.settings.name}"
                # FDPOLL=0: a listener is always kept, whatever a poll says of it
                if self._notifier.tell("FDSTORE=1", name, "FDPOLL=0", descriptors=(one.fd,)):
                    self.stored += 1

    # ---- what is said --------------------------------------------------------------------------

    def ready(self) -> None:
        """Phones are served; also ends what `reloading` has begun."""
        self._tell(
            "READY=1", f"MAINPID={os.getpid()}", "STATUS=serving", *self._watchdog_of(self._watchdog_s)
        )

    def reloading(self, status: str) -> None:
        """Until `ready` there may be no passes for a while: the watchdog is to wait for that, from this moment on."""
        self._tell(*reloading(), f"STATUS={one_line(status)}", *self._watchdog_of(HAND_OVER_S_MAX))

    def passes_rest(self) -> None:
        """As `reloading`, for the next step of what it has begun."""
        if self._watchdog_s:
            self._tell(*self._watchdog_of(HAND_OVER_S_MAX))

    def hand_over(self, pid: int) -> None:
        """Another process of the service is the main one from now on. Waits until that is known. Blocks."""
        if self._notifier is not None:
            self._notifier.tell(f"MAINPID={pid}")
            self._notifier.barrier(BARRIER_S_MAX)

    def adopted(self) -> None:
        """The predecessor has ended, so this process is systemd's child; have it see that. Blocks.

        When it was named the main process it was somebody else's child, for whose end systemd doesn't wait: a stop
        would send SIGTERM and, in the same moment, SIGKILL (`main_pid_alien` in service.c). Whose child it is, systemd
        looks at when the main process becomes another one, and at no other time; so it becomes another one.
        """
        if self._notifier is None:
            return
        end = time.monotonic() + ADOPTED_S_MAX
        while os.getppid() == self._parent and time.monotonic() < end:
            # What the predecessor had open it has closed; the process ends a little later.
            time.sleep(ADOPTED_POLL_S)
        if os.getppid() != self._parent:
            with another_process() as pid:
                self._notifier.tell(f"MAINPID={pid}")
                self._notifier.tell(f"MAINPID={os.getpid()}")
                self._notifier.barrier(BARRIER_S_MAX)

    def stopping(self) -> None:
        """The loop is busy with its end, and the last writing has no passes: the watchdog is to wait for it."""
        self._tell("STOPPING=1", "STATUS=stopping", *self._watchdog_of(END_S_MAX))

    def _watchdog_of(self, seconds: float) -> tuple[str, ...]:
        """How long it is to wait from now on, if there is one at all."""
        return (f"WATCHDOG_USEC={int(max(seconds, self._watchdog_s) * 1e6)}",) if self._watchdog_s else ()

    def _tell(self, *lines: str) -> None:
        if self._notifier is not None:
            self._notifier.tell(*lines)

    # ---- the watchdog --------------------------------------------------------------------------

    async def run(self, hub: Hub[Any], status: Callable[[], str]) -> None:
        """Feed the watchdog from the hub's passes, and say how the node is, until cancelled. Then for another hub, if
        this process goes on serving."""
        self._asked = False  # a hub that has ended sends no feed, though it was asked for one
        self._status = ""
        if self._notifier is None:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(go_round, partial(self._say, status), name=self._say)
            if self._watchdog_s:
                nursery.start_soon(go_round, partial(self._watch, hub), name=self._watch)

    async def _watch(self, hub: Hub[Any]) -> None:
        self.ask(hub)
        await trio.sleep(self._watchdog_s / FEEDS_PER_TIMEOUT)

    def ask(self, hub: Hub[Any]) -> None:
        """Have the hub's next pass send a feed; nothing, if it hasn't sent the last one yet."""
        if self._asked:
            self.skipped += 1
            return
        try:
            hub.soon(self._feed)
        except HubFull:
            self.skipped += 1
        else:
            self._asked = True

    def _feed(self) -> None:
        """In a pass of the hub."""
        self._asked = False
        self.feeds += 1
        self._tell("WATCHDOG=1")

    async def _say(self, status: Callable[[], str]) -> None:
        self._say_once(status())
        await trio.sleep(STATUS_EVERY_S)

    def _say_once(self, text: str) -> None:
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={one_line(text)}")

    def statistics(self) -> dict[str, Any]:
        """Numbers for the operator."""
        notifier = self._notifier
        return {
            "supervised": int(notifier is not None),
            "told": notifier.sent if notifier is not None else 0,
            "lost": notifier.lost if notifier is not None else 0,
            "watchdog_s": self._watchdog_s,
            "feeds": self.feeds,
            "feeds_skipped": self.skipped,
            "sockets_stored": self.stored,
        }


def _watchdog_s(microseconds: str, wanted_pid: str, pid: int) -> float:
    """sd_watchdog_enabled(3)."""
    if not microseconds.isdecimal() or wanted_pid not in ("", str(pid)):
        return 0.0
    return int(microseconds) / 1e6
