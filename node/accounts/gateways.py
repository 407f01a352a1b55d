"""Which gateway the settings ask for. The only module that knows all three."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TextIO

from node.accounts.command import CommandGateway
from node.accounts.errors import SecretRefused
from node.accounts.gateway import Gateway
from node.accounts.printing import PrintingGateway
from node.accounts.settings import AccountsSettings


def make_gateway(
    settings: AccountsSettings, *, output: TextIO, clock: Callable[[], int], random: Random
) -> Gateway:
    """The gateway, not yet entered.

    Args:
        output: where `log` prints.
        clock: Unix time in ms.

    Raises:
        SecretRefused: the webhook's secret can't be read or is too short.
    """
    if settings.gateway == "command":
        return CommandGateway(settings.command)
    if settings.gateway == "webhook":
        # An HTTP client is much to load for nodes without one.
        from node.accounts.webhook import (
            WebhookGateway,
        )

        return WebhookGateway(
            settings.webhook,
            read_secret(Path(settings.webhook.secret_file)),
            clock=clock,
            random=random,
            connections_max=settings.deliveries_at_once_max,
        )
    return PrintingGateway(output)


def read_secret(path: Path, option: str = "registration.webhook.secret_file") -> bytes:
    """The secret in a file, without the line's end. option: what names the file, for the error's text."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SecretRefused(f"{option} can't be read: {error.strerror}") from None
    if len(secret) < 32:
        raise SecretRefused(f"{option} holds fewer than 32 characters: make one with `openssl rand -hex 32`")
    return secret
