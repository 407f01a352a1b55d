"""The world of replicated tables: seeds hold, everything happens in them, and planted bugs are found."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import cbor2
import pytest

from ops.simulation import running
from ops.simulation.faults import Faults
from ops.simulation.running import Tally
from ops.simulation.tables.schema import PURSE
from ops.simulation.world import Outcome
from replication.core import claims, copies, effects, inbound, pulling, purging, settling
from replication.core.knowledge import Knowledge
from replication.core.state import SERVING
from replication.errands import Errands
from store import opening
from store.incarnation import History
from store.reading import Reading
from store.transaction import Transaction
from tests.ops.simulation.test_worlds import elsewhere

SEEDS = 100
SEEDS_LONG = 300
SLICE = 25
STEPS = 100
"""Longer worlds are for `waystation simulate`."""


@pytest.mark.parametrize(
    "first",
    [
        *range(0, SEEDS, SLICE),
        *(pytest.param(first, marks=pytest.mark.long) for first in range(SEEDS, SEEDS_LONG, SLICE)),
    ],
)
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + SLICE):
        outcome = running.perform(running.draw("tables", seed, None, STEPS))
        assert not outcome.rule, outcome


def test_everything_happens() -> None:
    tally = Tally()
    for seed in range(2_000, 2_024):
        tally.add(running.perform(running.draw("tables", seed, None, 200)))
    kinds = "crash start commit_fault pause cut mend split heal weather jump full slow image restore wipe"
    for kind in kinds.split():
        assert tally.totals.get(f"fault {kind}", 0) > 0, kind
    for what in (
        "takeovers",
        "heirs_lost",
        "differences",
        "restarts",
        "moves",
        "settled at 1",
        "settled at 2",
        "purges",
        "forgotten",
        "voided",
        "cleared",
        "transfers",
    ):
        assert tally.totals.get(what, 0) > 0, what
    assert tally.totals["settled at 2"] > 0.2 * tally.totals["writes"]


def test_a_seed_is_one_run_in_every_process() -> None:
    first = running.perform(running.draw("tables", 77, None, 120), digest=True).digest
    assert {elsewhere("tables", 77, hash_seed) for hash_seed in ("1", "2")} == {first}


# ---- planted bugs -----------------------------------------------------------------------------------------


def found(rules: set[str], seeds: int | Sequence[int], steps: int = 300, nodes: int | None = None) -> Outcome:
    """The first outcome that breaks a rule; it must be one of these. seeds: so many, or those."""
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        outcome = running.perform(running.draw("tables", seed, nodes, steps))
        if outcome.rule:
            assert outcome.rule in rules, outcome
            return outcome
    pytest.fail(f"not found in seeds {seeds}")


def test_a_write_that_is_called_settled_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def written(state: Any, p: int, sequence: int, done: Any) -> None:
        state.parts[p].writing -= 1
        state.out.append((effects.DONE, done, 2, None))

    monkeypatch.setattr(settling, "written", written)
    found({"ack before durable"}, 10)


def test_a_filling_copy_that_is_promoted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = copies.opened

    def promoted(state: Any, peer: Any, part: Any, at: int) -> None:
        opened(state, peer, part, at)
        peer.known.join(part.number)
        copies.complete(state, part, peer)

    monkeypatch.setattr(copies, "opened", promoted)
    found(
        {"cursor truth", "ack before durable", "nothing settled is lost", "torn transactions", "convergence"},
        40,
    )


def test_a_cursor_that_is_reversed_without_looking_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged = Knowledge.acknowledged

    def reversed_(self: Knowledge, incarnation: int, mark: int, after: int) -> Any:
        for p in list(self.others):
            self.others[p] = (incarnation, after)
        return acknowledged(self, incarnation, 0, after)

    monkeypatch.setattr(Knowledge, "acknowledged", reversed_)
    found({"cursor truth", "nothing settled is lost", "convergence"}, 60)


def test_a_cursor_that_moves_without_its_records_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Errands.apply

    def forgetful(self: Errands, peer: bytes, parts: Any, *rest: Any) -> None:
        apply(self, peer, parts[:-1] if len(parts) > 2 else parts, *rest)

    monkeypatch.setattr(Errands, "apply", forgetful)
    found({"cursor truth", "ack before durable", "torn transactions", "convergence"}, 20)


def test_what_is_merged_beneath_a_serving_copy_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table of it is committed by itself, and nobody is told to look away meanwhile."""
    apply = Errands.apply

    def torn(self: Errands, peer: bytes, parts: Any, own: Any, trusted: bool, done: Any) -> None:
        for part in parts[:-1]:
            apply(self, peer, [part], [], trusted, lambda error, sequence: None)
            self._group.step_inline()
        apply(self, peer, parts[-1:], own, trusted, done)

    monkeypatch.setattr(Errands, "apply", torn)
    monkeypatch.setattr(pulling, "_beneath", lambda state, p: None)
    found({"torn transactions"}, 100)


def test_a_life_that_is_not_written_down_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that came back as an older one passes for its past self."""
    begin = History.begin

    def same(self: History, identity: int, last_sequence: int, now_ms: int) -> History:
        return self if self.lives else begin(self, identity, last_sequence, now_ms)

    monkeypatch.setattr(History, "begin", same)
    found({"key freshness", "cursor truth", "nothing settled is lost", "progress", "convergence"}, 60)


def test_a_claim_that_is_used_before_it_is_durable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(state: Any, wanted: Any, **options: Any) -> None:
        mark = len(state.out)
        original(state, wanted, **options)
        for _, _, done in state.out[mark:]:
            done(None)  # at once; the rows are stored later

    original = claims.make
    monkeypatch.setattr(claims, "make", make)
    found({"claim before use", "refused epoch"}, 20)


def test_a_tombstone_that_is_purged_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """No floor is raised, and nobody is waited for."""

    def tick(state: Any) -> None:
        if state.settings.purge_ms and state.now - state.purge_at >= state.settings.purge_ms:
            state.purge_at = state.now
            for part in state.parts:
                if part.phase == SERVING:
                    state.out.append((effects.PURGE, part.number, state.sequence))

    monkeypatch.setattr(purging, "tick", tick)
    rules = {
        "nothing settled is lost",
        "cursor truth",
        "ack before durable",
        "torn transactions",
        "convergence",
    }
    found(rules, 20)


def test_a_floor_that_is_raised_without_asking_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes home a moment later is void."""
    monkeypatch.setattr(purging, "_all_told", lambda state: True)
    found({"nothing settled is lost", "ack before durable", "torn transactions"}, range(8, 48), 200)


def test_a_sequence_that_is_given_again_after_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store goes on a little before where it was, under the name of its former life."""
    opened = opening._Opening
    read, begin = opened._read, History.begin

    def earlier(self: Any) -> Any:
        catalog = read(self)
        self._sequence = max(0, self._sequence - 3)
        return catalog

    def same(self: History, identity: int, last_sequence: int, now_ms: int) -> History:
        return self if self.lives else begin(self, identity, last_sequence, now_ms)

    monkeypatch.setattr(opened, "_read", earlier)
    monkeypatch.setattr(History, "begin", same)
    found({"key freshness"}, 10)


def test_an_heir_that_accepts_a_lower_epoch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a link that is bad in one direction and an heir that has taken over. Where links are cut and nothing
    else goes wrong, that is some seeds in a hundred."""
    monkeypatch.setattr(inbound, "_may", lambda state, peer, p, epoch: p in peer.source.opened)
    only_cuts(monkeypatch)
    found({"refused epoch"}, range(257, 270), 150, nodes=3)


def only_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds know no other fault."""
    drawn = Faults.__init__

    def cuts(self: Faults, hand: Random, nodes: int) -> None:
        drawn(self, hand, nodes)
        self._kinds, self._weights = ["cut"], [1.0]
        self.share, self.lasting = 0.1, 400

    monkeypatch.setattr(Faults, "__init__", cuts)


def test_a_cursor_that_is_durable_before_its_records_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a commit of its own, and a crash may come before that of the records."""
    apply = Errands.apply

    def early(self: Errands, peer: Any, parts: Any, own: Any, trusted: bool, done: Any) -> None:
        if own:
            self.store(own, lambda error: None)
            self._group.step_inline()
        apply(self, peer, parts, [], trusted, done)

    monkeypatch.setattr(Errands, "apply", early)
    found({"cursor truth"}, 20)


def test_a_life_that_is_written_down_only_after_a_restore_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory is known to be restored if it ends before where it ended at the last open, which is noted outside of
    it. One that was copied after that open passes for its past self."""
    begin = History.begin
    ends: dict[int, int] = {}

    def only_restored(self: History, identity: int, last_sequence: int, now_ms: int) -> History:
        known = self.lives and last_sequence >= ends.get(self.lives[0].id, 0)
        history = self if known else begin(self, identity, last_sequence, now_ms)
        ends[history.lives[0].id] = last_sequence
        return history

    monkeypatch.setattr(History, "begin", only_restored)
    found({"key freshness"}, 20)


def test_a_transaction_that_reads_what_was_before_its_batch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two in one commit the second doesn't see what the first did."""
    read: dict[Any, Any] = {}

    def stale(self: Transaction, table: Any, key: Any) -> Any:
        batch = getattr(self._batch, "_batch", self._batch)
        return read.setdefault((batch, table, key), Reading.get(self, table, key))

    monkeypatch.setattr(Transaction, "get", stale, raising=False)
    found({"lost update"}, 20)


def test_a_transaction_that_comes_to_a_copy_by_half_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of one table, each committed by itself, and nobody is told to look away meanwhile."""
    apply = Errands.apply

    def halved(self: Errands, peer: Any, parts: Any, own: Any, trusted: bool, done: Any) -> None:
        for p, table, blob, *rest in parts:
            rows = cbor2.loads(blob)
            if table == PURSE and len(rows) > 2:
                half = (p, table, cbor2.dumps(rows[:2]), *rest)
                apply(self, peer, [half], [], trusted, lambda error, sequence: None)
                self._group.step_inline()
        apply(self, peer, parts, own, trusted, done)

    monkeypatch.setattr(Errands, "apply", halved)
    monkeypatch.setattr(pulling, "_beneath", lambda state, p: None)
    found({"half a transaction"}, 60)
