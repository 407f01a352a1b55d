"""The certificate that phones see: is it valid, for how long, for these names, with this key."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from node.hub.tls import load_tls
from ops.config import CERTIFICATE, KEY, Config, ListenSection
from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import Patient

ABOUT: Final = "certificate"
SOON_DAYS: Final = 21
BAD_DAYS: Final = 3


def check(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    if config is None or config.shadow.enabled or not (config.listen.port or config.listen.own_port):
        yield skipped(
            ABOUT, "no port of this node speaks TLS" if config is not None else "not without a configuration"
        )
        return
    certificate, key = files(config)
    if not config.listen.certificate and not certificate.exists():
        yield skipped(ABOUT, f"none is named: the node makes {certificate} at its first start")
        return
    try:
        load_tls(certificate, key)
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
        yield bad(
            ABOUT,
            f"{certificate} and {key} can't be used: {reason or error}",
            "name PEM files of a certificate and its key without a passphrase, which this user may read",
        )
        return
    yield from _key(key)
    yield from _time(chain[0], patient.now, certificate)
    yield from _names(chain[0], config, own=not config.listen.certificate)
    if len(chain) == 1 and chain[0].issuer != chain[0].subject:
        yield warning(
            ABOUT,
            f"{certificate} holds the certificate alone, without that of its issuer",
            "put the chain behind it (often fullchain.pem): most phones don't fetch it themselves",
        )


def files(config: Config) -> tuple[Path, Path]:
    """Certificate and key, named or made."""
    if config.listen.certificate:
        return config.base / config.listen.certificate, config.base / config.listen.key
    return config.data / CERTIFICATE, config.data / KEY


def _key(key: Path) -> Iterator[Finding]:
    mode = key.stat().st_mode
    if mode & 0o007:
        yield bad(
            ABOUT,
            f"every user of this machine can read {key}",
            "chmod 640 it or less, and have a new key certified",
        )


def _time(certificate: x509.Certificate, now: float, path: Path) -> Iterator[Finding]:
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    days = (ends - now) / 86_400
    day = datetime.datetime.fromtimestamp(ends, datetime.UTC).date()
    renew = "renew it, and start the node again; phones that pinned it will ask about the new one"
    if now < begins:
        yield bad(ABOUT, f"{path} isn't valid yet", "look at this machine's clock, or wait")
    elif days <= 0:
        yield bad(ABOUT, f"{path} ended on {day}", renew)
    elif days < BAD_DAYS:
        yield bad(ABOUT, f"{path} ends on {day}, in {days:.1f} days", renew)
    elif days < SOON_DAYS:
        yield warning(ABOUT, f"{path} ends on {day}, in {days:.0f} days", renew)
    else:
        yield good(ABOUT, f"{path} is valid until {day}")


def _names(certificate: x509.Certificate, config: Config, *, own: bool) -> Iterator[Finding]:
    has = names_of(certificate)
    if not has:
        yield bad(
            ABOUT,
            "the certificate has no subjectAltName: phones take it for nobody's",
            "have one made with the host's names in it",
        )
        return
    wanted = _wanted(config, own=own)
    missing = [name for name in wanted if not any(_fits(name, one) for one in has)]
    if missing:
        yield warning(
            ABOUT,
            f"it isn't for {', '.join(missing)}, but for {', '.join(sorted(has))}",
            "remove certificate.pem and key.pem for another to be made; phones that pinned it will refuse that"
            if own
            else "have one made for all names by which phones reach this node",
        )
    elif wanted:
        yield good(ABOUT, f"it is for {', '.join(wanted)}")


def _wanted(config: Config, *, own: bool) -> list[str]:
    """By what names phones come, as far as the configuration says it."""
    wanted = list(config.listen.names) if own or config.listen.names != ListenSection().names else []
    if public := config.cluster.public:
        wanted.append(public.rpartition(":")[0].strip("[]"))
    return wanted


def names_of(certificate: x509.Certificate) -> set[str]:
    """Host names and addresses in it (RFC 6125: the common name doesn't count)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def _fits(name: str, one: str) -> bool:
    """RFC 6125, 6.4.3: a star stands for one whole label, the first."""
    if one.startswith("*."):
        return name.partition(".")[2].lower() == one[2:].lower()
    return name.lower() == one.lower()
