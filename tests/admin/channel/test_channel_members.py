"""From one member to all: which of the others are reached, by which names and keys, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from admin.channel.errors import NotReached
from admin.channel.members import with_members
from admin.channel.place import Place
from admin.channel.roster import Entry
from tests.admin.channel.channels import Channel, channel_on, command

ME = "0101010102030405"


def row(node: str, admin: str = "", admin_key: str = "") -> dict[str, Any]:
    return {"node": node, "admin": admin, "admin_key": admin_key}


def made(path: Path) -> Path:
    path.mkdir()
    return path


async def found(path: Path, rows: Sequence[dict[str, Any]], **asked: Any) -> dict[str, Entry]:
    """All that a node at `path` leads to, whose rows of members these are."""

    async def told(context: Any, arguments: Mapping[str, Any]) -> Any:
        return {"node": ME, "members": list(rows)}

    await trio.Path(path).mkdir()
    async with channel_on(path, (command("cluster members", told),)) as channel:
        return await _found(channel, path, **asked)


async def _found(channel: Channel, path: Path, key: Path | None = None, **more: Any) -> dict[str, Entry]:
    known = [Entry.alone(str(path), key), *more.get("known", ())]
    listed = more.get("listed", ())
    entries = await trio.to_thread.run_sync(lambda: with_members(known, listed))
    return {entry.name: entry for entry in entries}


def a_neighbour(path: Path, public: str) -> str:
    """The directory of another node on this machine; where it is operated."""
    (path / "admin").mkdir(parents=True)
    (path / "admin" / "node.pub").write_text(f"{public}\n")
    return f"ipc://{path}/admin/socket"


async def test_members_are_found_by_address_and_on_this_machine_by_their_directories(tmp_path: Path) -> None:
    here = a_neighbour(tmp_path / "n2", "public of 2")
    rows = [
        row(ME, "ipc:///nowhere", "own"),
        row("0202020202030405", here, "public of 2"),
        row("0303030302030405", "10.0.0.3:7444", "public of 3"),
    ]
    entries = await found(tmp_path / "n1", rows)
    assert entries == {
        "01010101": Entry("01010101", str(tmp_path / "n1")),
        "02020202": Entry("02020202", str(tmp_path / "n2")),
        "03030303": Entry("03030303", "10.0.0.3:7444", tmp_path / "n1/admin/local.key", "public of 3"),
    }
    named = tmp_path / "again/admin/local.key"
    another = await found(tmp_path / "again", rows, key=named)
    assert [one.key for one in another.values()] == [named] * 3, "the key that was named goes everywhere"


async def test_who_cannot_be_reached_from_here_says_why_when_it_is_asked(tmp_path: Path) -> None:
    a_neighbour(tmp_path / "another", "somebody else's")
    rows = [
        row(ME, "", ""),
        row("0202020202030405"),
        row("0303030302030405", f"ipc://{tmp_path}/another/admin/socket", "public of 3"),
    ]
    entries = await found(tmp_path / "n1", rows)
    for name, said in (("02020202", "doesn't say where"), ("03030303", "on its own machine only")):
        assert entries[name].directory is None
        with pytest.raises(NotReached, match=f"member {name} .*{said}.* — set admin.listen"):
            entries[name].target()


async def test_what_is_in_a_list_keeps_its_name_and_is_asked_once(tmp_path: Path) -> None:
    at = a_neighbour(tmp_path / "n2", "public of 2")
    known = [Entry("chat2", str(tmp_path / "n2"))]
    listed = [Entry("chat3", "far:7444", Path("anna.key"), "public of 3")]
    rows = [row(ME), row("02" * 8, at, "public of 2"), row("03" * 8, "10.0.0.3:7444", "public of 3")]
    entries = await found(tmp_path / "n1", rows, known=known, listed=listed)
    assert [*entries] == ["01010101", "chat2", "chat3"]
    assert entries["chat3"] == listed[0]


async def test_ids_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    rows = [row(ME), row("0202020200000001", "h:1", "a"), row("0202020200000002", "h:2", "b")]
    assert [*await found(tmp_path / "n1", rows)] == ["01010101", "0202020200000001", "0202020200000002"]


async def test_one_that_stands_alone_or_gives_no_answer_stays_as_it_is(tmp_path: Path) -> None:
    silent = Entry("silent", str(tmp_path / "silent"))
    entries = await found(tmp_path / "n1", [], known=[silent])
    assert entries == {"silent": silent, str(tmp_path / "n1"): Entry.alone(str(tmp_path / "n1"))}


def test_every_address_of_a_machine_is_told_as_one_that_others_can_reach() -> None:
    assert Place.parse("0.0.0.0:7444").reached("10.0.0.1") == "10.0.0.1:7444"
    assert Place.parse("[::]:7444").reached("2001:db8::1") == "[2001:db8::1]:7444"
    assert Place.parse("10.0.0.2:7444").reached("10.0.0.1") == "10.0.0.2:7444"
    assert Place.parse("ipc:///a/socket").reached("10.0.0.1") == "ipc:///a/socket"
