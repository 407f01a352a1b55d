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
    logins_per_s_max: int = 500
    """0: no limit. One costs 0.6 ms of CPU here and at the user's primary, so this is a third of a core; frames of
    those who are in go first."""
    logins_waiting_max: int = 2_000
    """Logins that wait for their turn, and never more than have it within 5 s; beyond it phones are told when to come
    again."""
    agent: str = "waystation"
    """What the node calls itself in its hello."""

    def __attrs_post_init__(self) -> None:
        for name, high in (
            ("hello_s", SECONDS_MAX),  # deadlines: one round of the wheel
            ("login_s", SECONDS_MAX),
            ("ping_after_s", 86_400),
            ("ping_wait_s", SECONDS_MAX),
            ("logins_waiting_max", 1_000_000),
        ):
            if not 1 <= getattr(self, name) <= high:
                raise ValueError(f"session.{name} is {getattr(self, name)}: choose a value from 1 to {high}")
        if not 0 <= self.logins_per_s_max <= 1_000_000:
            raise ValueError(
                f"session.logins_per_s_max is {self.logins_per_s_max}: choose a value from 0 to 1000000"
            )
        if len(self.agent.encode()) > AGENT_MAX:
            raise ValueError(f"session.agent is longer than {AGENT_MAX} bytes: shorten it")
