"""A member of a cluster as a process that takes orders: a line of JSON in, a line of JSON back, in any order.

    python -m ops.tables.member ASSIGNMENT.json

An order has an `id`, which its answer repeats. An answer with `error` names what was raised. It ends at the end of its
input. It must never write down what it was asked: whoever asks keeps the record.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import trio

from ops.logs import configure_logs
from ops.tables.assignment import Assignment
from ops.tables.orders import DOINGS, Jams
from ops.tables.schema import TRANSFER, placed, transfer
from replication.cluster import Cluster
from replication.opening import open_cluster

LINE_BYTES_MAX: Final = 16 << 20
READ_BYTES: Final = 1 << 16
SWITCH_INTERVAL_S: Final = 0.0005
"""Between the threads of the process, as a node has it."""
ORDERS_MAX: Final = 10_000
"""Orders under way; whoever asks for more waits."""


class Desk:
    """Takes orders, and gives answers line by line."""

    def __init__(self, cluster: Cluster, answers: trio.lowlevel.FdStream) -> None:
        self._cluster = cluster
        self._answers = answers
        self._jams = Jams()
        self._room = trio.Semaphore(ORDERS_MAX)
        self._lines: list[bytes] = []
        self._bell = trio.Event()

    async def take(self, orders: trio.lowlevel.FdStream) -> None:
        """Until the end of the input."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            rest = b""
            while data := await orders.receive_some(READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                assert len(rest) <= LINE_BYTES_MAX, "an order without an end"
                for line in lines:
                    await self._room.acquire()
                    nursery.start_soon(self._do, json.loads(line))
            nursery.cancel_scope.cancel()

    async def _do(self, order: dict[str, Any]) -> None:
        try:
            answer = await DOINGS[order["do"]](self._cluster, self._jams, order)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked is told
            answer = {"error": type(error).__name__, "text": str(error)}
        self._room.release()
        self.say({"id": order["id"], **answer})

    def say(self, answer: dict[str, Any]) -> None:
        """Queue a line."""
        self._lines.append(json.dumps(answer, default=bytes.hex).encode() + b"\n")
        self._bell.set()

    async def _write(self) -> None:
        while True:
            await self._bell.wait()
            self._bell = trio.Event()
            lines, self._lines = self._lines, []
            await self._answers.send_all(b"".join(lines))


async def serve(assignment: Assignment) -> None:
    """Be a member until the input ends."""
    groups = [placed(name, assignment.copies) for name in assignment.groups]
    async with (
        trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as orders,
        trio.lowlevel.FdStream(os.dup(sys.stdout.fileno())) as answers,
        open_cluster(assignment.settings(), groups, procedures={TRANSFER: transfer}) as cluster,
    ):
        desk = Desk(cluster, answers)
        desk.say({"id": 0, "ready": cluster.me.hex()})
        await desk.take(orders)


def main() -> None:
    """The process."""
    configure_logs("info")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    trio.run(serve, Assignment.read(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
