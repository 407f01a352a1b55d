"""The configuration: whether it can be read, what it names, and whether its ports are free."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from admin.statistics.settings import StatisticsSettings
from node.accounts.errors import SecretRefused
from node.accounts.gateways import read_secret
from ops.config import Config, ConfigError
from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import Patient
from ops.shadowing import check_directory
from replication.zeromq.address import Address

ABOUT: Final = "configuration"


def check(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    if config is None:
        yield bad(ABOUT, patient.trouble, "correct that; nothing else of it can be looked at until then")
        return
    yield good(ABOUT, f"{patient.source or 'defaults, without a file'}: can be read")
    try:
        check_directory(config)
    except ConfigError as error:
        yield bad(ABOUT, str(error), "run the node as what its directory says that it is")
    yield from _secrets(config)
    yield from _reach(config)
    if not config.admin.enabled:
        yield warning(
            ABOUT,
            "admin.enabled is false: a running node can't be looked at or told anything",
            "leave it out, unless that is what you want",
        )
    if not (config.statistics.enabled and config.statistics.history):
        yield warning(
            ABOUT,
            "no history is kept: nobody can tell afterwards what happened, or how fast the disk fills",
            "leave statistics.enabled and statistics.history at true",
        )
    yield from _ports(patient, config)


def _secrets(config: Config) -> Iterator[Finding]:
    wanted = []
    if config.registration.gateway == "webhook":
        wanted.append(("registration.webhook.secret_file", config.registration.webhook.secret_file))
    if config.statistics.webhook.secret_file:
        wanted.append(("statistics.webhook.secret_file", config.statistics.webhook.secret_file))
    for option, name in wanted:
        path = config.base / name
        try:
            read_secret(path, option)
        except SecretRefused as error:
            yield bad(ABOUT, str(error), "make one with `openssl rand -hex 32`, in a file of mode 600")
            continue
        if path.stat().st_mode & 0o077:
            yield bad(
                ABOUT,
                f"{path} can be read by others than its owner",
                f"chmod 600 {path}, and make a new secret",
            )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reach(config: Config) -> Iterator[Finding]:
    listen = config.listen
    if config.shadow.enabled:
        yield good(ABOUT, f"a shadow: no phones; live nodes connect to {config.shadow.listen}")
        return
    if is_loopback(listen.host):
        yield good(ABOUT, f"listen.host is {listen.host}: only what is on this machine can connect")
        return
    if listen.plain_port:
        yield warning(
            ABOUT,
            f"listen.plain_port {listen.plain_port} is open to others than this machine, without TLS",
            "leave it out, unless a load balancer in front ends TLS and the network between is yours",
        )
    if config.registration.open and config.registration.gateway == "log":
        yield warning(
            ABOUT,
            'registration.gateway is "log": PINs are printed on the node\'s output and reach no phone',
            'set it to "webhook" or "command", or registration.open = false',
        )


def _ports(patient: Patient, config: Config) -> Iterator[Finding]:
    listen = config.listen
    ports = [] if config.shadow.enabled else [
        (f"listen.{name}", getattr(listen, name)) for name in ("port", "own_port", "plain_port")
    ]  # fmt: skip
    places = [(option, listen.host, port) for option, port in ports if port]
    statistics: StatisticsSettings = config.statistics
    if statistics.enabled and statistics.prometheus_port:
        places.append(("statistics.prometheus_port", statistics.prometheus_host, statistics.prometheus_port))
    if config.cluster.listen and not config.shadow.enabled:
        links = Address.parse(config.cluster.listen)
        if links.host:
            places.append(("cluster.listen", links.host, links.port))
    if not places:
        return
    if patient.holder() is not None:
        yield skipped(ABOUT, "ports are the running node's")
        return
    taken = False
    for option, host, port in places:
        trouble = _bind(host, port, listen.shared and option == "listen.port")
        if trouble:
            taken = True
            yield bad(ABOUT, f"{option}: {host}:{port} {trouble[0]}", trouble[1])
    if not taken:
        yield good(ABOUT, f"ports are free: {', '.join(str(port) for _, _, port in places)}")


def _bind(host: str, port: int, shared: bool) -> tuple[str, str] | None:
    """What hinders a node from listening there, and the remedy. Nothing is listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            one.bind((host, port))
            if not shared:
                one.listen(1)  # bound by another who doesn't listen yet is no hindrance
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is in use", "stop what listens there (`ss -ltnp`), or choose another port"
            if error.errno == errno.EACCES:
                return (
                    "may not be used by this user",
                    "choose a port above 1023, or give the unit AmbientCapabilities=CAP_NET_BIND_SERVICE",
                )
            if error.errno == errno.EADDRNOTAVAIL:
                return "is no address of this machine", "set listen.host to one of `ip address`"
            return f"can't be used: {error.strerror}", "choose another address or port"
        except socket.gaierror as error:
            return f"isn't known: {error}", "write an address"
    return None


def knobs(patient: Patient) -> Iterator[Finding]:
    """What was turned for good goes before the file; who reads the file should know."""
    path: Path = patient.data / "admin" / "knobs.json"
    if path.is_file() and path.stat().st_size > len("{}\n"):
        yield warning(
            ABOUT,
            f"{path} goes before the configuration: options were turned for good while a node ran",
            "put them into the file, then `knob reset` each; see `knob list --turned`",
        )
