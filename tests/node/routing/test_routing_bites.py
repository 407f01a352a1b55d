"""The world of nodes bites: bugs planted in routing and in what mail tells other nodes, one line each, are found within
the stated seeds, and for what they break."""

import inspect
import re
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

import attrs
import pytest

from node.mail import healing, loading, telling
from node.routing import answering, dispatch, hosting, keeping, opening, seating
from tests.node.routing.world import run


@attrs.frozen
class Plant:
    """`old` becomes `new` in the source of `where`.`name`. Found within `seeds`, in words that match."""

    what: str
    where: ModuleType
    name: str
    old: str
    new: str
    seeds: range
    words: str


PLANTS = [
    Plant(
        "what is kept isn't sent to the next primary",
        opening, "open_at_primary",
        "wait(part, kept)", "pass",
        range(4), "is never sent",
    ),
    Plant(
        "sessions aren't announced to the next primary",
        opening, "open_at_primary",
        "part.announce = part.sessions[::-1]", "part.announce = []",
        range(5), "never at rest",
    ),
    Plant(
        "a link that was lost is taken for one that wasn't",
        dispatch, "messages",
        "opening.lost(state, peer.node)", "pass",
        range(8, 12), "never at rest|kept for too long|opened",
    ),
    Plant(
        "what finds no room for a session is missed in silence",
        answering, "_missed",
        "remote.gone = True", "return",
        range(39, 40), "never at rest",
    ),
    Plant(
        "a message doesn't wake its recipient",
        loading, "loaded",
        "state.session_of(recipient)", "state.sessions.get(recipient)",
        range(3, 4), "and mail has to do with it",
    ),
    Plant(
        "a session that rests isn't found by a later login",
        hosting, "remote_of",
        "dormancy.wake(state, home_once(state, user), user)", "None",
        range(3, 4), "and Remote",
    ),
    Plant(
        "nobody is told to come back while nobody serves",
        opening, "tick",
        "keeping.give_up(state, part)", "pass",
        range(8, 16), "kept for too long",
    ),
    Plant(
        "what a session sent is kept after its end",
        seating, "leave",
        "keeping.forget_session(state, session)", "pass",
        range(4), "session that is gone",
    ),
    Plant(
        "what is answered is kept",
        keeping, "_settle",
        "one = kept.pop(first, None)", "one = None",
        range(4), "kept for too long|never at rest|answered",
    ),
    Plant(
        "TOLD is said before it is durable",
        telling, "_take",
        "if owed.dirty or owed.writing:", "if False:",
        range(40, 46), "not told",
    ),
    Plant(
        "marks aren't looked for where a partition is served next",
        healing, "found",
        "marked=key in marked", "marked=False",
        range(41, 42), "never at rest|still marked",
    ),
    Plant(
        "receipts that were lost with their partition aren't told again",
        healing, "again",
        "for key in keys:", "for key in ():",
        range(8, 9), "not told",
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
def test_a_planted_bug_is_found(bug: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, bug)
    words = next(filter(None, map(broken, bug.seeds)), "")
    assert words, f"not found in {bug.seeds}"
    assert re.search(bug.words, words), f"found, and for something else: {words[:200]}"


def broken(seed: int) -> str:
    """What was found; nothing if there was nothing to say."""
    try:
        run(seed, rounds=1_200)
    except AssertionError as error:
        return f"seed {seed}: {type(error).__name__}: {error}"
    return ""
