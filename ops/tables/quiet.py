"""When a fleet has come to rest: every partition served, complete on primary and heir, and nothing more under way.

What is waited for is looked at again and again, for nobody tells of it. It must never decide what must be there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from ops.tables.fleet import Fleet
from ops.tables.handle import GoneError

REST_S_MAX: Final = 60.0
LOOK_S: Final = 0.05
LIVE: Final = 1


class RestlessError(Exception):
    """What was waited for didn't come about. The text says what was seen last."""


async def until(holds: Callable[[], Awaitable[str]], seconds_max: float = REST_S_MAX) -> None:
    """Wait until ``holds()`` gives an empty text; otherwise it says what isn't so yet.

    Raises:
        RestlessError
    """
    why = "nothing was seen"
    with trio.move_on_after(seconds_max):
        while why := await holds():  # noqa: ASYNC110
            await trio.sleep(LOOK_S)
    if why:
        raise RestlessError(f"not within {seconds_max:g} s: {why}")


async def rest(fleet: Fleet, seconds_max: float = REST_S_MAX) -> None:
    """Wait until all running members have come to rest, and complete copies are equal.

    Raises:
        RestlessError
    """
    await until(lambda: _restless(fleet), seconds_max)


async def served(fleet: Fleet, group: str, seconds_max: float = REST_S_MAX, *, but: int = -1) -> None:
    """Wait until every partition of a group is served by a member that runs, other than `but`."""

    async def look() -> str:
        found = {}
        for number in fleet.running:
            if number != but:
                parts = (await fleet.handle(number).must("status"))["groups"][group]["parts"]
                found.update({p: number for p, part in enumerate(parts) if part["serving"]})
                total = len(parts)
        return "" if found and len(found) == total else f"served of {group}: {found}"

    await until(look, seconds_max)


async def _restless(fleet: Fleet) -> str:
    try:
        told = {number: await fleet.handle(number).must("status") for number in fleet.running}
        if why := _unsettled(fleet, told):
            return why
        return await differing(fleet)
    except GoneError as error:
        return str(error)


def _unsettled(fleet: Fleet, told: dict[int, Any]) -> str:
    for group in fleet.groups:
        for number, status in told.items():
            one = status["groups"][group]
            busy = {
                name: one[name]
                for name in ("waiting", "saving", "queue", "wanted", "offered", "lagging", "inflight")
                if one[name]
            }
            if busy:
                return f"{group} of member {number}: {busy}"
        for p in range(len(next(iter(told.values()))["groups"][group]["parts"])):
            parts = {number: status["groups"][group]["parts"][p] for number, status in told.items()}
            if why := _unsettled_part(fleet, parts):
                return f"partition {p} of {group}: {why}"
    return ""


def _unsettled_part(fleet: Fleet, parts: dict[int, Any]) -> str:
    claims = {number: part["claim"] for number, part in parts.items()}
    claim = next(iter(claims.values()))
    if claim is None or any(other != claim for other in claims.values()):
        return f"claims {claims}"
    primary = fleet.number_of(claim[1])
    if primary not in parts or not parts[primary]["serving"]:
        return f"member {primary} doesn't serve"
    if len(parts) == 1:
        return ""
    if claim[2] is None:
        return "no heir"
    heir = fleet.number_of(claim[2])
    if heir not in parts or not parts[primary]["heir_live"] or parts[heir]["copy"] != LIVE:
        return f"the heir, member {heir}, isn't complete"
    return ""


async def differing(fleet: Fleet) -> str:
    """Which complete copies differ now; empty: none does."""
    seen: dict[str, tuple[int, Any]] = {}
    for number in fleet.running:
        told = await fleet.handle(number).must("digest", groups=list(fleet.groups))
        for group, digests in told["digests"].items():
            for place, digest in digests.items():
                before = seen.setdefault(f"{group} {place}", (number, digest))
                if before[1] != digest:
                    return f"{group} {place}: member {before[0]} has {before[1]}, member {number} {digest}"
    return ""
