"""A load generator process: `python -m ops.bench.generator`. Its coordinator is `ops.bench.fleet`.

The first line on stdin is a plan, the others are orders; each order but `quit` is answered with one report on
stdout. It ends at the end of its input, so it can't outlive its coordinator.
"""

import sys

from ops.bench.engine import Engine
from ops.bench.orders import serve, write_all
from ops.bench.phone import PhoneEngine
from ops.bench.plan import Plan, Report
from ops.bench.xmpp import XmppEngine


def engine_for(plan: Plan, orders: int, answers: int) -> Engine:
    """The engine that speaks the plan's dialect."""
    kind = PhoneEngine if plan.dialect == "waystation" else XmppEngine
    return kind(plan, orders, lambda line: write_all(answers, line))


def main() -> int:
    """Run one generator process."""
    return serve(Plan, engine_for, lambda reason: Report(reason=reason))


if __name__ == "__main__":
    sys.exit(main())
