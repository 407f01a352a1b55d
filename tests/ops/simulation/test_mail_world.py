"""The world of mail: no seed breaks a promise, and planted bugs of the mail core are found in it."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import pytest

from node.mail import reconcile
from node.mail.driver import MailDriver
from node.mail.replicated import _Waiting
from ops.simulation.running import draw, perform

SLICE = 24
STEPS = 150
"""Longer worlds are for `waystation simulate --world mail`."""


@pytest.mark.parametrize("first", [0, pytest.param(SLICE, marks=pytest.mark.long)])
def test_no_seed_breaks_a_promise_and_much_happens(first: int) -> None:
    totals: dict[str, int] = {}
    for seed in range(first, first + SLICE):
        outcome = perform(draw("mail", seed, None, STEPS))
        assert not outcome.rule, outcome
        for what, count in outcome.totals.items():
            totals[what] = totals.get(what, 0) + count
    assert totals["handed"] > 30 * SLICE
    assert totals["ticked at 2"] > totals["ticked at 1"] > 0
    assert totals["ticked at 0"] > 0
    assert totals["serves"] > 4 * SLICE, "nothing was ever taken over"


def test_a_seed_is_the_same_each_time() -> None:
    digests = [perform(draw("mail", seed, 3, 60), digest=True).digest for seed in (5, 5, 6)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("where", "name", "old", "new", "seeds", "rules"),
    [
        (reconcile, "_over", "return over", "return Intervals()", range(1, 5), {"progress", "convergence"}),
        (_Waiting, "end", "max(ONE_COPY, self._copies)", "TWO_COPIES", range(1, 14), {"ack before durable"}),
        (MailDriver, "drop", "in dropping.dropped(", "in (lambda *_: ())(", range(5, 16), {"progress"}),
    ],
    ids=["gone-set-ignored-at-merge", "one-copy-told-as-two", "what-is-not-served-is-kept-in-memory"],
)
def test_a_planted_bug_is_found(
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    old: str,
    new: str,
    seeds: range,
    rules: set[str],
) -> None:
    function = getattr(where, name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{name} is not what it was: plant the bug anew"
    made: dict[str, Any] = {}
    exec(compile(source.replace(old, new), "<planted>", "exec"), function.__globals__, made)
    monkeypatch.setattr(where, name, made[name])
    found = (perform(draw("mail", seed, None, 200)).rule for seed in seeds)
    assert any(rule in rules for rule in found)
