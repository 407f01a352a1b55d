"""`waystation chat`: a phone in a terminal. Puts the client, its state and the right view together."""

import os
import sys
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import Parameter

from client.chat.plain import talk_plainly
from client.chat.screen import talk_on_screen
from client.client import Client
from client.errors import ClientError
from client.numbers import parse_number, show_number
from client.trust import Authority, Fingerprint, FirstUse, Plain, Trust
from ops.failures import told


def chat(
    *,
    as_: Annotated[str, Parameter(name="--as", help="Your phone number, such as +15551230001.")],
    to: Annotated[str | None, Parameter(help="Whom to write to; /to changes it.")] = None,
    server: Annotated[str, Parameter(help="host:port of a node.")] = "127.0.0.1:7443",
    state: Annotated[
        Path | None,
        Parameter(help="Directory of the device's state. Default: waystation/ in the XDG state directory."),
    ] = None,
    ca: Annotated[
        Path | None, Parameter(help="Trust servers whose certificate is by this authority (PEM).")
    ] = None,
    fingerprint: Annotated[
        str | None, Parameter(help="Trust the server with this certificate: SHA-256 in hex.")
    ] = None,
    plain: Annotated[
        bool, Parameter(negative="", help="Plain TCP, without TLS: the node must have opened a plain port.")
    ] = False,
    lines: Annotated[
        bool, Parameter(negative="", help="Line by line, as when input or output is not a terminal.")
    ] = False,
    patience: Annotated[
        float, Parameter(help="At the end of piped input: seconds to wait for the node to have everything.")
    ] = 30.0,
) -> None:
    """Talk in the terminal as one phone number.

    The first time, a PIN is asked for, which the node prints (or sends by its SMS gateway). Without --ca and
    --fingerprint the server's certificate is trusted when it is first seen, and must then stay the same.
    """
    with told(ClientError):
        number = parse_number(as_)
        peer = None if to is None else parse_number(to)
        trust = _trust(ca, fingerprint, plain)
        path = (state or _state_directory()) / f"{show_number(number)}.state"
        on_screen = not lines and sys.stdin.isatty() and sys.stdout.isatty()
        try:
            good = anyio.run(_chat, path, server, trust, number, peer, on_screen, patience)
        except KeyboardInterrupt:
            good = True
    if not good:
        sys.exit(1)


async def _chat(
    path: Path, server: str, trust: Trust, number: int, peer: int | None, on_screen: bool, patience: float
) -> bool:
    async with Client.open(path, server, tls=trust) as client:
        if on_screen:
            return await talk_on_screen(client, number, peer)
        return await talk_plainly(client, number, peer, patience)


def _trust(ca: Path | None, fingerprint: str | None, plain: bool) -> Trust:
    given = [
        name for name, value in (("--ca", ca), ("--fingerprint", fingerprint), ("--plain", plain)) if value
    ]
    if len(given) > 1:
        sys.exit(f"waystation: {' and '.join(given)} exclude each other: give one of them")
    if plain:
        return Plain()
    if ca is not None:
        return Authority(ca)
    return FirstUse() if fingerprint is None else Fingerprint(fingerprint)


def _state_directory() -> Path:
    """XDG Base Directory Specification 0.8: state that should outlive restarts, such as history."""
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return base / "waystation"
