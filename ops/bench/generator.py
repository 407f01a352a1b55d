"""A load generator process: `python -m ops.bench.generator`. Its coordinator is `ops.bench.fleet`.

The first line on stdin is a plan, the others are orders; each order but `quit` is answered with one report on
stdout. It ends at the end of its input, so it can't outlive its coordinator.
"""

import gc
import os
import sys

import msgspec

from node.wire.errors import WireError
from ops.bench.engine import Engine
from ops.bench.phone import PhoneEngine
from ops.bench.plan import Plan, Report
from ops.bench.session import LoadError
from ops.bench.xmpp import XmppEngine


def engine_for(plan: Plan, orders: int, answers: int) -> Engine:
    """The engine that speaks the plan's dialect."""
    kind = PhoneEngine if plan.dialect == "waystation" else XmppEngine
    return kind(plan, orders, lambda line: write_all(answers, line))


def write_all(descriptor: int, data: bytes) -> None:
    """All of it, however long that takes."""
    while data:
        data = data[os.write(descriptor, data) :]


def read_line(descriptor: int) -> bytes:
    """One line, not a byte more: what follows belongs to the engine."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(descriptor, 1)):
        line += byte
    return line


def main() -> int:
    """Run one generator process."""
    orders, answers = sys.stdin.fileno(), sys.stdout.fileno()
    plan = msgspec.json.decode(read_line(orders), type=Plan)
    engine = engine_for(plan, orders, answers)
    gc.freeze()
    gc.disable()  # nothing here is cyclic but a closed session
    try:
        engine.run()
    except (LoadError, WireError) as error:
        write_all(answers, msgspec.json.encode(Report(reason=str(error))) + b"\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
