import pytest

from node.accounts.settings import AccountsSettings, CommandSettings, WebhookSettings

WEBHOOK = WebhookSettings(url="https://sms.example/pin", secret_file="/etc/waystation/webhook.secret")


def test_the_defaults_are_usable() -> None:
    settings = AccountsSettings()
    assert settings.gateway == "log"
    assert settings.pin_rules().wait_after(1) == 60_000


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pin_digits": 4}, "pin_digits"),
        ({"pin_requests_per_day": 1_000}, "pin_requests_per_day"),
        ({"pin_attempts_max": 0}, "pin_attempts_max"),
        ({"pin_valid_s": 86_401}, "pin_valid_s"),
        ({"pin_wait_s": 100, "pin_wait_s_max": 99}, "pin_wait_s_max"),
        ({"budgets_max": 1}, "budgets_max"),
        ({"message": "your PIN"}, "{pin}"),
        ({"gateway": "webhook"}, "secret_file"),
        ({"gateway": "command"}, "program"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match="registration") as refused:
        AccountsSettings(**change)  # type: ignore[arg-type]
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://sms.example/pin", "ftp://sms.example", "sms.example/pin", "https://"]
)
def test_pins_do_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(ValueError, match=r"registration\.webhook\.url"):
        WebhookSettings(url=url)


@pytest.mark.parametrize("url", ["https://sms.example/pin", "http://127.0.0.1:8080/", "http://localhost/x"])
def test_this_machine_needs_no_tls(url: str) -> None:
    assert WebhookSettings(url=url).url == url


def test_a_program_is_named_by_its_whole_path() -> None:
    with pytest.raises(ValueError, match="absolute"):
        CommandSettings(program=("send-sms",))


def test_each_gateway_can_be_configured() -> None:
    AccountsSettings(gateway="webhook", webhook=WEBHOOK)
    AccountsSettings(gateway="command", command=CommandSettings(program=("/usr/local/bin/send-sms",)))
