"""Serving phones with parts that are put together, until it is to stop; and what goes on beside the hub meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog
import trio

from node.accounts.outcomes import Replaced
from node.accounts.service import Accounts
from node.assembling import Parts
from node.hub.hub import Hub
from node.hub.listener import Listener
from node.mail.sweep import Sweep
from node.service import Service
from node.session import Session
from replication.rounds import rescued
from store.errors import StoreError, StoreFatal

log = structlog.get_logger()

WIPES_AGAIN_S = 5.0
"""How often wipes that were not finished before the last end are looked for, until there are none."""


async def serve(
    parts: Parts,
    stop: trio.Event,
    stop_grace_s: float,
    ready: Callable[[], None],
    *,
    served: Callable[[int], bool] | None = None,
) -> None:
    """Until ``stop`` is set, and everybody was told so.

    Args:
        ready: called once connections are taken.
        served: see `Sweep`.
    """
    hub, service, accounts = parts.hub, parts.service, parts.accounts
    sweep = Sweep(service.mail.settings, parts.tables, service.mail, hub.soon, served)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accounts.run)
        nursery.start_soon(sweep.run)
        if served is None:
            nursery.start_soon(finish_wipes, accounts, service, hub)
        await nursery.start(hub.run)
        ready()
        await stop.wait()
        log.info("stopping", connections=hub.statistics().connections)
        await hub.stop(stop_grace_s)
        nursery.cancel_scope.cancel()


def addresses_of(listeners: list[Listener]) -> tuple[tuple[str, str, int], ...]:
    """(name of the listener, host, port), where it really listens."""
    return tuple((one.settings.name, one.address[0], one.address[1]) for one in listeners)


async def finish_wipes(accounts: Accounts, service: Service, hub: Hub[Session]) -> None:
    """What a former end cut off, or a former primary left: mail for devices that were replaced is ended before the new
    ones may log in."""
    while await _wipes_are_left(accounts, service, hub):  # noqa: ASYNC110 - the store tells nobody
        await trio.sleep(WIPES_AGAIN_S)


async def _wipes_are_left(accounts: Accounts, service: Service, hub: Hub[Session]) -> bool:
    try:
        found = await accounts.unfinished_wipes()
    except StoreFatal:
        raise
    except StoreError as error:  # busy: nobody whose wipe is unfinished can log in meanwhile
        log.warning("unfinished_wipes_not_read", cause=str(error))
        return True
    except Exception as error:
        if not rescued(error):
            raise
        return True
    if found:
        hub.soon(partial(_wipe, service, found))
    return bool(found)


def _wipe(service: Service, found: list[Replaced]) -> None:
    for replaced in found:
        if replaced.user not in service.mail.wipes:
            service.replaced(replaced)
