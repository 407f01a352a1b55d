"""`waystation run` as a process: ready, served, stopped; mistakes end it with a line and exit status 1; and what it
never writes down."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from node.accounts.settings import AccountsSettings, CommandSettings
from node.wire import errors, verbs
from node.wire.codec import encode
from ops.bench.node_process import NodeProcess, free_ports, toml
from ops.run import _guide
from tests.node.blocking import Wire
from tests.node.live import Device

GIVE_UP_S = 20.0
ROOT = Path(__file__).resolve().parents[2]
RUN = (sys.executable, "-m", "ops.command", "run")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    nodes: list[NodeProcess] = []

    def begin(config: dict[str, dict[str, Any]], folder: str = "node") -> NodeProcess:
        nodes.append(NodeProcess.start(config, tmp_path / folder))
        return nodes[-1]

    yield begin
    for node in nodes:
        node.kill()


def listening(**more: int) -> tuple[dict[str, dict[str, Any]], tuple[int, int]]:
    """A configuration with a TLS port and a plain one."""
    public, plain = free_ports(2)
    return {"listen": {"port": public, "plain_port": plain, **more}}, (public, plain)


def run(folder: Path, text: str = "", *arguments: str) -> subprocess.CompletedProcess[str]:
    """A node that is expected to end by itself."""
    folder.mkdir(exist_ok=True)
    (folder / "node.toml").write_text(text)
    return subprocess.run(
        [*RUN, "--config", str(folder / "node.toml"), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
    )


# ---- a life ------------------------------------------------------------------------------------------------


def test_a_node_says_that_it_is_ready_serves_and_stops_when_asked(start: Callable[..., NodeProcess]) -> None:
    config, (public, plain) = listening()
    node = start(config)
    assert node.ready_line == f"ready public=127.0.0.1:{public} plain=127.0.0.1:{plain}"
    with Wire(plain).hello() as phone, Wire(public, tls=True).hello() as other:
        node.signal(signal.SIGTERM)
        for wire in (phone, other):
            assert wire.next()[:2] == (verbs.BYE, errors.SHUTTING_DOWN)
    assert node.stop() == 0
    log = node.log_tail()
    assert "event=stopping connections=2" in log
    assert "event=stopped" in log


def test_a_second_signal_changes_nothing(start: Callable[..., NodeProcess]) -> None:
    config, (_, plain) = listening()
    node = start(config)
    with Wire(plain).hello() as phone:
        for _ in range(3):
            node.signal(signal.SIGINT)
        assert phone.next()[0] == verbs.BYE
    given_up = time.monotonic() + GIVE_UP_S
    while node.exit_code is None and time.monotonic() < given_up:  # to the last moment
        node.signal(signal.SIGTERM)
        time.sleep(0.0005)
    assert node.exit_code == 0


def test_the_guide_tells_how_to_talk(tmp_path: Path) -> None:
    config, (public, _) = listening()
    (tmp_path / "node.toml").write_text(toml(config))
    process = subprocess.Popen(
        [*RUN, "--guide", "--config", str(tmp_path / "node.toml"), "--data", str(tmp_path / "elsewhere")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            said += line
        assert f"waystation chat --as +15551230001 --to +15551230002 --server 127.0.0.1:{public}" in said
        assert (tmp_path / "elsewhere" / "store").is_dir()
        assert not (tmp_path / "data").exists()
    finally:
        process.terminate()
        process.communicate(timeout=GIVE_UP_S)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("accounts", "addresses", "said", "unsaid"),
    [
        ({}, [("public", "127.0.0.1", 1)], ("--server 127.0.0.1:1\n", "PIN", "appears here"), "--plain"),
        ({}, [("plain", "::1", 1)], ("--server [::1]:1 --plain\n", "appears here"), "closed"),
        ({}, [("plain", "0.0.0.0", 1), ("own", "::", 2)], ("--server [::1]:2\n",), "--plain"),
        ({"open": False}, [("public", "127.0.0.1", 1)], ("Registration is closed",), "PIN"),
        (
            {"gateway": "command", "command": CommandSettings(program=("/bin/true",))},
            [("public", "127.0.0.1", 1)],
            ("the configured gateway sends (command)",),
            "appears here",
        ),
    ],
)
def test_the_guide_is_true_of_the_node(
    accounts: dict[str, Any], addresses: list[tuple[str, str, int]], said: tuple[str, ...], unsaid: str
) -> None:
    text = _guide(AccountsSettings(**accounts), addresses)
    for each in said:
        assert each in text
    assert unsaid not in text


# ---- mistakes ----------------------------------------------------------------------------------------------


def test_a_mistake_is_one_line_and_nothing_is_made(tmp_path: Path) -> None:
    for text, said in (
        ("[mail]\nwindow = 0", "mail.window is 0: choose a value from 1 to 1024"),
        ("[listen]\ncertificate = 'c.pem'\nkey = 'k.pem'", "which is not there: correct the path"),
    ):
        ended = run(tmp_path / "node", text)
        assert (ended.returncode, ended.stdout) == (1, ""), text
        (line,) = ended.stderr.splitlines()
        assert line.startswith("waystation: ")
        assert said in line
        assert list((tmp_path / "node").iterdir()) == [tmp_path / "node" / "node.toml"]


def test_what_goes_wrong_after_the_configuration_is_one_line_too(
    tmp_path: Path, start: Callable[..., NodeProcess]
) -> None:
    config, (_, plain) = listening()
    start(config)
    ended = run(tmp_path / "node", toml(config))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("waystation: ")
    assert "another process" in ended.stderr
    ended = run(tmp_path / "other", toml({"listen": {"port": 0, "plain_port": plain}}))
    # Before it, the log may say that this machine allows fewer open files.
    assert (ended.returncode, ended.stderr.splitlines(keepends=True)[-1]) == (
        1,
        f"waystation: can't listen on 127.0.0.1:{plain}: Address already in use; stop what uses it, or choose another"
        " address or port under [listen]\n",
    )
    config, _ = listening()  # what was made is whole: the next start is an ordinary one
    assert start(config, "other").stop() == 0
    webhook = '[registration]\ngateway = "webhook"\nwebhook = { url = "https://a.b/", secret_file = "no" }'
    ended = run(tmp_path / "fourth", webhook)
    assert (ended.returncode, ended.stderr) == (
        1,
        "waystation: registration.webhook.secret_file can't be read: No such file or directory\n",
    )


# ---- what is never written down ------------------------------------------------------------------------------


def test_no_body_pin_key_or_signature_reaches_the_logs(start: Callable[..., NodeProcess]) -> None:
    """A conversation with everything in it, at the level that shows most."""
    config, (public, plain) = listening()
    node = start({"node": {"log": "debug"}, **config})
    out = node.directory / "node.out"
    alice, bob = Device.of(1), Device.of(2)
    body, unread = b"a body that nobody may see", b"another one, for later"
    secrets: list[bytes] = [body, unread]
    with Wire(public, tls=True).hello() as phone, Wire(plain).hello() as other:
        pins = {}
        for wire, device in ((phone, alice), (other, bob)):
            wire.send((verbs.PIN, device.user))
            wire.next(verbs.PIN)
            pins[device.user] = _pin(out, device.user)
            wire.send(device.register("000000"))
            assert wire.next(verbs.ERROR)[1] == errors.PIN_REFUSED
            wire.send(device.register(pins[device.user]))
            wire.next(verbs.REGISTER)
            wire.login(device)
            secrets += [
                device.key,
                device.stream,
                device.secret.sign(b""),
                device.login(wire.nonce, wire.certificate)[2],
            ]
            secrets += [wire.nonce, pins[device.user].encode()]
        phone.send(alice.send(bob, 1, body))
        assert other.next(verbs.DELIVER)[6] == body
        other.send(bob.ack(alice, 1))
        phone.next(verbs.ACCEPTED)
        phone.send((verbs.SEND, bob.user, bytes(8), 1, 1, body))
        assert phone.next(verbs.ERROR)[1] == errors.STREAM_WRONG
        phone.send(alice.send(bob, 1, unread))
        time.sleep(0)
        for bad in (
            encode((verbs.SEND, bob.user, alice.stream, 1, 0, body)),
            b"\0\0\0\x20" + body + b"......",
        ):
            with Wire(plain).hello() as third:
                third.sock.sendall(bad)
                assert third.next(verbs.ERROR)[1] in (errors.MALFORMED, errors.LOGIN_FIRST)
        with Wire(plain).hello() as forger:
            forged = bytes(range(64))
            secrets.append(forged)
            forger.send((verbs.LOGIN, alice.user, forged))
            assert forger.next(verbs.ERROR)[1] == errors.UNAUTHORISED
    assert node.stop() == 0
    written = (node.directory / "node.log").read_bytes()
    assert b"event=stopped" in written
    shown = out.read_bytes()
    for line in shown.splitlines(keepends=True):
        if line.startswith(b"PIN +"):
            shown = shown.replace(line, b"")
    for secret in secrets:
        for form in (secret, secret.hex().encode(), repr(secret)[2:-1].encode(), secret[:12].hex().encode()):
            assert form not in written, form
            assert form not in shown, form


def _pin(out: Path, user: int) -> str:
    """What the printing gateway has printed for this number."""
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        if found := re.search(rf"PIN \+{user} (\d+)", out.read_text()):
            return found[1]
        time.sleep(0.01)
    raise AssertionError("no PIN was printed")
