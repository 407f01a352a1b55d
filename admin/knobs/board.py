"""The knobs of one node: turned by commands, undone in time, kept for the next start, with who did it.

What is kept is in `admin/knobs.json`, and holds at the next start over the configuration. If it can't (the
configuration has changed, say), it is left out whole for its section, and logged: a node must not fail to start
by it.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, get_type_hints

import attrs
import msgspec
import structlog
import trio

from admin.knobs.catalogue import KNOBS, reason
from admin.knobs.layers import Layers, Turned
from admin.knobs.sections import SECTIONS, Services
from node.hub.between import between_passes
from node.hub.errors import HubFull, HubStopped
from node.running import Running
from replication.rounds import go_round
from store.disk import sync_directory

log = structlog.get_logger()

FILE: Final = "knobs.json"
FILE_BYTES_MAX: Final = 262_144
TRY_AGAIN_S: Final = 1.0
_ENDS: Final = "the node is ending, or is handing over to another process"


class NoKnob(Exception):
    """It isn't one, or can't have this value. The text says why, and what to do."""


class Knobs:
    """Put together before the node runs; `run` beside it.

    Args:
        path: where what is kept is written.
        services: what runs beside the node, by its class, once `run` runs.
        wall: seconds since 1970.
    """

    def __init__(self, path: Path, services: Services, wall: Callable[[], float]) -> None:
        self._path = path
        self._services = services
        self._wall = wall
        self._node: Running | None = None
        self._layers: dict[str, Layers] = {}
        self._changed = trio.Event()
        self._turning = trio.Lock()
        self.ended = 0

    async def run(
        self, node: Running, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Let what was kept hold; then undo what was set for a time when that is over, until cancelled."""
        self._node = node
        kept = self._read()
        for name, section in SECTIONS.items():
            base = section.read(node, self._services)
            if base is None:
                continue
            layers = Layers(base, kept.get(name, {}))
            try:
                layers.settings()
            except (ValueError, TypeError) as error:
                log.error("kept_knobs_left_out", section=name, cause=str(error))
                layers = Layers(base)
            self._layers[name] = layers
            if layers.kept:
                await self._put_or_rest(name, layers)
                log.info("kept_knobs_hold", section=name, keys=",".join(layers.kept))
        task_status.started()
        await go_round(self.step)

    async def step(self) -> None:
        """Wait for the end of a time, or for a change; then end what is over."""
        ends = [end for layers in self._layers.values() if (end := layers.next_end()) is not None]
        self._changed = trio.Event()
        with trio.move_on_after(max(0.0, min(ends) - self._wall()) if ends else float("inf")):
            await self._changed.wait()
        async with self._turning:
            for name, layers in tuple(self._layers.items()):
                left = layers.at(self._wall())
                if left is not layers:
                    over = sorted(set(layers.timed) - set(left.timed))
                    await self._put_or_rest(name, left)
                    self.ended += len(over)
                    log.info("knobs_back", section=name, keys=",".join(over))

    # ---- for commands ----------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether this node has the part that the knob is of."""
        return name in KNOBS and name.rpartition(".")[0] in self._layers

    def read(self, name: str) -> tuple[Any, Any, Turned | None]:
        """What holds, what the configuration says, and who turned it. Raises NoKnob."""
        section, key = self._place(name)
        layers = self._layers[section]
        value = getattr(layers.settings(), key)
        return value, getattr(layers.base, key), layers.timed.get(key) or layers.kept.get(key)

    async def turn(self, name: str, word: str, by: str, for_s: float | None) -> Any:
        """Let a knob have the value that a word says, for a time or for good. Gives the value.

        Raises:
            NoKnob: there is no such knob, or it can't have this value.
            OSError: what is to be kept can't be written; then nothing was changed.
        """
        section, key = self._place(name)
        async with self._turning:
            layers = self._layers[section]
            now = self._wall()
            value = _value(name, type(layers.base), key, word)
            turned = Turned(value, by, now, None if for_s is None else now + for_s)
            try:
                made = layers.with_turned(key, turned)
            except ValueError as error:
                raise NoKnob(str(error)) from None
            await self._hold(section, made)
        return value

    async def reset(self, name: str) -> Any:
        """Let a knob be as the configuration has it. Gives that value.

        Raises:
            NoKnob, OSError: as `turn`.
        """
        section, key = self._place(name)
        async with self._turning:
            try:
                made = self._layers[section].without(key)
            except ValueError as error:
                raise NoKnob(f"without it the others contradict each other: {error}") from None
            await self._hold(section, made)
        return getattr(made.base, key)

    def statistics(self) -> dict[str, Any]:
        """How many are turned, and how many times were over."""
        return {
            "kept": sum(len(layers.kept) for layers in self._layers.values()),
            "timed": sum(len(layers.timed) for layers in self._layers.values()),
            "ended": self.ended,
        }

    def _place(self, name: str) -> tuple[str, str]:
        if name not in KNOBS:
            why = reason(name)
            raise NoKnob(
                f"{name} takes a restart: {why}" if why else "there is no knob of that name: see knob list"
            )
        section, _, key = name.rpartition(".")
        if section not in self._layers:
            raise NoKnob(f"this node runs without {section.partition('.')[0]}: see its configuration")
        return section, key

    async def _hold(self, section: str, layers: Layers) -> None:
        """On disk first: a value that holds now and not after a restart would be a surprise. Nor is one kept that this
        node can't have any more."""
        assert self._node is not None
        if self._node.hub.stopped.is_set():
            raise NoKnob(f"{_ENDS}: nothing was changed; ask again when it serves")
        if layers.kept != self._layers[section].kept:
            kept = {**{name: one.kept for name, one in self._layers.items()}, section: layers.kept}
            await trio.to_thread.run_sync(self._write, kept)
        try:
            await self._put(section, layers)
        except HubStopped:
            raise NoKnob(f"{_ENDS}: see knob list when it serves") from None
        self._changed.set()

    async def _put_or_rest(self, section: str, layers: Layers) -> None:
        """For `run`: of a hub that has ended nothing is turned any more."""
        try:
            await self._put(section, layers)
        except HubStopped:
            await trio.sleep_forever()

    async def _put(self, section: str, layers: Layers) -> None:
        node = self._node
        assert node is not None
        settings = layers.settings()
        put = partial(SECTIONS[section].put, node, self._services, settings)
        while not await _taken(node, put):  # noqa: ASYNC110 - nobody tells when there is room
            await trio.sleep(TRY_AGAIN_S)
        self._layers[section] = layers

    # ---- what is kept ----------------------------------------------------------------------------

    def _read(self) -> dict[str, dict[str, Turned]]:
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX)
            return msgspec.json.decode(content, type=dict[str, dict[str, Turned]])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            log.error("kept_knobs_not_read", path=str(self._path), cause=str(error))
            return {}

    def _write(self, kept: dict[str, Any]) -> None:
        plain = {
            section: {key: attrs.asdict(one) for key, one in of.items()} for section, of in kept.items() if of
        }
        partial = self._path.with_name(f"{FILE}.partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(plain)))
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, self._path)
        sync_directory(self._path.parent)


async def _taken(node: Running, put: Callable[[], None]) -> bool:
    try:
        await between_passes(node.hub.soon, node.hub.stopped, put)
    except HubFull:
        return False
    return True


def _value(name: str, cls: type[Any], key: str, word: str) -> Any:
    """The word as the type that the option has."""
    kind = get_type_hints(cls)[key]
    if kind is bool:
        if word not in ("true", "false"):
            raise NoKnob(f"{name} is true or false")
        return word == "true"
    if kind is str:
        return word
    try:
        return int(word.replace("_", "")) if kind is int else float(word)
    except ValueError:
        raise NoKnob(f"{name} takes {'a whole number' if kind is int else 'a number'}") from None
