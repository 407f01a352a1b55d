"""Users: look at one, block, unblock, delete. What is changed is durable when the answer comes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from admin.commands.onhub import on_hub
from admin.commands.table import Command, CommandError, Context, Parameter, Role
from admin.commands.whose import require_primary
from node.accounts.retiring import WipesUnfinished, is_retired
from node.wire import errors
from store.errors import StoreError, StoreFatal

_NUMBER: Final = Parameter(name="number", help="The phone number, with or without its +.", kind="phone")


def _unregistered(number: int) -> CommandError:
    return CommandError(f"+{number} is not registered on this node")


async def _show(context: Context, arguments: Mapping[str, Any]) -> Any:
    number = arguments["number"]
    require_primary(context, number)
    service = context.node.service
    account = service.accounts.account(number)
    if account is None:
        raise _unregistered(number)
    box = service.mail.boxes.get(number)
    retired = is_retired(account)
    return {
        "user": f"+{number}",
        "device": "none" if retired else "registered",
        "since": datetime.fromtimestamp(account.since / 1000, UTC).isoformat(timespec="seconds"),
        "generation": account.generation,
        "blocked": account.blocked,
        "session": number in service.sessions or service.mail.session_of(number) is not None,
        "waiting": box.count + box.pending if box is not None else None,
        "wipes_unfinished": len(account.wiping),
    }


async def _set_blocked(blocked: bool, context: Context, arguments: Mapping[str, Any]) -> Any:
    number = arguments["number"]
    require_primary(context, number)
    service = context.node.service
    try:
        account = await service.accounts.set_blocked(number, blocked)
    except StoreFatal:
        raise
    except StoreError as error:
        raise CommandError(f"it can't be written now: {error}") from None
    if account is None:
        raise _unregistered(number)
    if blocked:
        await on_hub(context, lambda: service.end_session(number, errors.BLOCKED))
    return {"user": f"+{number}", "blocked": account.blocked}


async def _delete(context: Context, arguments: Mapping[str, Any]) -> Any:
    number = arguments["number"]
    if not arguments["yes"]:
        raise CommandError(
            f"this can't be undone: add --yes to delete the account of +{number} and what waits for it"
        )
    require_primary(context, number)
    service = context.node.service
    try:
        replaced = await service.accounts.retire(number)
    except WipesUnfinished:
        raise CommandError(
            f"mail of former devices of +{number} is still being expired: try again in a minute"
        ) from None
    except StoreFatal:
        raise
    except StoreError as error:
        raise CommandError(f"it can't be written now: {error}") from None
    if replaced is None:
        raise _unregistered(number)
    if replaced.old_streams:
        await on_hub(context, partial(service.replaced, replaced))
    return {"user": f"+{number}", "deleted": True}


COMMANDS: Final = (
    Command(
        name="user show",
        role=Role.VIEWER,
        summary="What the node knows of a number.",
        help=(
            "Whether a device is registered and since when, how many there have been (generation), whether the"
            " number is blocked, whether it has a session here, how many messages wait (- if its mailbox isn't in"
            " memory), and how many former devices' mail is still being expired. No key and no message is shown."
        ),
        example="user show +15551230001",
        parameters=(_NUMBER,),
        run=_show,
    ),
    Command(
        name="user block",
        role=Role.OPERATOR,
        summary="Keep a user out.",
        help=(
            "The user's session is ended, and from now on the number can neither log in nor register: it is told"
            " that it is blocked. Mail to it is taken and waits as for anybody who is offline. The block outlives"
            " a restart, and ends with user unblock."
        ),
        example="user block +15551230001",
        parameters=(_NUMBER,),
        run=partial(_set_blocked, True),
    ),
    Command(
        name="user unblock",
        role=Role.OPERATOR,
        summary="Let a blocked user in again.",
        help="Ends what user block began. Nothing happens if the number isn't blocked; it must be registered.",
        example="user unblock +15551230001",
        parameters=(_NUMBER,),
        run=partial(_set_blocked, False),
    ),
    Command(
        name="user delete",
        role=Role.OPERATOR,
        summary="End a user's account, and what waits for it.",
        help=(
            "The device's session is ended and it can't log in again; messages that wait for it are expired, and"
            " their senders are told so. What the user has sent to others still reaches them. Whoever gets a PIN"
            " for the number may register it anew, and starts with an empty mailbox. What stays of the account is"
            " the number with a count of its devices, so that copies of it agree. It can't be undone: --yes says"
            " that this is meant."
        ),
        example="user delete +15551230002 --yes",
        parameters=(
            _NUMBER,
            Parameter(name="yes", help="Yes, this is meant.", kind="flag", option=True, required=False),
        ),
        run=_delete,
    ),
)
