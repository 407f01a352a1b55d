"""What holds of one section: the configuration; over it what was kept; over it what was set for a time. Pure.

The configuration with what was kept is always valid by itself, so that the end of a time always leads
somewhere: if taking one timed value away leaves the others in contradiction, all of them end.
"""

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Turned:
    """A knob that was turned. at, until: seconds since 1970; until None: for good."""

    value: Any
    by: str
    at: float
    until: float | None = None


@attrs.frozen
class Layers:
    """base: the settings of the configuration. kept, timed: by the key within the section."""

    base: Any
    kept: Mapping[str, Turned] = attrs.Factory(dict)
    timed: Mapping[str, Turned] = attrs.Factory(dict)

    def settings(self) -> Any:
        """What holds. Raises ValueError: the values contradict each other, or one is out of its bounds."""
        return attrs.evolve(self.kept_settings(), **_values(self.timed))

    def kept_settings(self) -> Any:
        """What holds when every time is over. Raises ValueError."""
        return attrs.evolve(self.base, **_values(self.kept))

    def with_turned(self, key: str, turned: Turned) -> "Layers":
        """With one knob turned; for good ends what was set for a time. Raises ValueError: it can't hold."""
        if turned.until is None:
            timed = {name: one for name, one in self.timed.items() if name != key}
            made = attrs.evolve(self, kept={**self.kept, key: turned}, timed=timed)
        else:
            made = attrs.evolve(self, timed={**self.timed, key: turned})
        made.settings()
        made.kept_settings()
        return made

    def without(self, key: str) -> "Layers":
        """With one knob as the configuration has it. Raises ValueError: the others don't allow that."""
        made = attrs.evolve(
            self,
            kept={name: one for name, one in self.kept.items() if name != key},
            timed={name: one for name, one in self.timed.items() if name != key},
        )
        made.settings()
        made.kept_settings()
        return made

    def at(self, now: float) -> "Layers":
        """Without those whose time is over; itself if there is none."""
        left = {name: one for name, one in self.timed.items() if one.until is None or one.until > now}
        if len(left) == len(self.timed):
            return self
        made = attrs.evolve(self, timed=left)
        try:
            made.settings()
        except ValueError:
            return attrs.evolve(self, timed={})
        return made

    def next_end(self) -> float | None:
        """When the next time is over."""
        return min((one.until for one in self.timed.values() if one.until is not None), default=None)


def _values(turned: Mapping[str, Turned]) -> dict[str, Any]:
    return {name: one.value for name, one in turned.items()}
