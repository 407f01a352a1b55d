"""`waystation cluster`, of nodes that are stopped: what it makes, and what it says when it can't."""

import json
import re
import socket
from pathlib import Path

import pytest

from ops.cluster import app
from replication.zeromq.keys import is_public_key, make_keys, read_keys

CONFIG = """
[node]
data = "d"
[cluster]
listen = "127.0.0.1:7500"
server = "s1"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(CONFIG)
    return path


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        app(words)
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("waystation: ")
    assert len(said.splitlines()) == 1
    return said


def asked(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    app(words, result_action="return_value")
    return capsys.readouterr().out


def test_a_key_is_made_once(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["key", "--config", str(config)]
    key = asked(words, capsys).strip()
    assert is_public_key(key)
    assert json.loads(asked([*words, "--json"], capsys)) == {"key": key, "data": str(tmp_path / "d")}
    assert read_keys(tmp_path / "d").public == key


def test_a_cluster_is_begun_and_says_how_others_join(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["init", "town", "--config", str(config)]
    begun = json.loads(asked([*words, "--json"], capsys))
    assert begun["place"] == f"{read_keys(tmp_path / 'd').public}@127.0.0.1:7500"
    assert (begun["name"], begun["partitions_kept"], len(bytes.fromhex(begun["node"]))) == ("town", 0, 8)
    assert "belongs to a cluster already" in refused(words, capsys)


def test_how_others_join_is_told_as_words(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = asked(["init", "town", "--config", str(config)], capsys)
    assert "waystation cluster invite KEY" in said
    assert "@127.0.0.1:7500" in said


def test_a_node_that_is_to_stand_alone_is_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "node.toml").write_text('[node]\ndata = "d"\n')
    for words in (["init", "town"], ["join", "KEY@h:1"]):
        assert "cluster.listen isn't set" in refused(
            [*words, "--config", str(tmp_path / "node.toml")], capsys
        )
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("member", ["127.0.0.1:7500", "short@127.0.0.1:7500", f"{'k' * 40}@"])
def test_a_member_is_named_by_key_and_address(
    config: Path, member: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "KEY@HOST:PORT" in refused(["join", member, "--config", str(config)], capsys)


def test_what_a_running_node_is_asked_needs_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["status"], ["rebalance"], ["leave", "--yes"]):
        words.insert(1, str(tmp_path))
        assert "no node" in refused(words, capsys)
    for words in (["invite", make_keys().public], ["remove", "1f3a"], ["move", "3", "1f3a"]):
        assert "no node" in refused([*words, str(tmp_path)], capsys)


def test_a_cluster_to_try_out_names_the_ports_that_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = refused(["here", str(tmp_path / "c"), "--port", str(port - 1)], capsys)
    assert re.search(rf"in use: \[[^\]]*\b{port}\b", said)  # its neighbours may be in use by somebody else
    assert "--port" in said
    assert "choose 2 to 8" in refused(["here", str(tmp_path / "c"), "--nodes", "1"], capsys)
    assert not (tmp_path / "c").exists()


KEY = "u8y=kwU^nI=b42}&A2GZh7XZ%Y1J@#-F[+iI>oWx"


KEYS = (KEY, f"-{KEY[1:]}", f"--{KEY[2:]}", f"-h{KEY[2:]}", f"--json{KEY[6:]}")
LINES = (
    "{key} here --server s --json", "-- {key} here --server s --json", "--json --server s -- {key} here",
    "here --server s --json -- {key}", "-- {key} --server s --json here", "--server=s {key} here --json",
)  # fmt: skip
OPTION = f"--server={KEY[9:]}"
"""A key that is taken for an option, but behind a `--`."""


@pytest.mark.parametrize(
    ("line", "key"),
    [(line, key) for line in LINES for key in KEYS] + [(line, OPTION) for line in LINES if "-- " in line],
)
def test_a_key_is_one_whatever_it_looks_like_and_options_are_options(
    line: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr("ops.cluster.admin", lambda *words: asked.append(words))
    app(["invite", *line.format(key=key).split()], result_action="return_value")
    assert asked == [("here", "--json", "cluster", "invite", "--server", "s", "--weight", "100", "--", key)]
