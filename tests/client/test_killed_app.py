"""kill -9 of an app that sends, and of one that receives, at arbitrary instants: nothing is lost or handed twice."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import anyio
from anyio.from_thread import start_blocking_portal

from client.client import Client
from client.trust import Plain
from tests.client.doomed_app import BOB
from tests.client.fake_server import FAST, Serving, serve

ALICE = "+15551230001"
ROOT = Path(__file__).parents[2]


@contextmanager
def app(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.client.doomed_app", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_until(process: subprocess.Popen[str], count: int, last: str = "") -> list[list[str]]:
    """The lines until the `count`th or the last, then a kill, then what had been said until then."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if len(said) == count or line.strip() == last:
            process.kill()
    return [line.split() for line in said if line.endswith("\n")]


async def register(path: Path, address: str, number: str) -> None:
    async with Client.open(path, address, tls=Plain(), settings=FAST) as client:
        await client.request_pin(number)
        await client.register("123456")
        await client.wait_online()


@contextmanager
def served(tmp_path: Path) -> Iterator[Serving]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve()) as server:
        for name, number in (("a", ALICE), ("b", BOB)):
            anyio.run(register, tmp_path / name, server.address, number)
        yield server


def test_apps_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    random, total = Random(7), 200
    with served(tmp_path) as server:
        next_, sent_twice = 1, set[str]()
        while True:
            with app("send", tmp_path / "a", server.address, next_, total) as sender:
                said = lines_until(sender, random.randint(20, 120))
            sent = [int(words[1]) for words in said if words[0] == "sent"]
            assert sent == list(range(next_, next_ + len(sent)))
            next_ += len(sent)
            if ["done"] in said:
                break
            sent_twice.add(str(next_))  # it may have been on disk when the app died; the app can't know
        last = max(number for (recipient, _, _), number in server.node.accepted if recipient == int(BOB))
        handed, acked = list[tuple[int, str]](), set[int]()
        while last not in acked:
            with app("receive", tmp_path / "b", server.address) as receiver:
                for what, *words in lines_until(receiver, random.randint(30, 200), f"acked {last}"):
                    number = int(words[0])
                    if what == "handed":
                        assert number not in acked, "handed again after its ack"
                        handed.append((number, words[1]))
                    else:
                        acked.add(number)
    first = list(dict.fromkeys(handed))
    assert [number for number, _ in first] == list(range(1, last + 1))
    texts = [text for _, text in first]
    assert list(dict.fromkeys(texts)) == [str(n) for n in range(1, total + 1)]
    repeated = {text for text in texts if texts.count(text) > 1}
    assert repeated <= sent_twice
