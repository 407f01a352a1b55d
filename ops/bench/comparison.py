"""Running a measurement on a node, and in the same run on a peer, as often as wanted, and what comes out.

This module must never know what is measured.
"""

import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from attrs import asdict, field, frozen

from ops.bench.ejabberd import find_ejabberd
from ops.bench.ejabberd_configuration import Profile
from ops.bench.sampling import filesystem_of, machine, median_of
from ops.bench.screen import Screen
from ops.bench.server import Server, ejabberd, waystation

Peer = Literal["ejabberd"]
Measure = Callable[[Server], dict[str, Any]]

RATIOS: Final = MappingProxyType(
    {
        "node_cpu_us_per_message": "cpu_ratio_ejabberd_over_waystation",
        "login_cpu_us": "login_cpu_ratio_ejabberd_over_waystation",
        "bytes_per_session": "memory_ratio_ejabberd_over_waystation",
    }
)
"""The peer's figure over ours, under this name, for each of these figures that both have."""

_IN_MEMORY: Final = ("tmpfs", "ramfs")


@frozen
class Setting:
    """What the servers of a benchmark have in common.

    Attributes:
        users: accounts.
        mail: knobs of the node's [mail].
        against: the peer, or None.
        profile: how the peer is configured.
        repeat: how often everything is run; the result has the medians.
        directory: where the servers' directories are made; None: where temporary files go.
    """

    users: int
    tls: bool = False
    mail: Mapping[str, Any] = field(factory=dict)
    against: Peer | None = None
    profile: Profile = "debian"
    repeat: int = 1
    directory: Path | None = None


def run(name: str, settings: Any, setting: Setting, measure: Measure, screen: Screen) -> dict[str, Any]:
    """Measure on a fresh node, then on a fresh peer, `setting.repeat` times.

    Args:
        settings: attrs instance or mapping that the result repeats.

    Raises:
        EjabberdMissingError: before anything is started.
        Everything that starting and measuring raises; all that was started has ended then.
    """
    if setting.against:
        find_ejabberd()
    with terminated_as_interrupted():
        runs = [_once(setting, measure) for _ in range(setting.repeat)]
    warnings = sorted({text for run in runs for text in _warnings(run)})
    with tempfile.TemporaryDirectory(dir=setting.directory) as directory:
        filesystem = filesystem_of(Path(directory))
    if filesystem in _IN_MEMORY:
        warnings.append(
            f"the servers' directories are on {filesystem}, where fsync does nothing: give --directory"
        )
    for text in warnings:
        screen.warn(text)
    result: dict[str, Any] = {
        "benchmark": name,
        "settings": settings if isinstance(settings, dict) else asdict(settings),
        "tls": setting.tls,
        "repeats": setting.repeat,
        "machine": {**machine(), "filesystem": filesystem},
        **median_of(runs),
        "warnings": warnings,
    }
    if setting.repeat > 1:
        result["runs"] = [_headline(run) for run in runs]
    return result


def _once(setting: Setting, measure: Measure) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=setting.directory) as directory:
        with waystation(
            Path(directory) / "waystation", setting.users, tls=setting.tls, mail=setting.mail
        ) as server:
            ours = measure(server)
        if setting.against is None:
            return ours
        with ejabberd(
            Path(directory) / "ejabberd", setting.users, tls=setting.tls, profile=setting.profile
        ) as server:
            theirs = measure(server)
    return {**ours, **_ratios(ours, theirs), "ejabberd": theirs}


def _ratios(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    return {
        ratio: theirs[figure] / ours[figure]
        for figure, ratio in RATIOS.items()
        if ours.get(figure) and theirs.get(figure)
    }


def _warnings(run: Mapping[str, Any]) -> list[str]:
    found = [f"waystation: {text}" for text in run.get("warnings", ())]
    if "ejabberd" in run:
        found += [f"ejabberd: {text}" for text in run["ejabberd"].get("warnings", ())]
    return found


def _headline(run: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one run, without what is below them; of the peer, too."""
    figures: dict[str, Any] = {key: value for key, value in run.items() if isinstance(value, int | float)}
    if "ejabberd" in run:
        figures["ejabberd"] = _headline(run["ejabberd"])
    return figures


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP end a benchmark as Ctrl-C does: by an exception, so that servers are stopped."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
