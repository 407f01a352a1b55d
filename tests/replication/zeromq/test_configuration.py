"""Addresses, keys, members and limits: what can't be right is said at once, with what to do."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from replication.zeromq.address import Address, resolve
from replication.zeromq.errors import AddressUnusable, KeyFileDamaged, KeyFileExposed, MembersUnusable
from replication.zeromq.keys import KEY_FILE, Keys, ensure_keys, is_public_key, make_keys, read_keys
from replication.zeromq.members import Member, Roster
from replication.zeromq.settings import LinkSettings

# ---- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("10.0.0.1:7710", "tcp://10.0.0.1:7710"),
        ("[::1]:7710", "tcp://[::1]:7710"),
        ("[fe80::1%eth0]:1", "tcp://[fe80::1%eth0]:1"),
        ("node-3.dc_1.example.:65535", "tcp://node-3.dc_1.example.:65535"),
        ("localhost:0", "tcp://localhost:*"),
        ("ipc:///run/way station/x.sock", "ipc:///run/way station/x.sock"),
        ("ipc://relative.sock", "ipc://relative.sock"),
    ],
)
def test_an_address_is_read_and_written(text: str, endpoint: str) -> None:
    address = Address.parse(text)
    assert str(address) == text
    assert address.endpoint() == endpoint
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":7710",
        "host",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "host:٣",
        "::1:7710",
        "[::1]",
        "[host]:1",
        "[::g]:1",
        "a b:1",
        "*:1",
        "host;evil:1",
        "eth0;10.0.0.1:1",
        "tcp://host:1",
        "-:" + "9" * 30,
        "a..b:1",
        "x" * 300 + ":1",
        "ipc://",
        "ipc://" + "x" * 120,
        "ipc://a\0b",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressUnusable):
        Address.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = Address.parse(text)
    except AddressUnusable:
        return
    assert Address.parse(str(address)).endpoint() == address.endpoint()


def test_a_group_is_beside_its_node() -> None:
    assert Address.parse("10.0.0.1:1").beside(77) == Address.parse("10.0.0.1:77")
    assert Address.parse("ipc:///x").beside("0a1b2c3d") == Address.parse("ipc:///x.0a1b2c3d")
    for address, place in (
        ("10.0.0.1:1", 0),
        ("10.0.0.1:1", 65_536),
        ("10.0.0.1:1", "0a1b2c3d"),
        ("ipc:///x", 77),
        ("ipc:///x", ""),
        ("ipc:///x", "/../../y"),
        ("ipc:///x", "0a1b2c3d0"),
    ):
        assert Address.parse(address).beside(place) is None


async def test_names_are_resolved_and_unknown_ones_told() -> None:
    assert (await resolve(Address.parse("localhost:7"))).host in ("127.0.0.1", "::1")
    turns = {(await resolve(Address.parse("localhost:7"), turn)).host for turn in range(2)}
    assert turns <= {"127.0.0.1", "::1"}
    assert await resolve(Address.parse("[::1]:7")) == Address.parse("[::1]:7")
    assert await resolve(Address.parse("ipc://x")) == Address.parse("ipc://x")
    with pytest.raises(AddressUnusable, match="nowhere"):
        await resolve(Address.parse("nowhere.invalid:7"))


# ---- keys -------------------------------------------------------------------------------------------


def test_keys_are_made_once_and_stay(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    assert ensure_keys(tmp_path) == read_keys(tmp_path) == keys
    assert is_public_key(keys.public)
    assert zmq.curve_public(keys.secret.encode()).decode() == keys.public
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [KEY_FILE], "nothing is left beside it"
    assert keys.public in (tmp_path / KEY_FILE).read_text(), "an operator finds the public key there"


def test_keys_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_keys(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_secret_is_in_no_repr() -> None:
    keys = make_keys()
    assert keys.secret not in repr(keys)
    assert keys.public in repr(keys)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    ensure_keys(tmp_path)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(KeyFileExposed, match="chmod 600"):
        ensure_keys(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"# only\n", b"short\n", b"\xff" * 40, b"a" * 41, b"\0" * 40, b"one\ntwo\n"]
)
def test_a_damaged_key_is_told_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileDamaged) as caught:
        ensure_keys(tmp_path)
    assert path.read_bytes() == content
    if len(content) > 10:
        assert content.decode("latin-1").strip() not in str(caught.value)


def test_of_several_that_make_a_key_at_once_all_have_the_same(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def make(_: int) -> Keys:
        start.wait()
        return ensure_keys(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(make, range(8)))
    assert made == {read_keys(tmp_path)}
    assert os.listdir(tmp_path) == [KEY_FILE]


def test_a_partial_file_of_a_process_that_died_is_no_key(tmp_path: Path) -> None:
    (tmp_path / f"{KEY_FILE}.{os.getpid()}.partial").write_text("half")
    keys = ensure_keys(tmp_path)
    assert read_keys(tmp_path) == keys
    assert os.listdir(tmp_path) == [KEY_FILE]


@given(st.text(max_size=45))
def test_any_text_is_a_key_or_not(text: str) -> None:
    if is_public_key(text):
        assert len(text) == 40


# ---- members ----------------------------------------------------------------------------------------


def member(number: int, keys: Keys | None = None) -> Member:
    return Member(bytes([number]) * 8, (keys or make_keys()).public, Address("10.0.0.1", number))


def test_a_roster_has_the_peers() -> None:
    own, first, second = (member(n) for n in (1, 2, 3))
    roster = Roster([first, own, second], own.node, own.key)
    assert set(roster) == {first, second}
    assert set(roster.keys()) == {first.key, second.key}
    assert roster.peer(first.node) == roster.peer_of(first.key) == first
    assert roster.peer(own.node) is roster.peer_of(own.key) is None


def test_a_roster_that_cannot_be_right_is_refused() -> None:
    keys = make_keys()
    own, other = member(1), member(2, keys)
    for members, node, key in (
        ([other], own.node, own.key),
        ([own, other], own.node, other.key),
        ([own, other, member(3, keys)], own.node, own.key),
        ([own, other, member(2)], own.node, own.key),
        ([own, other, Member(b"x" * 8, make_keys().public, other.address)], own.node, own.key),
        ([own, Member(b"short", make_keys().public, other.address)], own.node, own.key),
        ([own, Member(b"x" * 8, "no key", other.address)], own.node, own.key),
        ([], own.node, own.key),
    ):
        with pytest.raises(MembersUnusable, match="list every node once"):
            Roster(members, node, key)


# ---- limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message_bytes_max", 1_000),
        ("batches_max", 0),
        ("silence_ms_max", 3_000),
        ("retry_ms_max", 10),
        ("group_ports", (10, 9)),
        ("group_ports", (0, 9)),
        ("group_ports", (1, 70_000)),
    ],
)
def test_a_limit_that_cannot_be_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"links.*{name}"):
        LinkSettings(**{name: value})  # type: ignore[arg-type]
