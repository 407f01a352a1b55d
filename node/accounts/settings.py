"""The options of [registration]: who may register, how PINs reach phones, and every limit.

Their relations are checked when they are made: PINs that could be guessed, or a gateway without its
address, stop the node at its start. Each message names the option and what to do. This module must never
read a file.
"""

from typing import Literal
from urllib.parse import urlsplit

import attrs

from node.accounts.numbers import Strictness
from node.accounts.pins import PinRules
from node.wire.limits import PIN_SIZE_MAX, PIN_SIZE_MIN

GUESSED_ONCE_IN = 10_000
"""The chance that somebody guesses a number's PIN within a day, trying all that is allowed: at most 1 in
this."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@attrs.frozen(kw_only=True)
class WebhookSettings:
    """[registration.webhook]: an HTTPS address that is given each PIN."""

    url: str = ""
    """Where to POST; https, or http on this machine."""
    secret_file: str = ""
    """File with the secret that signs each request; 32 characters at least."""
    ca_file: str = ""
    """Certificates (PEM) to trust instead of the system's, for a receiver with one of its own."""
    tries_max: int = 4
    """How often one PIN is posted until it is taken."""
    timeout_s: float = 10.0
    """For one try, from connecting to the last byte of the answer."""
    backoff_s: float = 0.5
    """Pause after the first failed try; doubled after each further one, then jittered between half and
    whole."""
    backoff_s_max: float = 10.0
    retry_after_s_max: float = 60.0
    """The longest Retry-After of a 429 that is obeyed; a longer one gives up."""

    def __attrs_post_init__(self) -> None:
        _check_ranges(
            "registration.webhook",
            self,
            ("tries_max", 1, 20),
            ("timeout_s", 0.1, 120),
            ("backoff_s", 0.01, 60),
            ("backoff_s_max", self.backoff_s, 600),
            ("retry_after_s_max", 0, 600),
        )
        if self.url:
            parts = urlsplit(self.url)
            if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
                raise ValueError(
                    "registration.webhook.url must start with https:// (http:// only for this machine),"
                    " since PINs travel in the body"
                )
            if not parts.hostname:
                raise ValueError(
                    "registration.webhook.url has no host: write it like https://sms.example/pin"
                )


@attrs.frozen(kw_only=True)
class CommandSettings:
    """[registration.command]: a program that is run for each PIN, without a shell."""

    program: tuple[str, ...] = ()
    """The program and its first arguments; the number (+15551230001) follows, the PIN comes on standard
    input."""
    timeout_s: float = 20.0
    """A run that takes longer is ended, with everything that it started."""
    kill_after_s: float = 2.0
    """From the polite SIGTERM of that end to SIGKILL."""

    def __attrs_post_init__(self) -> None:
        _check_ranges("registration.command", self, ("timeout_s", 0.1, 600), ("kill_after_s", 0.01, 60))
        if self.program and not self.program[0].startswith("/"):
            raise ValueError("registration.command.program must start with the program's absolute path")


@attrs.frozen(kw_only=True)
class AccountsSettings:
    """[registration]. All durations in the unit that ends the name."""

    open: bool = True
    """Whether devices can register; those that have can log in all the same."""
    numbers: Strictness = "possible"
    """possible: of the right length for their country (+1555… works for tests). valid: of an assigned
    range, too."""

    gateway: Literal["log", "webhook", "command"] = "log"
    """How PINs reach phones. log prints them on the node's standard output, for trying things out."""
    webhook: WebhookSettings = attrs.Factory(WebhookSettings)
    command: CommandSettings = attrs.Factory(CommandSettings)
    message: str = "Your Waystation PIN is {pin}"
    """The text to be sent, for gateways that send text; {pin} stands for the PIN."""
    deliveries_waiting_max: int = 256
    """PINs that wait for the gateway; beyond it, whoever asks for one is told `overloaded`."""
    deliveries_at_once_max: int = 8

    pin_digits: int = 6
    pin_valid_s: int = 600
    pin_attempts_max: int = 5
    """Wrong guesses at one PIN; after them only another PIN helps, and the number is told when it may have one."""
    pin_requests_per_day: int = 5
    """PINs that a number gets in any 24 hours."""
    pin_wait_s: int = 60
    """How long a number waits for its second PIN; the wait grows by the factor with each further one."""
    pin_wait_factor: float = 2.0
    pin_wait_s_max: int = 3_600

    address_pins_burst: int = 30
    """PINs that one address (of IPv6: one /64) may ask for at once, for whichever numbers, and then one
    each …"""
    address_pins_every_s: int = 60
    address_guesses_burst: int = 30
    """Wrong PINs that one address may try at once, for whichever numbers, and then one each …"""
    address_guesses_every_s: int = 60
    address_logins_burst: int = 20
    """Failed logins that one address may make at once, and then one each …"""
    address_logins_every_s: int = 5
    number_logins_burst: int = 10
    """Failed logins of one number, from whichever address, and then one each … It holds up only addresses
    that failed themselves, so that nobody can lock another out."""
    number_logins_every_s: int = 30
    budgets_max: int = 16_384
    """Addresses or numbers that each of these four limits remembers, and numbers without a PIN that were guessed at;
    some 200 bytes each."""

    requests_waiting_max: int = 1_024
    """PIN requests and registrations that wait for the store; beyond it they are told `overloaded`."""
    wipes_waiting_max: int = 1_024
    """Registrations whose answer waits until the former device's mail is expired; beyond it they are answered
    at once, and their login is told to come again."""
    overloaded_retry_ms: int = 2_000
    sweep_interval_s: float = 5.0
    """How often PIN records that limit nothing any more are looked for …"""
    sweep_records: int = 200
    """… and how many are looked at each time."""

    def __attrs_post_init__(self) -> None:
        _check_ranges(
            "registration",
            self,
            ("deliveries_waiting_max", 1, 1_000_000),
            ("deliveries_at_once_max", 1, 1_000),
            ("pin_digits", PIN_SIZE_MIN, PIN_SIZE_MAX),
            ("pin_valid_s", 30, 86_400),
            ("pin_attempts_max", 1, 100),
            ("pin_requests_per_day", 1, 1_000),
            ("pin_wait_s", 1, 86_400),
            ("pin_wait_factor", 1, 100),
            ("pin_wait_s_max", self.pin_wait_s, 86_400),
            ("address_pins_burst", 1, 1_000_000),
            ("address_pins_every_s", 1, 86_400),
            ("address_guesses_burst", 1, 1_000_000),
            ("address_guesses_every_s", 1, 86_400),
            ("address_logins_burst", 1, 1_000_000),
            ("address_logins_every_s", 1, 86_400),
            ("number_logins_burst", 1, 1_000_000),
            ("number_logins_every_s", 1, 86_400),
            ("budgets_max", 16, 10_000_000),
            ("requests_waiting_max", 1, 1_000_000),
            ("wipes_waiting_max", 1, 1_000_000),
            ("overloaded_retry_ms", 1, 86_400_000),
            ("sweep_interval_s", 0.01, 86_400),
            ("sweep_records", 1, 100_000),
        )
        if "{pin}" not in self.message:
            raise ValueError("registration.message has no {pin}: put it where the PIN belongs")
        # a day's PINs and the one that is still valid when the day begins
        guesses = (self.pin_requests_per_day + 1) * self.pin_attempts_max
        if guesses * GUESSED_ONCE_IN > 10**self.pin_digits:
            raise ValueError(
                f"registration: {guesses} guesses a day at PINs of {self.pin_digits} digits are too many:"
                " raise pin_digits, or lower pin_requests_per_day or pin_attempts_max"
            )
        if self.gateway == "webhook" and not (self.webhook.url and self.webhook.secret_file):
            raise ValueError(
                'registration.gateway is "webhook": set url and secret_file under [registration.webhook]'
            )
        if self.gateway == "command" and not self.command.program:
            raise ValueError('registration.gateway is "command": set program under [registration.command]')

    def pin_rules(self) -> PinRules:
        return PinRules(
            valid_ms=self.pin_valid_s * 1_000,
            attempts_max=self.pin_attempts_max,
            requests_per_day=self.pin_requests_per_day,
            wait_ms=self.pin_wait_s * 1_000,
            wait_factor=self.pin_wait_factor,
            wait_ms_max=self.pin_wait_s_max * 1_000,
        )


def _check_ranges(section: str, settings: object, *ranges: tuple[str, float, float]) -> None:
    for name, low, high in ranges:
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ValueError(f"{section}.{name} is {value}: choose a value from {low} to {high}")
