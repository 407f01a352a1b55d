"""A fault in any package that lives in a node, in a task beside its hub: who watches new code is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from admin.channel.desk import Desk
from admin.channel.errors import NotReached, Refused
from admin.channel.server import AdminServer
from admin.knobs.board import Knobs
from admin.reload.service import Reload
from admin.statistics.service import Statistics
from node.accounts.courier import Courier
from node.accounts.service import Accounts
from node.mail.sweep import Sweep
from replication.rounds import RESCUE
from replication.zeromq.zap import Gatekeeper
from tests.ops.operated import operated

STEPS: Final = (
    (AdminServer, "_step"),
    (AdminServer, "_look_at_keys"),
    (Knobs, "step"),
    (Statistics, "_on_time"),
    (Courier, "_hand_over_next"),
    (Accounts, "step"),
    (Sweep, "step"),
    (Gatekeeper, "step"),
)


def _fails_once(owner: type[Any], name: str) -> Callable[..., Any]:
    original, failed = getattr(owner, name), False

    async def step(self: Any) -> Any:
        nonlocal failed
        if not failed:
            failed = True
            raise ValueError(f"{owner.__name__}.{name}")
        return await original(self)

    return step


async def test_a_fault_in_each_package_is_asked_about_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def rescue(error: Exception) -> bool:
        told.append(str(error))
        return True

    RESCUE.set(rescue)  # who is there before there is a reload
    monkeypatch.setattr(Reload, "rescue_beside", lambda self, error: rescue(error))
    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, _fails_once(owner, name))
    async with operated(tmp_path) as node:
        with trio.fail_after(20):
            while {f"{owner.__name__}.{name}" for owner, name in STEPS} - set(told):  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert (await node.ask("reload versions node.mail"))["node.mail.sweep"]


async def test_the_channel_outlives_its_own_faults_without_anybody_s_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_step", "_look_at_keys"):
        monkeypatch.setattr(AdminServer, name, _fails_once(AdminServer, name))
    async with operated(tmp_path) as node:
        server = node.operating.server
        take, serve = server._take, server._desk.serve

        def bad_take(frames: Any) -> bool:
            server._take = take  # type: ignore[method-assign]
            raise ValueError("a frame")

        async def bad_serve(*arguments: Any) -> Any:
            monkeypatch.setattr(Desk, "serve", serve.__func__)
            raise ValueError("a command")

        server._take = bad_take  # type: ignore[method-assign]
        with pytest.raises(NotReached, match="not answered"):
            await node.ask("reload versions node.mail", seconds_max=1.0)
        monkeypatch.setattr(Desk, "serve", bad_serve)
        with pytest.raises(Refused, match="see the node's log"):
            await node.ask("reload versions node.mail")
        assert (await node.ask("reload versions node.mail"))["node.mail.sweep"]
        assert server.statistics()["failures"] == node.operating.faults() == 4
