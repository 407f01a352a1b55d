"""The configuration file: what it may say, what is said of mistakes, and that its page is complete and true."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs
import pytest

from node.accounts.errors import SecretRefused
from node.founding import Place
from node.hub.certificate import make_certificate
from ops.config import (
    SECTIONS,
    Config,
    ConfigError,
    make_config,
    node_settings,
    read_config,
    statistics_settings,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


# ---- the page ----------------------------------------------------------------------------------------------


@attrs.frozen
class Row:
    section: str
    key: str
    default: str
    unit: str
    range: str
    meaning: str

    @property
    def name(self) -> str:
        return f"{self.section}.{self.key}"


def rows() -> list[Row]:
    """The page's tables."""
    found = []
    section = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"#+ \[([a-z.]+)\]", line):
            section = heading[1]
        elif section and line.startswith("| `"):
            key, default, *rest = (cell.strip() for cell in line.strip("|").split("|"))
            found.append(Row(section, key.strip("`"), default.strip("`"), *rest))
    return found


ROWS = rows()


def classes() -> Iterator[tuple[str, Any]]:
    """Section → class, subsections too."""
    for name, cls in SECTIONS.items():
        yield name, cls
        for key, kind in get_type_hints(cls).items():
            if attrs.has(kind):
                yield f"{name}.{key}", kind


CLASSES = dict(classes())


def test_the_page_has_every_section_and_key_and_no_other() -> None:
    listed = [(row.section, row.key) for row in ROWS]
    assert len(listed) == len(set(listed))
    there = [(name, field.name) for name, cls in CLASSES.items() for field in attrs.fields(cls)]
    assert sorted(listed) == sorted(there)
    assert all(row.meaning for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_pages_defaults_are_true(row: Row) -> None:
    default = getattr(CLASSES[row.section](), row.key)
    if attrs.has(type(default)):
        assert row.default == ""
        return
    documented = tomllib.loads(f"x = {row.default}")["x"]
    assert type(documented) is (list if isinstance(default, tuple) else type(default))
    assert documented == (list(default) if isinstance(default, tuple) else default)


# The other keys that must move along where a range is tried to its ends.
COMPANIONS: dict[str, Any] = {
    "listen.port": {"plain_port": 1},
    "mail.window": lambda value: {"pair_share": min(32, value)},
    "mail.pair_share": {"window": 1_024},
    "mail.client_retry_days": lambda value: {"message_age_days": value + 1, "pair_retention_days": value + 2},
    "mail.pair_retention_days": {"client_retry_days": 1, "message_age_days": 2},
    "registration.pin_digits": {"pin_attempts_max": 1, "pin_requests_per_day": 1, "pin_digits": 6},
    "registration.pin_attempts_max": {"pin_digits": 12},
    "registration.pin_requests_per_day": {"pin_digits": 12},
    "registration.pin_wait_s": {"pin_wait_s_max": 86_400},
    "registration.pin_wait_s_max": {"pin_wait_s": 1},
    "registration.webhook.backoff_s": {"backoff_s_max": 600.0},
    "registration.webhook.backoff_s_max": {"backoff_s": 0.01},
    "statistics.webhook.backoff_s": {"backoff_s_max": 3_600.0},
    "statistics.webhook.backoff_s_max": {"backoff_s": 0.01},
    "cluster.ports_first": lambda value: {"ports_last": value and 65_535},
    "cluster.ports_last": lambda value: {"ports_first": value and 1},
    "routing.patience_ms": {"answer_ms_max": 600_000},
    "routing.answer_ms_max": {"patience_ms": 1},
    "limits.outbox_high_bytes": {"outbox_low_bytes": 1, "outbox_bytes_max": 1 << 30},
    "limits.outbox_low_bytes": {"outbox_high_bytes": 1 << 30, "outbox_bytes_max": 1 << 30},
    "limits.outbox_bytes_max": {"outbox_high_bytes": 1, "outbox_low_bytes": 1},
}
# Ends of a range that the relation to other keys keeps from being reached.
UNREACHED = {
    ("mail.client_retry_days", 3_650),
    ("mail.message_age_days", 1),
    ("mail.message_age_days", 3_650),
    ("mail.pair_retention_days", 1),
    ("registration.pin_digits", 4),
}


def ends(row: Row) -> tuple[float, float] | None:
    found = re.match(r"(-?[0-9.]+) … ([0-9.]+)", row.range)
    return (_number(found[1]), _number(found[2])) if found else None


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def make(row: Row, value: Any) -> Any:
    companions = COMPANIONS.get(row.name, {})
    if callable(companions):
        companions = companions(value)
    return CLASSES[row.section](**{**companions, row.key: value})


@pytest.mark.parametrize("row", [row for row in ROWS if ends(row)], ids=lambda row: row.name)
def test_the_pages_ranges_are_true(row: Row) -> None:
    low, high = ends(row) or (0, 0)
    for value in (low, high):
        if (row.name, value) not in UNREACHED:
            make(row, value)
    step = (
        1
        if isinstance(low, int) and not isinstance(getattr(CLASSES[row.section](), row.key), float)
        else 1e-6
    )
    for value in (low - step, high + (step if step == 1 else high / 100), float("nan")):
        with pytest.raises(ValueError, match=re.escape(row.key)):
            make(row, value)


def test_every_number_has_a_range() -> None:
    for row in ROWS:
        default = getattr(CLASSES[row.section](), row.key)
        if type(default) in (int, float):
            assert ends(row), row.name


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if get_origin(get_type_hints(CLASSES[row.section])[row.key]) is Literal],
    ids=lambda row: row.name,
)
def test_the_pages_choices_are_true(row: Row) -> None:
    choices = get_args(get_type_hints(CLASSES[row.section])[row.key])
    assert row.range == ", ".join(f'`"{choice}"`' for choice in choices)


def test_the_pages_example_is_a_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    config = make_config(tomllib.loads(example), tmp_path, "node.toml")
    assert config.data == Path("/var/lib/waystation")
    assert config.registration.gateway == "webhook"


def test_the_pages_message_is_the_real_one(tmp_path: Path) -> None:
    (message,) = re.findall(r"^waystation: (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    with pytest.raises(ConfigError) as caught:
        make_config({"mail": {"windw": 1}}, tmp_path, "node.toml")
    assert str(caught.value) == message


# ---- what is taken -----------------------------------------------------------------------------------------


def test_an_empty_file_and_no_file_mean_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("")
    assert read_config(tmp_path / "node.toml") == Config(base=tmp_path)
    assert read_config(None) == Config(base=Path.cwd())


def test_every_section_reaches_the_node(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("s" * 32)
    tables = {
        "node": {"data": "d", "stop_grace_s": 3},
        "listen": {"port": 0, "plain_port": 7000, "host": "::1", "backlog": 7},
        "limits": {"connections_max": 5},
        "session": {"agent": "me"},
        "mail": {"window": 40},
        "registration": {"gateway": "webhook", "webhook": {"url": "https://a.b/", "secret_file": "s"}},
        "store": {"linger_ms": 1},
        "cluster": {"listen": "127.0.0.1:7500", "server": "s1", "weight": 50, "moves_per_s": 2.0},
        "routing": {"retry_ms": 7},
    }
    settings = node_settings(make_config(tables, tmp_path, "node.toml"))
    assert settings.data == tmp_path / "d"
    assert settings.stop_grace_s == 3
    assert [(one.name, one.host, one.port, one.tls, one.backlog) for one in settings.listeners] == [
        ("plain", "::1", 7000, None, 7)
    ]
    assert settings.hub.connections_max == 5
    assert settings.session.agent == "me"
    assert settings.mail.window == 40
    assert settings.accounts.webhook.secret_file == str(tmp_path / "s"), "found from where the file is"
    assert settings.accounts.webhook.ca_file == ""
    assert settings.store.linger_ms == 1
    member = settings.member
    assert member is not None
    assert member.place == Place(address="127.0.0.1:7500", server="s1", weight=50)
    assert member.cluster.membership.moves_per_s == 2
    assert str(member.cluster.links.listen) == "127.0.0.1:7500"
    assert member.routing.retry_ms == 7


def test_a_certificate_is_made_once_and_used_again(tmp_path: Path) -> None:
    config = make_config({"listen": {"own_port": 7444, "shared": True}}, tmp_path, "node.toml")
    first, again = node_settings(config), node_settings(config)
    assert [one.name for one in first.listeners] == ["public", "own"]
    assert [one.reuse_port for one in first.listeners] == [True, False], "its own port is its own"
    assert {one.tls.certificate_sha256 for one in (*first.listeners, *again.listeners) if one.tls} == {
        first.listeners[0].tls and first.listeners[0].tls.certificate_sha256
    }
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_named_certificate_is_used_and_none_is_made(tmp_path: Path) -> None:
    make_certificate(tmp_path / "c.pem", tmp_path / "k.pem")
    config = make_config({"listen": {"certificate": "c.pem", "key": "k.pem"}}, tmp_path, "node.toml")
    assert node_settings(config).listeners[0].tls is not None
    assert list((tmp_path / "data").iterdir()) == []


# ---- mistakes ----------------------------------------------------------------------------------------------

MISTAKES = {
    "[nod]\ndata = 'x'": "node.toml: there is no section [nod]; did you mean 'node'?",
    "[zebra]": "node.toml: there is no section [zebra]; known are node, listen, limits, session, mail,"
    " registration, store, cluster, routing, admin, statistics, shadow",
    "node = 3": "node.toml: node must be a section: write [node] and its keys below it",
    "[mail]\nwindw = 1": "node.toml: [mail] has no key 'windw'; did you mean 'window'?",
    "[registration.webhook]\ntriesmax = 1": "node.toml: [registration.webhook] has no key 'triesmax'; did you mean"
    " 'tries_max'?",
    "[mail]\nwindow = '8'": "node.toml: mail.window must be a whole number, not text in quotes",
    "[mail]\nwindow = true": "node.toml: mail.window must be a whole number, not true or false",
    "[mail]\nwindow = 8.0": "node.toml: mail.window must be a whole number, not one with a point",
    "[mail]\nsend_rate = 'fast'": "node.toml: mail.send_rate must be a number, not text in quotes",
    "[mail]\nsync_first = 1": "node.toml: mail.sync_first must be true or false, not a whole number",
    "[listen]\nhost = 1": "node.toml: listen.host must be text in quotes, not a whole number",
    "[listen]\nport = 2026-01-01": "node.toml: listen.port must be a whole number, not a date",
    "[listen]\nnames = 'a'": "node.toml: listen.names must be a list, not text in quotes",
    "[listen]\nnames = ['a', 3]": "node.toml: listen.names[1] must be text in quotes, not a whole number",
    "[registration]\nwebhook = 3": "node.toml: registration.webhook must be a section of keys, not a whole number",
    "[node]\nlog = 'loud'": 'node.toml: node.log must be one of "debug", "info", "warning", "error"',
    "[registration]\ngateway = 'sms'": 'node.toml: registration.gateway must be one of "log", "webhook", "command"',
    "[mail]\nwindow = 0": "node.toml: mail.window is 0: choose a value from 1 to 1024",
    "[mail]\nsend_rate = nan": "node.toml: mail.send_rate is nan: choose a value from 0.001 to 1000000",
    "[limits]\nread_bytes_max = 5": "node.toml: limits.read_bytes_max is 5: choose a value from 16384 to 16777216",
    "[limits]\noutbox_high_bytes = 5": "node.toml: limits: outbox_low_bytes <= outbox_high_bytes <= outbox_bytes_max"
    " must hold: set all three",
    "[session]\nlogin_s = 256": "node.toml: session.login_s is 256: choose a value from 1 to 255",
    "[session]\nagent = 'é" + "é" * 32 + "'": "node.toml: session.agent is longer than 64 bytes: shorten it",
    "[store]\nmap_bytes = 1048577": "node.toml: store.map_bytes is 1048577: choose a multiple of 4096, such as"
    " 1048576",
    "[store]\nreaders = 0": "node.toml: store.readers is 0: choose a value from 1 to 100000",
    "[registration.webhook]\ntries_max = 0": "node.toml: registration.webhook.tries_max is 0: choose a value from 1"
    " to 20",
    "[registration]\ngateway = 'webhook'": 'node.toml: registration.gateway is "webhook": set url and secret_file'
    " under [registration.webhook]",
    "[listen]\nport = 0": "node.toml: [listen] has no port: set port, own_port or plain_port",
    "[listen]\nport = 65536": "node.toml: listen.port is 65536: choose a value from 0 to 65535",
    "[listen]\nplain_port = 7443": "node.toml: [listen] has a port twice: port, own_port and plain_port must differ",
    "[listen]\nhost = ''": "node.toml: listen.host is empty: name an address, 0.0.0.0 for all",
    "[listen]\nnames = []": "node.toml: listen.names is empty, or one of them is: name this server's hosts or"
    " addresses",
    "[listen]\ncertificate = 'c.pem'": "node.toml: [listen] certificate and key belong together: set both, or neither",
    "[listen]\nkey = 'k.pem'": "node.toml: [listen] certificate and key belong together: set both, or neither",
    "[node]\ndata = ''": "node.toml: node.data is empty: name a directory",
    "[node]\nstop_grace_s = -1": "node.toml: node.stop_grace_s is -1.0: choose a value from 0 to 3600",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_names_the_key_and_what_to_write(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(tomllib.loads(text), tmp_path, "node.toml")
    assert str(caught.value) == MISTAKES[text]


def test_a_file_that_is_not_there_or_not_toml_or_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    with pytest.raises(
        ConfigError, match=r"node\.toml can't be read: No such file or directory; name another"
    ):
        read_config(path)
    with pytest.raises(ConfigError, match="can't be read: Is a directory; name another"):
        read_config(tmp_path)
    path.write_bytes(b"[mail]\nwindow = \n")
    with pytest.raises(ConfigError, match=r"node\.toml is not TOML: .*line 2"):
        read_config(path)
    path.write_bytes(b"[mail]\xff")
    with pytest.raises(ConfigError, match=r"node\.toml is not UTF-8 text: save it as such"):
        read_config(path)


def _refused(tables: dict[str, Any], folder: Path) -> str:
    before = sorted(folder.rglob("*"))
    with pytest.raises(ConfigError) as caught:
        node_settings(make_config(tables, folder, "node.toml"))
    assert sorted(folder.rglob("*")) == before, "something was made"
    return str(caught.value)


def test_files_of_a_certificate_that_cannot_be_used_are_named_and_nothing_is_made(tmp_path: Path) -> None:
    make_certificate(tmp_path / "c.pem", tmp_path / "k.pem")
    make_certificate(tmp_path / "other-c.pem", tmp_path / "other-k.pem")
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "binary.pem").write_bytes(bytes(range(256)))

    def refused(certificate: str, key: str) -> str:
        return _refused({"listen": {"certificate": certificate, "key": key}}, tmp_path)

    assert refused("no.pem", "k.pem") == (
        f"listen.certificate names {tmp_path}/no.pem, which is not there: correct the path, or leave out"
        " certificate and key to have them made"
    )
    assert refused("c.pem", "no.pem").startswith(f"listen.key names {tmp_path}/no.pem, which is not there")
    for certificate, key in (
        ("c.pem", "other-k.pem"), ("empty.pem", "k.pem"), ("c.pem", "empty.pem"), ("binary.pem", "k.pem"),
        ("k.pem", "c.pem"),
    ):  # fmt: skip
        text = refused(certificate, key)
        assert text.startswith(f"{tmp_path}/{certificate} and {tmp_path}/{key} can't be used: ")
        assert text.endswith("; they must be PEM files of a certificate and of its key without a passphrase")


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form

    make_certificate(tmp_path / "c.pem", tmp_path / "k.pem")
    key = form.load_pem_private_key((tmp_path / "k.pem").read_bytes(), None)
    locked = form.BestAvailableEncryption(b"passphrase")
    (tmp_path / "k.pem").write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked))
    text = _refused({"listen": {"certificate": "c.pem", "key": "k.pem"}}, tmp_path)
    assert "can't be used: the key has a passphrase; " in text


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text = _refused({"node": {"data": "file/data"}}, tmp_path)
    assert text == (
        f"the data directory {tmp_path}/file/data can't be made: Not a directory; set node.data to another one"
    )
    text = _refused({"node": {"data": "file"}}, tmp_path)
    assert (
        text == f"the data directory {tmp_path}/file can't be made: File exists; set node.data to another one"
    )


def test_half_a_certificate_in_the_data_directory_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "key.pem").write_text("precious")
    text = _refused({}, tmp_path)
    assert "key.pem exists; remove certificate and key together to make new ones" in text
    assert (tmp_path / "data" / "key.pem").read_text() == "precious"


@pytest.mark.parametrize("wrong", ["certificate", "key"])
def test_a_file_that_is_not_pem_is_named(tmp_path: Path, wrong: str) -> None:
    make_certificate(tmp_path / "c.pem", tmp_path / "k.pem")
    path = tmp_path / ("c.pem" if wrong == "certificate" else "k.pem")
    path.write_text("no such thing")
    config = make_config({"listen": {"certificate": "c.pem", "key": "k.pem"}}, tmp_path, "node.toml")
    with pytest.raises(
        ConfigError, match=f"can't be used: there is no .*{wrong} in {re.escape(str(path))}; "
    ):
        node_settings(config)
    assert not config.data.exists()


def test_files_of_the_alarms_webhook_are_found_from_where_the_configuration_is(tmp_path: Path) -> None:
    webhook = {"url": "https://a.b/", "secret_file": "s", "ca_file": "/c"}
    config = make_config({"statistics": {"webhook": webhook, "alarms": {"lag_s": 3}}}, tmp_path, "node.toml")
    settings = statistics_settings(config)
    assert (settings.webhook.secret_file, settings.webhook.ca_file) == (str(tmp_path / "s"), "/c")
    assert settings.alarms.lag_s == 3
    assert statistics_settings(Config(base=tmp_path)).webhook.secret_file == ""


def test_a_webhook_without_its_secret_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    webhook = {"gateway": "webhook", "webhook": {"url": "https://a.b/", "secret_file": "s"}}
    config = make_config({"registration": webhook}, tmp_path, "node.toml")
    with pytest.raises(SecretRefused, match="can't be read"):
        node_settings(config)
    assert list(tmp_path.iterdir()) == []
