"""The page on registration against the code it describes."""

import io
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from node.accounts.gateway import Delivery
from node.accounts.printing import PrintingGateway
from node.accounts.settings import AccountsSettings
from node.posting import signature_header

PAGE = (Path(__file__).parents[3] / "docs" / "registration.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_sample_for_receivers_verifies_what_the_webhook_signs() -> None:
    (sample,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(sample, "docs/registration.md", "exec"), names)
    is_from_waystation, now = names["is_from_waystation"], int(names["time"].time())
    secret, body = b"x" * 32, b'{"type": "pin"}'
    assert is_from_waystation(body, signature_header(secret, now, body), secret)
    assert not is_from_waystation(body + b" ", signature_header(secret, now, body), secret)
    assert not is_from_waystation(body, signature_header(b"y" * 32, now, body), secret)
    assert not is_from_waystation(body, signature_header(secret, now - 1_000, body), secret)


def test_every_sample_of_configuration_is_accepted_and_shows_the_defaults() -> None:
    defaults = msgspec.to_builtins(AccountsSettings())
    for sample in blocks("toml"):
        shown = tomllib.loads(sample)["registration"]
        msgspec.convert(shown, AccountsSettings)
        chosen = {"gateway", "url", "secret_file", "program"}
        for section, options in (
            ("", shown),
            *((name, shown.get(name, {})) for name in ("webhook", "command")),
        ):
            of = defaults[section] if section else defaults
            for option, value in options.items():
                if option not in chosen and not isinstance(value, dict):
                    assert of[option] == value, f"{section}.{option}"


def test_every_option_that_the_page_names_exists_and_every_limit_of_a_pin_is_named() -> None:
    defaults = msgspec.to_builtins(AccountsSettings())
    known = {*defaults, *defaults["webhook"], *defaults["command"]}
    table = [line for line in PAGE.splitlines() if line.startswith("| ")][2:]
    named = {option for line in table for option in re.findall(r"`([a-z]\w+)`", line.split("|")[3])}
    assert named <= known
    assert {option for option in defaults if option.startswith(("pin_", "address_", "number_"))} <= named


async def test_the_line_of_the_printing_gateway_is_as_shown(make_delivery: Callable[..., Delivery]) -> None:
    output = io.StringIO()
    await PrintingGateway(output).deliver(make_delivery(pin="271828"))
    assert output.getvalue() in PAGE
