"""What a system test demands of a drill."""

from __future__ import annotations

from ops.faults.drill import Outcome


def must_hold(outcome: Outcome, *, messages: int) -> None:
    """Every promise held, everything came to rest, and enough happened to prove something."""
    assert outcome.report.good, str(outcome)
    assert outcome.rested, str(outcome)
    totals = outcome.report.totals
    assert totals["late"] == 0, "one node has no reason to be late"
    assert totals["handed"] == totals["received"], str(outcome)
    assert totals["accepted"] <= totals["handed"] + totals["skipped"], str(outcome)
    assert totals["handed"] >= messages, f"only {totals['handed']} messages: nothing was proved"
