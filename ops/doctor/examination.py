"""All checks, one after the other. One that fails itself is a finding, too, and ends no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from ops.doctor import certificates, clock, configuration, disk, keys, limits, living, peers, stored
from ops.doctor.finding import Finding, warning
from ops.doctor.patient import Patient

Check = Callable[[Patient], Iterator[Finding]]

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("the configuration", configuration.check),
    ("turned knobs", configuration.knobs),
    ("the certificate", certificates.check),
    ("keys", keys.check),
    ("limits of the system", limits.check),
    ("the clock", clock.check),
    ("the disk", disk.check),
    ("the store", stored.check),
    ("other members", peers.check),
    ("the running node", living.check),
)


def examine(
    patient: Patient,
    tell: Callable[[str], None] = lambda _: None,
    checks: tuple[tuple[str, Check], ...] = CHECKS,
) -> Iterator[Finding]:
    """Findings, as they come.

    Args:
        tell: what is being looked at.
    """
    for name, check in checks:
        tell(name)
        if check is stored.check:
            check = partial(stored.check, tell=tell)
        try:
            yield from check(patient)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other checks can still say something
            yield warning(
                name,
                f"it couldn't be looked at: {type(error).__name__}: {error}",
                "report this: it is a defect of doctor",
            )


def status(findings: list[Finding]) -> int:
    """0: nothing to do. 1: something to look at. 2: something is wrong."""
    return max(0, *(int(finding.verdict) for finding in findings), 0)
