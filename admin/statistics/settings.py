"""The options of [statistics]: what is kept, who may scrape, what rings and who is told.

Their ranges are checked when they are made; each message names the option and what to do. This module must never read
a file.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from admin.statistics.alarms import AlarmSettings

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@attrs.frozen(kw_only=True)
class AlarmWebhookSettings:
    """[statistics.webhook]: an HTTP address that is told of every alarm that is raised or cleared."""

    url: str = ""
    """Where to POST; https, or http on this machine. Empty: nobody is told."""
    secret_file: str = ""
    """File with the secret that signs each request; 32 characters at least. Empty: nothing is signed."""
    ca_file: str = ""
    """Certificates (PEM) to trust instead of the system's, for a receiver with one of its own."""
    waiting_max: int = 64
    """Events that wait to be told; beyond it the oldest is dropped, and counted."""
    tries_max: int = 8
    """How often one event is posted until it is taken."""
    timeout_s: float = 10.0
    """For one try, from connecting to the last byte of the answer."""
    backoff_s: float = 1.0
    """Pause after the first failed try; doubled after each further one, then jittered between half and whole."""
    backoff_s_max: float = 60.0
    retry_after_s_max: float = 300.0
    """The longest Retry-After of a 429 that is obeyed; a longer one gives up."""

    def __attrs_post_init__(self) -> None:
        _check_ranges(
            "statistics.webhook",
            self,
            ("waiting_max", 1, 10_000),
            ("tries_max", 1, 100),
            ("timeout_s", 0.1, 120),
            ("backoff_s", 0.01, 60),
            ("backoff_s_max", self.backoff_s, 3_600),
            ("retry_after_s_max", 0, 3_600),
        )
        if self.url:
            parts = urlsplit(self.url)
            if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
                raise ValueError(
                    "statistics.webhook.url must start with https:// (http:// only for this machine)"
                )
            if not parts.hostname:
                raise ValueError(
                    "statistics.webhook.url has no host: write it like https://alarms.example/node"
                )


@attrs.frozen(kw_only=True)
class StatisticsSettings:
    """[statistics]"""

    enabled: bool = True
    """Whether the node samples its figures each second. Without it there are no rates, alarms, history or metrics."""
    history: bool = True
    """Whether an hour of seconds and a week of minutes are kept in the data directory, in a file of 28 MB."""
    prometheus_port: int = 0
    """Where Prometheus scrapes the node, by HTTP: /metrics. 0: nowhere."""
    prometheus_host: str = "127.0.0.1"
    """The address that this port is on. Whoever reaches it can read the figures, so not one that phones reach."""
    alarms: AlarmSettings = attrs.Factory(AlarmSettings)
    webhook: AlarmWebhookSettings = attrs.Factory(AlarmWebhookSettings)

    def __attrs_post_init__(self) -> None:
        _check_ranges("statistics", self, ("prometheus_port", 0, 65_535))
        if not self.prometheus_host:
            raise ValueError("statistics.prometheus_host is empty: name an address, such as 127.0.0.1")


def _check_ranges(section: str, settings: object, *ranges: tuple[str, float, float]) -> None:
    for name, low, high in ranges:
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ValueError(f"{section}.{name} is {value}: choose a value from {low} to {high}")
