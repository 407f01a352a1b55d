"""Limits of sessions."""

import attrs

from node.hub.wheel import SECONDS_MAX
from node.wire.limits import AGENT_MAX


@attrs.frozen(kw_only=True)
class SessionSettings:
    """[session]. Seconds are as coarse as the hub's wheel, one second."""

    hello_s: int = 10
    """From the connection to the client's hello."""
    login_s: int = 120
    """From hello to login; a person may be typing a PIN meanwhile."""
    ping_after_s: int = 240
    """Silence after which a client is pinged …"""
    ping_wait_s: int = 30
    """… and how long it may take to answer before the connection is closed."""
    agent: str = "waystation"
    """What the node calls itself in its hello."""

    def __attrs_post_init__(self) -> None:
        for name, high in (
            ("hello_s", SECONDS_MAX),  # deadlines: one round of the wheel
            ("login_s", SECONDS_MAX),
            ("ping_after_s", 86_400),
            ("ping_wait_s", SECONDS_MAX),
        ):
            if not 1 <= getattr(self, name) <= high:
                raise ValueError(f"session.{name} is {getattr(self, name)}: choose a value from 1 to {high}")
        if len(self.agent.encode()) > AGENT_MAX:
            raise ValueError(f"session.agent is longer than {AGENT_MAX} bytes: shorten it")
