"""Real nodes that are one cluster, founded and joined as an operator does it, so that their ids are their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from admin.channel.client import Client, Target
from node.founding import Place, found, join
from ops.bench.node_process import NodeProcess
from replication.zeromq.keys import ensure_keys
from store.directory import make_directory

READY_S = 90.0
"""A machine may be busy with other tests."""


@contextmanager
def members(
    folder: Path,
    configs: Sequence[Mapping[str, Mapping[str, Any]]],
    environment: Mapping[str, str] | None = None,
) -> Iterator[list[NodeProcess]]:
    """Each in `folder`/n1 … with its directory in `data` there. A configuration has at least [cluster] `listen`."""
    names = [f"n{number}" for number in range(1, len(configs) + 1)]
    with ExitStack() as stack:
        nodes: list[NodeProcess] = []
        for name, config in zip(names, configs, strict=True):
            data = folder / name / "data"
            place = Place(address=config["cluster"]["listen"], server=name)
            if not nodes:
                found(data, "joined", place)
            else:
                make_directory(data)
                with Client(Target.find(str(folder / names[0]))) as client:
                    invite = ("cluster", "invite", "--server", name, "--", ensure_keys(data).public)
                    key, _, address = client.ask(invite)["join"].rpartition("@")
                join(data, key, address, place)
            whole = {**config, "node": {"data": "data", **config.get("node", {})}}
            nodes.append(
                stack.enter_context(
                    NodeProcess.start(
                        whole, folder / name, environment=environment, ready_seconds_max=READY_S
                    )
                )
            )
        yield nodes


def id_of(folder: Path, name: str) -> str:
    """As the members call it."""
    with Client(Target.find(str(folder / name))) as client:
        told: str = client.ask(("info",))["node"]
        return told
