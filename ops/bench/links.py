"""`bench links`: what a message between nodes costs on a link: CPU of both ends, for small messages and large ones.

Two processes on this machine, over loopback, encrypted. CPU is each process's own (user and system); `main` is its
main thread alone, which is the one that nodes are short of, the rest is ZeroMQ's. A *pass* is what a node sends
before it waits for the next event: messages of one pass travel together. Nothing above the links takes part.
"""

import json
import secrets
import socket
import subprocess
import sys
import time
from typing import Annotated, Any, Final

import trio
from attrs import frozen
from cyclopts import App, Parameter
from cyclopts.validators import Number

from ops.bench.links_peer import ASK, GROUP, LOAD, members_of
from ops.bench.screen import Screen, print_result
from ops.logs import configure_logs
from replication.zeromq.keys import Keys, make_keys
from replication.zeromq.links import Links

app = App(name="links", help="Measure the links between nodes alone.")

PATIENCE_S: Final = 120
SWITCH_INTERVAL_S: Final = 0.0005  # as the node's composition root sets it


@frozen
class Round:
    """So many messages of so many bytes, so many in a pass."""

    name: str
    messages: int
    size: int
    per_pass: int


def rounds(messages: int) -> tuple[Round, ...]:
    """What is measured."""
    return (
        Round("single", messages // 4, 200, 1),
        Round("batch_40", messages, 200, 40),
        Round("batch_400", messages, 200, 400),
        Round("kb_64", messages // 40, 65_536, 4),
        Round("mb_1", messages // 400, 1_048_576, 1),
    )


class Sender:
    """This end: a receiver of reports."""

    def __init__(self) -> None:
        self.report: list[int] = []
        self.up: set[str | None] = set()

    def received(self, peer: bytes, group: str | None, message: list[Any]) -> None:
        self.report = message[1:]

    def passed(self) -> None:
        pass

    def connected(self, peer: bytes, group: str | None) -> None:
        self.up.add(group)

    def disconnected(self, peer: bytes, group: str | None) -> None:
        self.up.discard(group)


async def _ask(links: Links, sender: Sender, peer: bytes) -> list[int]:
    sender.report = []
    while not links.send(peer, None, [ASK]):  # noqa: ASYNC110
        await trio.sleep(0.01)
    while not sender.report:  # noqa: ASYNC110 - the report tells nobody
        await trio.sleep(0.002)
    return sender.report


async def measure(wanted: Round, links: Links, sender: Sender, peer: bytes) -> dict[str, Any]:
    """One round: µs of CPU for a message and for a MB, at both ends, and the rate."""
    body = secrets.token_bytes(wanted.size)
    got, their_cpu, their_main = await _ask(links, sender, peer)
    until = got + wanted.messages
    cpu, main, began = time.process_time(), time.thread_time(), time.monotonic()
    for start in range(0, wanted.messages, wanted.per_pass):
        for number in range(start, min(start + wanted.per_pass, wanted.messages)):
            while not links.send(peer, GROUP, [LOAD, number, body]):
                links.flush()
                await trio.sleep(0.001)
        links.flush()
        await trio.lowlevel.checkpoint()
    sending = time.thread_time() - main
    report = await _ask(links, sender, peer)
    while report[0] < until:
        await trio.sleep(0.01)
        report = await _ask(links, sender, peer)
    took = time.monotonic() - began
    count = wanted.messages
    spent = {
        "send_cpu_us": (time.process_time() - cpu) * 1e6 / count,
        "send_main_us": sending * 1e6 / count,
        "receive_cpu_us": (report[1] - their_cpu) / count,
        "receive_main_us": (report[2] - their_main) / count,
    }
    result: dict[str, Any] = {"messages_per_s": count / took, **spent}
    if wanted.size > 1_024:
        result["mb_per_s"] = count * wanted.size / took / 1e6
        result.update({f"{name}_per_mb": value * 1e6 / wanted.size for name, value in spent.items()})
    return result


async def compare(messages: int, screen: Screen) -> dict[str, Any]:
    """All rounds over one pair of nodes."""
    ours, theirs = make_keys(), make_keys()
    rows = [[secrets.token_hex(8), keys.public, f"127.0.0.1:{_free_port()}"] for keys in (ours, theirs)]
    members = members_of(rows)
    sender = Sender()
    links = Links(members[0].node, ours, members, sender)
    process = _start_peer(rows, theirs)
    try:
        result: dict[str, Any] = {}
        async with trio.open_nursery() as nursery:
            await nursery.start(links.run)
            links.open(GROUP)
            with trio.fail_after(PATIENCE_S):
                while sender.up != {None, GROUP}:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            await measure(Round("warm-up", 1_000, 200, 40), links, sender, members[1].node)
            for wanted in rounds(messages):
                with screen.phase(wanted.name, 1):
                    result[wanted.name] = await measure(wanted, links, sender, members[1].node)
            nursery.cancel_scope.cancel()
        return result
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


def _start_peer(rows: list[list[str]], keys: Keys) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.bench.links_peer"], stdin=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"members": rows, "public": keys.public, "secret": keys.secret}) + "\n")
    process.stdin.flush()
    return process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@app.default
def command(
    *,
    messages: Annotated[
        int, Parameter(validator=Number(gte=400), help="Small messages of a round; fewer of the large ones.")
    ] = 100_000,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Send messages of several sizes from one node to another."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    configure_logs("error")
    print_result({"messages": messages, **trio.run(compare, messages, Screen())}, as_json=as_json)


if __name__ == "__main__":
    app()
