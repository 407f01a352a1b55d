"""Limits of a hub that serves, changed between two of its passes.

Each part holds the settings and looks at them when it needs them, so that handing out new ones is nearly all there is
to it. What a part made of them at its start is made anew here, or can't be changed (`FIXED`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from node.hub.memory import descriptors_max
from node.hub.settings import HubSettings

if TYPE_CHECKING:
    from node.hub.hub import Hub

FIXED: Final = frozenset({"descriptors_reserved", "read_bytes_max"})


def adjust(hub: Hub[Any], settings: HubSettings) -> None:
    """From now on these hold. On the hub's task only.

    A rate that is changed begins with a whole burst. Connections beyond a lowered limit stay; deadlines that run
    keep their time.
    """
    before = hub.settings
    for name in FIXED:
        assert getattr(settings, name) == getattr(before, name), (
            f"{name} can't be changed in a hub that serves"
        )
    hub.settings = settings
    hub.connections_max = min(settings.connections_max, descriptors_max() - settings.descriptors_reserved)
    hub.closer.adjust(settings)
    hub._admission.adjust(settings, hub.connections_max)
    hub._acceptor.adjust(settings)
    hub._handshakes.adjust(settings)
    hub._reader.adjust(settings)
    hub._writer.adjust(settings)


def set_draining(hub: Hub[Any], draining: bool) -> None:
    """Take nobody more, or take them again. Who is connected stays until he is sent away."""
    hub._admission.draining = draining


def is_draining(hub: Hub[Any]) -> bool:
    """Whether nobody more is taken."""
    return hub._admission.draining
