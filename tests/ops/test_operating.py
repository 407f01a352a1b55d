"""Commands on a node that serves: every one's example runs, and its help is whole."""

from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from admin.channel.errors import Refused
from admin.commands.registry import COMMANDS
from admin.commands.table import Command, Role
from tests.node.live import Phone
from tests.ops.operated import ALICE, BOB, operated


async def hang_up_when_told(phone: Phone) -> None:
    while await phone.stream.receive_some():
        pass
    await trio.aclose_forcefully(phone.stream)


LOOKS = tuple(command for command in COMMANDS if command.role == Role.VIEWER)
PROCESSES = frozenset({"upgrade"})
"""Take a process of their own: see tests/system/test_systemd.py, where this example runs."""
CHANGES = tuple(
    command
    for command in COMMANDS
    if command.role > Role.VIEWER
    and not command.name.startswith("cluster ")
    and command.name not in PROCESSES
)
OF_CLUSTERS = tuple(
    command for command in COMMANDS if command.role > Role.VIEWER and command.name.startswith("cluster ")
)


async def test_every_example_that_only_looks_runs(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        await node.node.login(ALICE)
        with structlog.testing.capture_logs() as logs:
            for command in LOOKS:
                assert await node.ask(command.example) is not None, command.name
        assert [one for one in logs if one["log_level"] in ("error", "critical")] == []


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command.name)
async def test_every_example_that_changes_something_runs(
    command: Command, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    example = command.example.replace("/var/backups", str(tmp_path_factory.mktemp("backups")))
    async with operated(tmp_path) as node:
        phones = [await node.node.login(ALICE), await node.node.login(BOB)]
        async with trio.open_nursery() as nursery:
            for phone in phones:
                nursery.start_soon(hang_up_when_told, phone)
            with structlog.testing.capture_logs() as logs:
                assert await node.ask(example) is not None
            nursery.cancel_scope.cancel()
        assert [one for one in logs if one["log_level"] in ("error", "critical")] == []


async def test_a_node_that_stands_alone_says_so_to_what_clusters_are_told(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        for command in OF_CLUSTERS:
            with pytest.raises(Refused, match="this node stands alone: a cluster begins with"):
                await node.ask(command.example)
        assert (await node.ask("cluster status"))["alone"] is True


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_commands_help_is_whole(command: Command) -> None:
    assert command.summary.endswith(".")
    assert len(command.help) > 80, "say what it does, what it costs or changes, and what its result means"
    assert command.help.endswith(".")
    assert len(command.usage) < 200
    for parameter in command.parameters:
        assert parameter.help.endswith("."), parameter.name


async def test_help_tells_all_about_a_command_and_lists_those_that_begin_so(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        listed = await node.ask("help")
        assert [one["command"] for one in listed] == [command.usage for command in COMMANDS]
        about: dict[str, Any] = await node.ask("help stats")
        assert about["usage"] == "stats [PART]"
        assert about["parameters"][0]["name"] == "[PART]"
        with pytest.raises(Refused, match="there is no command 'nothing'"):
            await node.ask("help nothing")


async def test_stats_are_those_of_every_part_and_one_can_be_chosen(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        found = await node.ask("stats")
        assert {"hub", "sessions", "mail", "accounts", "store", "admin"} <= set(found)
        assert (await node.ask("stats hub.connections")) == 0
        with pytest.raises(Refused, match="'nothing' isn't among"):
            await node.ask("stats mail.nothing")


async def test_info_says_who_is_connected(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        await node.node.login(ALICE)
        await node.node.greeted()
        info = await node.ask("info")
        assert (info["connections"], info["sessions"]) == (2, 1)
        assert info["data"] == str(tmp_path)
        assert info["node"] == node.node.running.node.hex()
