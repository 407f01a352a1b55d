"""What `cluster change` refuses says what to do instead."""

from types import SimpleNamespace
from typing import Any

import pytest

from admin.commands.registry import COMMANDS
from admin.commands.table import CommandError
from admin.knobs.catalogue import reason


def arguments(**given: Any) -> dict[str, Any]:
    return dict.fromkeys(("weight", "server", "rack", "address", "listen", "public")) | given


async def change(**given: Any) -> Any:
    """As an operator; the cluster that it is said to can't be changed."""
    (command,) = [one for one in COMMANDS if one.name == "cluster change"]
    assert {one.name for one in command.parameters} == {*arguments(), "node"}
    context: Any = SimpleNamespace(node=SimpleNamespace(cluster=SimpleNamespace()))
    return await command.run(context, arguments(node="0123abcd", **given))


@pytest.mark.parametrize("more", [{}, {"weight": 50}])
async def test_where_a_node_listens_takes_a_restart_and_nothing_else_is_changed(more: dict[str, Any]) -> None:
    with pytest.raises(
        CommandError, match=r"set listen in \[cluster\] of its configuration.*restart the node.*Nothing"
    ):
        await change(listen="10.0.0.1:7500", **more)
    assert "its links to other nodes are bound to it" in reason("cluster.listen")


async def test_nothing_to_change_and_an_address_that_is_none_are_named() -> None:
    with pytest.raises(CommandError, match="--weight, --server, --rack, --address, --public"):
        await change()
    with pytest.raises(CommandError, match=r"--address: .*write host:port"):
        await change(address="nowhere")
