"""`bench connections`: what an idle logged-in session costs in memory, and a login in CPU.

The server is warmed with some logins first, so that what it needs once isn't charged to the sessions. At last each
user sends one message to another, so that it is seen what a session costs that has been of use. This module must
never know a protocol.
"""

import time
from typing import Any, Final

from attrs import frozen

from ops.bench.fleet import Fleet, pairs_shape
from ops.bench.plan import Plan
from ops.bench.sampling import Disturbance, allow_files, settle
from ops.bench.screen import Screen
from ops.bench.server import Server

_WARM_UP: Final = 500
_PER_GENERATOR: Final = 5_000
_FILES_SPARE: Final = 400
_LOGINS_PARALLEL: Final = 64
_TALK_SECONDS_MAX: Final = 120.0
_IDLE_SECONDS: Final = 3.0
_LOGIN_SECONDS_MAX: Final = 0.2
"""For each login, on average: a limit for hopeless cases."""


@frozen
class Connections:
    """What to measure: `count` is even, since users write to each other in pairs."""

    count: int
    tls: bool = False

    def __attrs_post_init__(self) -> None:
        assert self.count % 2 == 0

    @property
    def users(self) -> int:
        """Accounts that are needed."""
        return self.count + _WARM_UP

    def prepare(self) -> None:
        """Raises TooFewFilesError."""
        allow_files(self.users + _FILES_SPARE)


def measure(server: Server, wanted: Connections, screen: Screen) -> dict[str, Any]:
    """Log in, wait, and see what has grown.

    Raises:
        LoadError: the server closed a session or took too long.
    """
    plan = Plan(
        dialect=server.dialect,
        host="127.0.0.1",
        port=server.port,
        tls=server.tls,
        shape=pairs_shape(wanted.users, 1),
        window=1,
        rate=0,
        body_bytes=24,
        flight="receipted",
        logins_parallel=_LOGINS_PARALLEL,
    )
    seconds_max = 30 + wanted.users * _LOGIN_SECONDS_MAX
    process = server.process
    with Fleet.of(plan, -(-wanted.count // _PER_GENERATOR)) as fleet:
        fleet.connect(0, _WARM_UP, lambda _: None, seconds_max)
        settle(process)
        memory_before, cpu_before, load_before = process.memory(), process.cpu_seconds(), fleet.mark()
        disturbance = Disturbance(cpu_before + sum(load_before.cpu_seconds))
        began = time.monotonic()
        with screen.phase(f"{server.about['name']}: logging in", wanted.count) as phase:
            fleet.connect(
                _WARM_UP, wanted.users, lambda counts: phase.show(counts.connected - _WARM_UP), seconds_max
            )
        took = time.monotonic() - began
        load_after = fleet.mark()
        others = disturbance.cores(process.cpu_seconds() + sum(load_after.cpu_seconds))
        settled_after = settle(process)
        cpu_after, memory_after = process.cpu_seconds(), process.memory()
        time.sleep(_IDLE_SECONDS)
        idle_cpu = process.cpu_seconds() - cpu_after
        fleet.begin(wanted.users)
        fleet.wait(
            lambda counts: counts.receipted >= wanted.users,
            lambda _: None,
            _TALK_SECONDS_MAX,
            "a message each",
        )
        settle(process)
        memory_at_last = process.memory()
        generator_cpu = sum(load_after.cpu_seconds) - sum(load_before.cpu_seconds)
        return {
            "bytes_per_session": (memory_after.rss - memory_before.rss) / wanted.count,
            "anonymous_bytes_per_session": (memory_after.anonymous - memory_before.anonymous) / wanted.count,
            "bytes_per_session_that_talked": (memory_at_last.rss - memory_before.rss) / wanted.count,
            "login_cpu_us": (cpu_after - cpu_before) / wanted.count * 1e6,
            "logins_per_s": wanted.count / took,
            "login_retries": load_after.counts.login_retries,
            "idle_cpu_percent": idle_cpu / _IDLE_SECONDS * 100,
            "settled_after_s": settled_after,
            "rss_bytes": memory_after.rss,
            "peak_rss_bytes": process.peak_rss_bytes(),
            "generator_cpu_us_per_login": generator_cpu / wanted.count * 1e6,
            "others_cores": others,
            "warnings": Disturbance.warnings(others),
            "about": server.about,
        }
