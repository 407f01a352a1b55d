"""The two processes, each against a script in the other's place: every way in which a successor can be of no use."""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from admin.upgrade import passing
from admin.upgrade.errors import ChannelLost, SuccessorFailed
from admin.upgrade.passing import Channel
from admin.upgrade.predecessor import VARIABLE, Greeting, Predecessor
from admin.upgrade.successor import Successor
from node.handing import state
from node.handing.freezing import Cargo
from node.handing.state import Handed, HandedListener

ROOT = Path(__file__).resolve().parents[3]
START = """
import os, sys, time
from importlib.metadata import version
from admin.upgrade.predecessor import Predecessor
before = Predecessor.of(os.environ)
"""


@pytest.fixture
def start() -> Iterator[Callable[[str], Successor]]:
    made: list[Successor] = []

    def begin(script: str) -> Successor:
        made.append(
            Successor([sys.executable, "-c", START + script], {**os.environ, "PYTHONPATH": str(ROOT)})
        )
        return made[-1]

    yield begin
    for one in made:
        one.end()


def checked(successor: Successor) -> Greeting:
    for _ in range(200):
        found = successor.check(0.1)
        if found is not None:
            return found
    raise AssertionError("it never said a word")


def cargo(*descriptors: int) -> Cargo:
    return Cargo(Handed(logins=3, listeners=(HandedListener(name="plain"),)), descriptors)


def test_it_is_checked_and_takes_what_it_is_given(start: Callable[[str], Successor], tmp_path: Path) -> None:
    successor = start(
        "print('said on the way', file=sys.stderr)\n"
        "handed = before.wait('9.9')\n"
        "os.write(before.descriptors[0], b'%d %d' % (handed.logins, before.standard_error))\n"
        "before.taken()\n"
        "os.write(before.descriptors[0], b' serves')\n"
    )
    assert checked(successor).version == "9.9"
    reading, writing = os.pipe()
    successor.hand_over(cargo(writing))
    assert os.read(reading, 100) == b"3 2"
    successor.go()
    assert os.read(reading, 100) == b" serves"
    for one in (reading, writing):
        os.close(one)


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("import nowhere", "ended with code 1: .*No module named 'nowhere'"),
        ("sys.exit(7)", "ended with code 7"),
        ("before.failed('ConfigError: [listen] has no port')", "has no port"),
        ("os.write(before._channel.fileno(), b'nonsense')\ntime.sleep(60)", "makes no sense"),
        (
            "from admin.upgrade import passing\n"
            "import msgspec\n"
            "before._channel.send(passing.CHECKED, msgspec.msgpack.encode("
            "{'pid': 1, 'version': '7.0', 'formats': [99]}))\ntime.sleep(60)",
            "version 7.0, which can't take over from this one",
        ),
    ],
)
def test_what_is_of_no_use_is_ended_and_says_why(
    start: Callable[[str], Successor], script: str, cause: str
) -> None:
    successor = start(script)
    with pytest.raises(SuccessorFailed, match=f"(?s)of no use: .*{cause}"):
        checked(successor)
    with pytest.raises(ProcessLookupError):
        os.kill(successor.pid, 0)


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("before.wait('1')\nbefore.failed('DamagedStore: the tables')", "DamagedStore: the tables"),
        ("before.wait('1')\nsys.exit(3)", "ended with code 3"),
        (
            "before._channel.send(b'C', b'\\x82\\xa3pid\\x01\\xa7version\\xa11')\nsys.exit(4)",
            "ended with code 4",
        ),
    ],
)
def test_one_that_fails_when_it_was_given_everything_leaves_it_here(
    start: Callable[[str], Successor], script: str, cause: str
) -> None:
    successor = start(script)
    checked(successor)
    reading, writing = os.pipe()
    with pytest.raises(SuccessorFailed, match=cause):
        successor.hand_over(cargo(writing))
    with pytest.raises(ProcessLookupError):
        os.kill(successor.pid, 0)
    os.write(writing, b"still ours")
    assert os.read(reading, 100) == b"still ours"
    for one in (reading, writing):
        os.close(one)


def test_what_can_not_be_started_is_said() -> None:
    with pytest.raises(SuccessorFailed, match="/nowhere can't be started: No such file"):
        Successor(["/nowhere"], {})


# ---- the other side ---------------------------------------------------------------------------


@pytest.fixture
def sides() -> Iterator[tuple[Predecessor, Channel]]:
    ours, theirs = socket.socketpair()
    environment = {VARIABLE: f"{ours.detach()}:{os.dup(2)}", "PATH": "/bin"}
    kept = os.dup(2)
    predecessor = Predecessor.of(environment)
    assert predecessor is not None
    assert environment == {"PATH": "/bin"}
    channel = Channel(theirs, 10.0)
    yield predecessor, channel
    predecessor.close()
    channel.close()
    os.dup2(kept, 2)
    os.close(kept)


def test_without_the_variable_there_is_no_predecessor() -> None:
    assert Predecessor.of({}) is None


def _taken(predecessor: Predecessor) -> list[Exception]:
    seen: list[Exception] = []
    try:
        predecessor.taken()
    except ChannelLost as error:
        seen.append(error)
    return seen


def test_if_the_other_process_dies_the_silence_is_as_good_as_go(
    sides: tuple[Predecessor, Channel],
) -> None:
    predecessor, channel = sides
    seen: list[list[Exception]] = []
    taking = threading.Thread(target=lambda: seen.append(_taken(predecessor)))
    taking.start()
    assert channel.receive(passing.TAKEN)
    channel.close()
    taking.join()
    assert seen == [[]]


def test_as_long_as_it_lives_nobody_serves_without_its_word(
    sides: tuple[Predecessor, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    predecessor, channel = sides
    monkeypatch.setattr("admin.upgrade.predecessor.GO_S_MAX", 0.01)
    assert len(_taken(predecessor)) == 1
    channel.receive(passing.TAKEN)


def test_what_it_can_not_read_it_does_not_take(sides: tuple[Predecessor, Channel]) -> None:
    predecessor, channel = sides
    channel.send(passing.CARGO, msgspec.msgpack.encode({"logins": "many"}))
    with pytest.raises(ChannelLost, match="can't be read"):
        predecessor.wait("1")


def test_a_call_off_while_it_waits_is_told_as_such(sides: tuple[Predecessor, Channel]) -> None:
    predecessor, channel = sides
    channel.close()
    with pytest.raises(ChannelLost):
        predecessor.wait("1")


def test_it_takes_connections_with_what_is_known_of_them(sides: tuple[Predecessor, Channel]) -> None:
    predecessor, channel = sides
    handed = Handed(logins=1, listeners=(HandedListener(name="plain", unit=True),))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def give() -> None:
            channel.receive(passing.CHECKED)
            channel.send(passing.CARGO, state.encode(handed))
            channel.send_descriptors([listening.fileno()])

        giving = threading.Thread(target=give)
        giving.start()
        assert predecessor.wait("1") == handed
        giving.join()
        (descriptor,) = predecessor.descriptors
        assert os.path.sameopenfile(descriptor, listening.fileno())
        os.close(descriptor)
