"""What a running node says of itself over its channel: does it answer, how fast, and does anything ring."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from admin.channel.roster import Entry
from ops.doctor import certificates
from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import UNREACHED, Patient, ask

ABOUT: Final = "node"
ANSWER_S_WARNING: Final = 1.0


def check(patient: Patient) -> Iterator[Finding]:
    holder = patient.holder()
    entry = Entry.alone(str(patient.data))
    try:
        began = time.monotonic()
        ask(entry, "ping")
        took = time.monotonic() - began
        info = ask(entry, "info")
        alarms = ask(entry, "alarms")
        hub = ask(entry, "stats", "hub")
    except PermissionError as error:
        yield skipped(ABOUT, f"it can't be asked as this user: {error}")
        return
    except UNREACHED as error:
        if holder is None:
            yield skipped(ABOUT, "it doesn't run")
        elif patient.config is not None and not patient.config.admin.enabled:
            yield skipped(ABOUT, f"it runs (process {holder}), without its channel")
        else:
            yield bad(
                ABOUT,
                f"process {holder} holds the tables, and its channel doesn't answer: {error}",
                "look at its log; if its loop is stuck, kill -ABRT tells where, and the next start loses nothing",
            )
        return
    yield from _answers(took, info)
    yield from _info(patient, info)
    yield from _alarms(alarms)
    if hub["failures"]:
        yield warning(
            ABOUT,
            f"handlers failed {hub['failures']:,} times since its start, each of which ended a connection",
            "look for connection_failed in its log: each is a defect of the code",
        )


def _answers(took: float, info: Any) -> Iterator[Finding]:
    text = f"it answers in {took * 1000:.0f} ms; up for {info['up_s'] / 3600:,.1f} h, {info['sessions']:,} sessions"
    if took > ANSWER_S_WARNING:
        yield warning(ABOUT, text, "see what holds its loop: `profile --seconds 10s`, `queues`")
    else:
        yield good(ABOUT, text)


def _info(patient: Patient, info: Any) -> Iterator[Finding]:
    here = version("waystation")
    if info["version"] != here:
        yield warning(
            ABOUT,
            f"it runs version {info['version']}, and {here} is installed here",
            "start it again, or `reload plan` shows whether the new code can be loaded while it runs",
        )
    if info["draining"]:
        yield warning(
            ABOUT, "it is draining: new phones are refused", "`undrain`, unless it is about to be stopped"
        )
    config = patient.config
    if config is not None and not config.shadow.enabled and (config.listen.port or config.listen.own_port):
        path, _ = certificates.files(config)
        if path.exists() and path.stat().st_mtime > info["started"]:
            yield warning(
                ABOUT,
                f"{path} was changed since the node started, which has loaded the one before",
                "start it again for the new one",
            )


def _alarms(alarms: Any) -> Iterator[Finding]:
    for alarm in alarms:
        yield warning(
            ABOUT,
            f"alarm {alarm['name']}: {alarm['text']}",
            "`alarms`, `queues` and `rates` of `waystation admin` show more; docs/statistics.md says what each means",
        )
    if not alarms:
        yield good(ABOUT, "no alarm stands")
