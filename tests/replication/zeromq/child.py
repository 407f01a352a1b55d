"""A node in a process of its own, for tests that kill and stop it: echoes [1, …] as [2, …] on the link it came on.

Run as `python -m tests.replication.zeromq.child`, with one line of JSON on stdin; says "ready" when its group is open,
and ends when its input does.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import attrs
import trio

from replication.zeromq.address import Address
from replication.zeromq.keys import Keys
from replication.zeromq.links import Links
from replication.zeromq.members import Member
from tests.replication.zeromq.cluster import QUICK, Notebook


async def main(told: dict[str, Any]) -> None:
    notes = Notebook()
    members = [Member(bytes.fromhex(node), key, Address.parse(text)) for node, key, text in told["members"]]
    links = Links(
        bytes.fromhex(told["node"]),
        Keys(told["public"], told["secret"]),
        members,
        notes,
        attrs.evolve(QUICK, **told["settings"]),
    )
    notes.react = lambda peer, group, message: (
        links.send(peer, group, [2, *message[1:]]) if message[0] == 1 else None
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(links.run)
        links.open("mail")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, json.loads(sys.stdin.readline()))
