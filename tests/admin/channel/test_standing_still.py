"""A node whose process stands still takes connections, by its kernel, and says nothing."""

from __future__ import annotations

import socket

import attrs
import pytest

from admin.channel import client
from admin.channel.client import Client, Target
from admin.channel.errors import NotAllowed
from admin.channel.place import Place
from replication.zeromq.keys import make_keys
from replication.zeromq.settings import LinkSettings


def test_a_node_that_stands_still_is_not_only_said_to_refuse_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = attrs.evolve(LinkSettings(), handshake_ms_max=300)
    monkeypatch.setattr(client, "LinkSettings", lambda: quick)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        place = Place.parse(f"127.0.0.1:{frozen.getsockname()[1]}")
        with (
            Client(Target(place, make_keys(), make_keys().public)) as asking,
            pytest.raises(NotAllowed, match="or it stands still"),
        ):
            asking.ask(("status",))
