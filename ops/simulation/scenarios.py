"""Which scenarios there are, by name. Each is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import Final

from ops.simulation.world import Scenario

SCENARIOS: Final = MappingProxyType(
    {
        "tables": "ops.simulation.tables.scenario:Tables",
        "mail": "ops.simulation.mail.scenario:Mail",
        "cluster": "ops.simulation.cluster.scenario:Cluster",
        "clusters": "ops.simulation.cluster.several:Clusters",
    }
)


def scenario(name: str) -> type[Scenario]:
    """A scenario's class: a name of `SCENARIOS`, or `module:class`. Raises KeyError."""
    module, _, attribute = SCENARIOS.get(name, name).partition(":")
    if not attribute:
        raise KeyError(name)
    found: type[Scenario] = getattr(import_module(module), attribute)
    return found
