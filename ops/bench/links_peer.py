"""The other end of `bench links`, in a process of its own: a node that counts what it gets, and tells when asked.

Run as `python -m ops.bench.links_peer`, with one line of JSON on stdin: the list of members and this node's keys.
Ends when its input does.
"""

import json
import sys
import time
from typing import Any, Final

import trio

from ops.logs import configure_logs
from replication.zeromq.address import Address
from replication.zeromq.keys import Keys
from replication.zeromq.links import Links
from replication.zeromq.members import Member

ASK: Final = 1
REPORT: Final = 2
LOAD: Final = 3

GROUP: Final = "load"


class Counter:
    """Receives; answers ASK with [REPORT, messages, CPU of the process and of its main thread in µs]."""

    def __init__(self) -> None:
        self.messages = 0
        self.links: Links

    def received(self, peer: bytes, group: str | None, message: list[Any]) -> None:
        if message[0] == LOAD:
            self.messages += 1
        else:
            cpu = [int(time.process_time() * 1e6), int(time.thread_time() * 1e6)]
            self.links.send(peer, None, [REPORT, self.messages, *cpu])

    def passed(self) -> None:
        pass

    def connected(self, peer: bytes, group: str | None) -> None:
        pass

    def disconnected(self, peer: bytes, group: str | None) -> None:
        pass


def members_of(rows: list[list[str]]) -> list[Member]:
    """From [id in hex, public key, address] each."""
    return [Member(bytes.fromhex(node), key, Address.parse(address)) for node, key, address in rows]


async def serve(told: dict[str, Any]) -> None:
    counter = Counter()
    members = members_of(told["members"])
    keys = Keys(told["public"], told["secret"])
    counter.links = Links(members[1].node, keys, members, counter)
    async with trio.open_nursery() as nursery:
        await nursery.start(counter.links.run)
        counter.links.open(GROUP)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    configure_logs("error")
    trio.run(serve, json.loads(sys.stdin.readline()))
