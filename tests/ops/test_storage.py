"""`waystation store`, beside a real node and without one."""

import io
import json
import shutil
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from node.tables import GROUPS, STORE_DIRECTORY
from ops.bench.node_process import NodeProcess, free_ports
from ops.copies import CopyRefused, back_up, bring_back
from ops.storage import app
from replication.zeromq.keys import KEY_FILE, ensure_keys, read_keys
from store.fieldindex import FieldIndex, KeyPath
from store.operations import AddIndex, CreateTable
from store.results import Result
from store.schema import Group, Table
from store.store import Store


def store(*words: object) -> subprocess.CompletedProcess[str]:
    """`waystation store …`, in this process: most of what a process would cost is its start."""
    command, status = [str(word) for word in words], 0
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            app(command)
        except SystemExit as ended:
            status = int(ended.code or 0)
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that ran once, and `backup` and `dump` of its data directory, taken while it did."""
    folder = tmp_path_factory.mktemp("taken")
    [port] = free_ports(1)
    with NodeProcess.start({"listen": {"port": port}}, folder / "node") as node:
        data = folder / "node" / "data"
        looked = json.loads(store("info", "--data", data, "--json").stdout)
        assert looked["groups"]["cluster"]["tables"]["claim"]["rows"] == 1024
        for words in (("backup", folder / "backup"), ("dump", folder / "dump")):
            done = store(*words, "--data", data, "--json")
            assert json.loads(done.stdout)["records"] == 1027, done.stderr
        assert "another process holds" in store("verify", "--data", data).stderr
        node.stop()
    return folder


@pytest.fixture
def data(taken: Path, tmp_path: Path) -> Path:
    """The data directory; beside it, in `tmp_path`, backup and dump: copies, which a test may damage."""
    shutil.copytree(taken, tmp_path, dirs_exist_ok=True)
    return tmp_path / "node" / "data"


def test_what_was_taken_beside_a_node_comes_back(data: Path, tmp_path: Path) -> None:
    assert json.loads(store("verify", "--data", data, "--json").stdout) == {"records": 1027}
    for words in (("restore", tmp_path / "backup"), ("load", tmp_path / "dump")):
        target = tmp_path / f"from-{words[0]}"
        done = store(*words, "--data", target, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(store("verify", "--data", target, "--json").stdout) == {"records": 1027}
    for name in ("certificate.pem", "key.pem"):
        for copy in (tmp_path / "backup" / name, tmp_path / "from-restore" / name):
            assert copy.read_bytes() == (data / name).read_bytes()
            assert copy.stat().st_mode & 0o777 == 0o600
    assert json.loads(store("verify", "--data", tmp_path / "backup", "--json").stdout) == {"records": 1027}
    before = store("restore", tmp_path / "backup", "--data", tmp_path / "from-restore")
    assert before.returncode == 1
    assert "exists" in before.stderr
    assert "Traceback" not in before.stderr


def test_a_restore_keeps_a_certificate_that_is_another(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "key.pem").write_text("another")
    done = store("restore", tmp_path / "backup", "--data", target)
    assert done.returncode == 1
    assert "move certificate.pem and key.pem away" in done.stderr
    assert [path.name for path in target.iterdir()] == ["key.pem"]


def test_the_key_by_which_other_nodes_know_a_node_is_in_its_backup(tmp_path: Path) -> None:
    source, copy, target = (tmp_path / name for name in ("node", "backup", "target"))
    source.mkdir()
    keys = ensure_keys(source)
    with Store.open(source / STORE_DIRECTORY, GROUPS, committer="inline") as opened:
        back_up(opened, source, copy, lambda *_: None)
    target.mkdir()
    another = ensure_keys(target)
    with pytest.raises(CopyRefused, match=r"move links\.key away"):
        bring_back(copy, target, lambda *_: None)
    assert read_keys(target) == another
    assert [path.name for path in target.iterdir()] == [KEY_FILE]
    (target / KEY_FILE).unlink()
    bring_back(copy, target, lambda *_: None)
    assert read_keys(copy) == read_keys(target) == keys  # which also wants them to be their owner's only


def test_a_refused_dump_or_backup_leaves_nothing(data: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(dump.read_bytes()[:-1])
    piece = tmp_path / "backup" / "store" / "users" / "data.mdb"
    piece.write_bytes(piece.read_bytes()[:-4096])
    for words in (("load", dump), ("load", tmp_path / "none"), ("restore", tmp_path / "backup")):
        target = tmp_path / "target"
        done = store(*words, "--data", target)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert not target.exists()
        assert store("load", dump, "--data", data).returncode == 1
    assert json.loads(store("verify", "--data", data, "--json").stdout) == {"records": 1027}


def test_a_place_that_is_not_there_is_named(data: Path, tmp_path: Path) -> None:
    done = store("dump", tmp_path / "none" / "dump", "--data", data)
    assert (done.returncode, done.stderr) == (
        1,
        f"waystation: there is no directory {tmp_path / 'none'}: make it, or name another place\n",
    )


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    for words in (("info",), ("verify",), ("backup", tmp_path / "b"), ("dump", tmp_path / "d")):
        done = store(*words, "--data", tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("waystation: ")
        assert "holds no store" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_info_shows_what_was_made_at_run_time_and_how_all_of_it_is_declared(tmp_path: Path) -> None:
    index = FieldIndex("town", (("town",), KeyPath(1)))
    with Store.open(tmp_path / STORE_DIRECTORY, GROUPS, committer="inline") as opened:
        extra = opened.add_group_now(Group("extra", (Table("made", merge="max", tombstones=True),)))
        told: list[Result] = []
        extra.submit_alter(told.append, AddIndex("made", index))
        extra.submit_alter(told.append, CreateTable(Table("bagged", kind="bag", partitioned=False)))
        while len(told) < 2:
            opened.deliver_results()
        assert [result.error for result in told] == [None, None]
    found = json.loads(store("info", "--data", tmp_path, "--json").stdout)["groups"]["extra"]["tables"]
    assert found["made"]["merge"] == "max"
    assert found["made"]["made_at_run_time"]
    assert found["made"]["indexes"] == {
        "town": {"version": 1, "paths": ["value.town", "key[1]"], "complete": True}
    }
    text = store("info", "--data", tmp_path).stdout
    assert "town" in text
    assert "bagged" in text
    assert store("verify", "--data", tmp_path).returncode == 0
