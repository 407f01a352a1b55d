"""The hub's named limits, and where it listens. Every queue and every loop of the hub is bounded by one of these."""

from __future__ import annotations

import attrs

from node.hub.tls import RECORD_BYTES_MAX, ServerTls
from node.hub.wheel import SECONDS_MAX

RETRY_MS_MAX = 86_400_000  # a day: what a farewell may ask for at most


@attrs.frozen
class HubSettings:
    """[limits]: of one hub. Times in the unit the name ends in; seconds are as coarse as the wheel's.

    Raises ValueError, naming option and remedy.
    """

    connections_max: int = 1_000_000  # in all; less where the descriptors allow less
    descriptors_reserved: int = 64  # of RLIMIT_NOFILE, kept for the store, logs and links
    connections_per_address_max: int = 20_000  # 0: no limit. Carriers put many phones behind one address
    # Within accept_window_s; 0: no limit. A quarter of the handshakes there may be; and the 20,000 phones that one
    # address may have are back within 100 s.
    accepts_per_address_max: int = 2_000
    accept_window_s: int = 10
    accepts_per_s_max: int = 5_000  # of all addresses; 0: no limit. More wait in the kernel's backlog
    handshakes_per_s_max: int = 800  # 0: no limit. One costs 0.6 ms: half a core

    events_per_pass_max: int = 128
    accepts_per_pass_max: int = 4
    handshakes_per_pass_max: int = 2  # steps; one costs up to 0.6 ms
    handshake_queue_max: int = 1_024  # waiting for a step; more wait in the kernel's backlog
    looks_per_pass_max: int = 512  # connections the timer wheel looks at
    byes_per_pass_max: int = 512
    turn_ms_max: float = 5.0  # of passes in a row; then other Trio tasks have their turn
    soon_max: int = 100_000  # functions waiting for the next pass

    read_bytes_max: int = 65_536  # taken from one connection at a time
    outbox_high_bytes: int = 262_144  # above it a connection that doesn't read isn't read from
    outbox_low_bytes: int = 65_536  # below it, it is again
    outbox_bytes_max: int = 8_388_608  # above it, it is closed

    handshake_s_max: int = 10  # from the accept to the end of the TLS handshake
    first_look_s: int = 10  # from there to the first `quiet`, unless the handler says otherwise
    stall_s_max: int = 30  # with bytes to write and none taken
    linger_s_max: int = 3  # for the last bytes of a connection we close
    accept_pause_s: int = 1  # when an accept fails for a reason that refusing can't cure

    bye_retry_ms_max: int = 30_000  # the retry time told to each is drawn from 0 to this
    trim_after_closes: int = 1_000  # so many gone, and the memory is given back to the system

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("connections_max", 1, 10_000_000),
            ("descriptors_reserved", 0, 1_000_000),
            ("connections_per_address_max", 0, 10_000_000),
            ("accepts_per_address_max", 0, 10_000_000),
            ("accept_window_s", 1, 86_400),
            ("accepts_per_s_max", 0, 10_000_000),
            ("handshakes_per_s_max", 0, 1_000_000),
            ("events_per_pass_max", 1, 100_000),
            ("accepts_per_pass_max", 1, 100_000),
            ("handshakes_per_pass_max", 1, 100_000),
            ("handshake_queue_max", 1, 1_000_000),
            ("looks_per_pass_max", 1, 1_000_000),
            ("byes_per_pass_max", 1, 1_000_000),
            ("turn_ms_max", 0.1, 1_000),
            ("soon_max", 1, 100_000_000),
            ("read_bytes_max", RECORD_BYTES_MAX, 16_777_216),  # one TLS record must fit into the read buffer
            ("outbox_high_bytes", 1, 1_073_741_824),
            ("outbox_low_bytes", 1, 1_073_741_824),
            ("outbox_bytes_max", 1, 1_073_741_824),
            ("handshake_s_max", 1, SECONDS_MAX),  # one round of the wheel, as the next two
            ("first_look_s", 1, SECONDS_MAX),
            ("linger_s_max", 1, SECONDS_MAX),
            ("stall_s_max", 1, 86_400),
            ("accept_pause_s", 0, 3_600),
            ("bye_retry_ms_max", 0, RETRY_MS_MAX),
            ("trim_after_closes", 1, 1_000_000_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"limits.{name} is {value}: choose a value from {low} to {high}")
        if not self.outbox_low_bytes <= self.outbox_high_bytes <= self.outbox_bytes_max:
            raise ValueError(
                "limits: outbox_low_bytes <= outbox_high_bytes <= outbox_bytes_max must hold: set all three"
            )


@attrs.frozen
class ListenerSettings:
    """One listening socket. `tls` None means plain TCP; port 0 lets the kernel choose.

    The kernel's buffers are bounded because left to itself it lets each grow to megabytes (tcp_wmem,
    tcp_rmem in tcp(7)), and somebody who never reads would make it; 0 leaves it to itself.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: ServerTls | None = None
    reuse_port: bool = False
    name: str = "public"
    backlog: int = 1_024
    send_buffer_bytes: int = 131_072  # the kernel doubles both for its bookkeeping
    receive_buffer_bytes: int = 65_536
