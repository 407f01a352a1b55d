"""The world bites: bugs planted in the core, one line each, are found within the stated seeds, and for what they
break."""

import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from node.mail import (
    acking,
    delivery,
    dropping,
    expiry,
    numbering,
    receipts,
    reconcile,
    settling,
    writebehind,
)
from node.mail.driver import MailDriver
from node.mail.pair import Pair
from node.mail.rows import MailTables
from tests.node.mail.stored import Stored
from tests.node.mail.world import run


@attrs.frozen
class Plant:
    """`old` becomes `new` in the source of `where`.`name`. Found within `seeds`, in words that match.

    A range that begins late is for a bug that takes a rare run of events (about one seed in `one_in`).
    """

    what: str
    where: ModuleType | type
    name: str
    old: str
    new: str
    seeds: range
    words: str
    one_in: int = 20
    stored: bool = False


ACCEPT = "state.out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, ONE_COPY))"

PLANTS = [
    Plant(
        "known is n <= high",
        numbering, "place",
        "_look_up(state, pair, n, body)", ACCEPT,
        range(40), "accepted, and not durable",
    ),
    Plant(
        "a duplicate is answered before the original settles",
        numbering, "place",
        "# answered when the first one settles", ACCEPT,
        range(10), "accepted, and not durable",
    ),
    Plant(
        "a repeated number that is expired is answered before that is written",
        numbering, "place",
        "if pair.durable():", "if True:",
        range(10), "accepted, and not durable",
    ),
    Plant(
        "ack raised over a gap",
        acking, "ack",
        "_ack(state, pair, first, last)", "_ack(state, pair, max(1, last - 9), last)",
        range(100), "as delivered, and is not|accepted and lost|not told",
    ),
    Plant(
        "what is gone is forgotten when the pair is loaded anew",
        Pair, "restore",
        "self.gone = Intervals(gone)", "self.gone = Intervals()",
        range(10), "what was over is not any more|delivered though it is over",
    ),
    Plant(
        "accepted comes before the commit",
        numbering, "_take",
        "state.urgent.append((pair, message))", "state.urgent.append((pair, message)); " + ACCEPT,
        range(10), "accepted, and not durable",
    ),
    Plant(
        "a message is removed when it is handed over",
        delivery, "_hand",
        "state.counts.delivered += 1", "from node.mail import acking; acking._ack(state, pair, n, n)",
        range(10), "as delivered, and is not",
    ),
    Plant(
        "a pair is written without its receipts",
        writebehind, "_gather",
        "if owed is not None and owed.dirty:", "if False:",
        range(60, 130), "delivered and not told|expired and not told|read and not told", 180,
    ),
    Plant(
        "a pair is written before its receipts are loaded",
        writebehind, "_take_pairs",
        "if pair.owing:", "if False:",
        range(70, 170), "delivered and not told|expired and not told|read and not told", 80,
    ),
    Plant(
        "a new message is handed over from memory while earlier ones are undelivered",
        delivery, "offer",
        "if pair.cursor == 0:", "if True:",
        range(10), "out of order|are not handed over|nobody is served|never at rest",
    ),
    Plant(
        "what was committed while the disk was read is not missed",
        delivery, "fetched",
        "if pair.floor:", "if False:",
        range(160, 390), "never at rest|out of order|are not handed over", 150,
    ),
    Plant(
        "a failed commit counts as done",
        settling, "committed",
        "if failed:", "if False:",
        range(10), "and not durable",
    ),
    Plant(
        "pair purged before the retry window",
        expiry, "old_pair",
        "> state.settings.pair_retention_days", ">= 0",
        range(60, 120), "forgotten too early", 50,
    ),
    Plant(
        "expired is not told",
        expiry, "_expire",
        "receipts.owe(state, pair, KIND_EXPIRED, n, n)", "pass",
        range(10), "expired and not told|delivered and not told",
    ),
    Plant(
        "what waits for a former device is left to the next one",
        expiry, "_end",
        "_expire(state, pair, rows)", "pass",
        range(20), "wiped, and still there|for a former device",
    ),
    Plant(
        "receipts of a former device are told to the next one",
        receipts, "_tell_once",
        "if owed.stream != handle.stream:", "if False:",
        range(20), "a receipt for a former device",
    ),
    Plant(
        "an ack is confirmed before it is on disk",
        acking, "_ack",
        "if pair.durable():", "if True:",
        range(10), "an ack is confirmed, and not durable",
    ),
    Plant(
        "a pair is dropped from the cache while the disk is asked about it",
        Pair, "idle",
        "or self.asked", "",
        range(40), "a stale object|bytes are held for nobody|",
    ),
    Plant(
        "the window is not kept",
        delivery, "_has_room",
        "return", "return True or",
        range(20), "Box",
    ),
    Plant(
        "gone-set ignored at merge",
        reconcile, "_over",
        "return over", "return Intervals()",
        range(40), "though it is over|never at rest|counted wrongly|copies differ|still there",
    ),
    Plant(
        "a node that was dropped hears late answers",
        MailDriver, "_read",
        "if not current():", "if False:",
        range(10), "KeyError|AssertionError|a node that was dropped speaks",
    ),
    Plant(
        "senders hear of a commit whose claim went elsewhere",
        dropping, "_forget_batch",
        "if batch is None:", "if True:",
        range(10), "a node that was dropped speaks|left in memory|",
    ),
    Plant(
        "what is being written of a dropped partition is read around",
        MailDriver, "_read",
        "if batch is not None and batch.cut and self._home(effect) in batch.cut:", "if False:",
        range(300, 330), "counted wrongly|what was over|though it is over|accepted and lost|out of order|never at rest",
        300,
    ),
    Plant(
        "counts of an earlier time are trusted",
        MailTables, "_waits",
        "if not since:", "if True:",
        range(10_000, 10_020), "counted wrongly|mailboxes that should be empty", stored=True,
    ),
    Plant(
        "a commit is handed over after what may change its rows",
        writebehind, "collect",
        "state.out.insert(0, (effects.COMMIT, batch))", "state.out.append((effects.COMMIT, batch))",
        range(260, 280), "never at rest|counted wrongly", 300,
    ),
    Plant(
        "a number overtakes one that waits for the store",
        numbering, "place",
        "if pair.behind is not None:", "if False:",
        range(40), "out of order|AssertionError|waits for no answer",
    ),
]  # fmt: skip


def plant(monkeypatch: pytest.MonkeyPatch, bug: Plant) -> None:
    """Put the sabotaged function in the place of the right one."""
    function: Callable[..., Any] = getattr(bug.where, bug.name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bug.old) == 1, f"{bug.name} is not what it was: plant the bug anew"
    made: dict[str, Any] = {}
    exec(compile(source.replace(bug.old, bug.new), f"<{bug.what}>", "exec"), function.__globals__, made)
    monkeypatch.setattr(bug.where, bug.name, made[bug.name])


@pytest.mark.parametrize("bug", PLANTS, ids=lambda bug: bug.what.replace(" ", "-"))
def test_a_planted_bug_is_found(bug: Plant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant(monkeypatch, bug)
    words = next(filter(None, (broken(seed, tmp_path if bug.stored else None) for seed in bug.seeds)), "")
    assert words, f"not found in {bug.seeds}"
    assert re.search(bug.words, words), "found, and for something else"


def broken(seed: int, path: Path | None = None) -> str:
    """The judge's words, or the name of what the core raised; none if there was nothing to say. path: for a world on a
    real store."""
    storage = Stored(path / str(seed)) if path is not None else None
    try:
        run(seed, storage=storage)
    except (AssertionError, KeyError) as error:
        return f"seed {seed}: {type(error).__name__}: {error}"
    finally:
        if storage is not None:
            storage.close()
    return ""
