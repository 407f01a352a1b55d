"""The list of keys: read strictly, changed durably, in force as soon as it is read, never lost by a mistake in it."""

import stat
from pathlib import Path

import pytest
import structlog

from admin.channel.errors import KeyNameTaken, KeyNameUnknown, KeysDamaged, KeysExposed
from admin.channel.keyring import Asker, Keyring, allow, read_askers, revoke
from admin.commands.table import Role
from replication.zeromq.keys import make_keys


def asker(name: str, role: Role = Role.VIEWER) -> Asker:
    return Asker(name, role, make_keys().public)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "authorised"


def test_what_was_allowed_is_read_and_what_was_revoked_is_gone(path: Path) -> None:
    anna, bert = asker("anna", Role.DEPLOYER), asker("bert@laptop")
    allow(path, anna)
    allow(path, bert)
    assert read_askers(path) == (anna, bert)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    revoke(path, "anna")
    assert read_askers(path) == (bert,)
    assert list(path.parent.iterdir()) == [path]


def test_a_name_and_a_key_are_there_once(path: Path) -> None:
    anna = asker("anna")
    allow(path, anna)
    with pytest.raises(KeyNameTaken):
        allow(path, asker("anna"))
    with pytest.raises(KeyNameTaken):
        allow(path, Asker("other", Role.VIEWER, anna.key))
    with pytest.raises(KeyNameUnknown):
        revoke(path, "bert")


@pytest.mark.parametrize(
    "line",
    [
        "root anna {key}",
        "viewer anna",
        "viewer anna short",
        "viewer an/na {key}",
        "viewer a b {key}",
        "viewer \N{GRINNING FACE} {key}",
    ],
)
def test_a_line_that_is_wrong_is_named(path: Path, line: str) -> None:
    path.write_text("# a comment\n\n" + line.format(key=make_keys().public))
    with pytest.raises(KeysDamaged, match="line 3"):
        read_askers(path)


def test_a_list_that_others_can_write_is_not_believed(path: Path) -> None:
    allow(path, asker("anna"))
    path.chmod(0o620)
    with pytest.raises(KeysExposed, match="chmod 600"):
        read_askers(path)


def test_a_change_is_seen_and_a_mistake_leaves_what_was_in_force(path: Path) -> None:
    anna, bert = asker("anna"), asker("bert")
    allow(path, anna)
    keyring = Keyring(path)
    assert not keyring.refresh()
    allow(path, bert)
    with structlog.testing.capture_logs():
        assert keyring.refresh()
    assert set(keyring.by_key) == {anna.key, bert.key}
    path.write_text("nonsense\n")
    with structlog.testing.capture_logs() as logs:
        assert not keyring.refresh()
    assert [one["event"] for one in logs] == ["admin_keys_not_read"]
    assert set(keyring.by_key) == {anna.key, bert.key}
    assert keyring.unread == 1
    path.unlink()
    with structlog.testing.capture_logs():
        assert keyring.refresh()
    assert keyring.by_key == {}, "no list is a list of nobody"
