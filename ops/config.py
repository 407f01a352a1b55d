"""The configuration file: TOML, every key optional, every mistake named with its place and its remedy.

The settings' classes belong to the parts that they limit; here they are only filled. See docs/configuration.md, which
a test keeps complete.
"""

import difflib
import re
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, get_args, get_type_hints

import attrs
import msgspec

from admin.channel.settings import AdminSettings
from admin.statistics.settings import AlarmWebhookSettings, StatisticsSettings
from admin.tee.settings import ShadowSettings
from node.accounts.gateways import read_secret
from node.accounts.settings import AccountsSettings
from node.hub.certificate import make_certificate
from node.hub.settings import HubSettings, ListenerSettings
from node.hub.tls import ServerTls, load_tls
from node.mail.settings import MailSettings
from node.routing.settings import RoutingSettings
from node.running import NodeSettings
from node.settings import SessionSettings
from ops.clustering import ClusterSection, member_settings
from store.directory import make_directory
from store.limits import StoreSettings

T = TypeVar("T")

CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
"""What the node makes in its data directory when no others are named."""


class ConfigError(Exception):
    """The configuration can't be used; the text says where, why, and what to write instead."""


@attrs.frozen(kw_only=True)
class NodeSection:
    """[node]"""

    data: str = "data"
    """The data directory; relative to the configuration file. Made at the first start."""
    stop_grace_s: float = 10.0
    """How long phones have, at a stop, to take their last frames."""
    log: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""

    def __attrs_post_init__(self) -> None:
        if not self.data:
            raise ValueError("node.data is empty: name a directory")
        if not 0 <= self.stop_grace_s <= 3_600:
            raise ValueError(f"node.stop_grace_s is {self.stop_grace_s}: choose a value from 0 to 3600")


@attrs.frozen(kw_only=True)
class ListenSection:
    """[listen]"""

    host: str = "127.0.0.1"
    """The address that the ports below are on; 0.0.0.0 or :: for all."""
    port: int = 7443
    """The public port, TLS. 0: none."""
    shared: bool = False
    """Whether several nodes of this server accept on the public port (SO_REUSEPORT); all of them must say so, and have
    the same certificate."""
    own_port: int = 0
    """A port of this node alone, TLS. 0: none."""
    plain_port: int = 0
    """A port without TLS, for load balancers that end TLS, and for measurements. 0: none."""
    certificate: str = ""
    """PEM file. Without it, a self-signed one is made in the data directory."""
    key: str = ""
    """PEM file of its private key."""
    names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """Host names and addresses in the certificate that is made."""
    backlog: int = 1_024
    """Connections that the kernel holds until the node takes them."""

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("port", 0, 65_535),
            ("own_port", 0, 65_535),
            ("plain_port", 0, 65_535),
            ("backlog", 1, 65_535),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"listen.{name} is {value}: choose a value from {low} to {high}")
        ports = [port for port in (self.port, self.own_port, self.plain_port) if port]
        if not ports:
            raise ValueError("[listen] has no port: set port, own_port or plain_port")
        if len(set(ports)) < len(ports):
            raise ValueError("[listen] has a port twice: port, own_port and plain_port must differ")
        if not self.host:
            raise ValueError("listen.host is empty: name an address, 0.0.0.0 for all")
        if bool(self.certificate) != bool(self.key):
            raise ValueError("[listen] certificate and key belong together: set both, or neither")
        if not self.names or not all(self.names):
            raise ValueError(
                "listen.names is empty, or one of them is: name this server's hosts or addresses"
            )


@attrs.frozen(kw_only=True)
class Config:
    """The whole file. `base`: where relative paths begin."""

    base: Path
    node: NodeSection = attrs.Factory(NodeSection)
    listen: ListenSection = attrs.Factory(ListenSection)
    limits: HubSettings = attrs.Factory(HubSettings)
    session: SessionSettings = attrs.Factory(SessionSettings)
    mail: MailSettings = attrs.Factory(MailSettings)
    registration: AccountsSettings = attrs.Factory(AccountsSettings)
    store: StoreSettings = attrs.Factory(StoreSettings)
    cluster: ClusterSection = attrs.Factory(ClusterSection)
    routing: RoutingSettings = attrs.Factory(RoutingSettings)
    admin: AdminSettings = attrs.Factory(AdminSettings)
    statistics: StatisticsSettings = attrs.Factory(StatisticsSettings)
    shadow: ShadowSettings = attrs.Factory(ShadowSettings)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.base / self.node.data


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "node": NodeSection,
        "listen": ListenSection,
        "limits": HubSettings,
        "session": SessionSettings,
        "mail": MailSettings,
        "registration": AccountsSettings,
        "store": StoreSettings,
        "cluster": ClusterSection,
        "routing": RoutingSettings,
        "admin": AdminSettings,
        "statistics": StatisticsSettings,
        "shadow": ShadowSettings,
    }
)


def read_config(path: Path | None) -> Config:
    """The configuration in a file; without one, the defaults, with paths relative to the working directory.

    Raises:
        ConfigError
    """
    if path is None:
        return Config(base=Path.cwd())
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror}; name another file with --config"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: save it as such") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}; see https://toml.io") from None
    return make_config(tables, path.absolute().parent, str(path))


def make_config(tables: dict[str, Any], base: Path, source: str) -> Config:
    """The configuration in parsed TOML. Raises ConfigError."""
    sections = {}
    for name, table in tables.items():
        if name not in SECTIONS:
            raise ConfigError(f"{source}: there is no section [{name}]{_suggest(name, SECTIONS)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{source}: {name} must be a section: write [{name}] and its keys below it")
        sections[name] = _fill(SECTIONS[name], table, name, source)
    return Config(base=base, **sections)


def _fill(cls: type[T], table: dict[str, Any], where: str, source: str) -> T:
    _refuse_unknown(cls, table, where, source)
    try:
        return msgspec.convert(table, cls)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        place = where + place.rstrip("`")
        if found := _MISFIT.fullmatch(text):
            wanted, got = found.groups()
            given = "one with a point" if (wanted, got) == ("int", "float") else _WORDS.get(got, got)
            raise ConfigError(
                f"{source}: {place} must be {_WORDS.get(wanted, wanted)}, not {given}"
            ) from None
        if text.startswith("Invalid enum value"):
            choices = ", ".join(f'"{choice}"' for choice in _choices(cls, place.split(".")[1:]))
            raise ConfigError(f"{source}: {place} must be one of {choices}") from None
        raise ConfigError(f"{source}: {text}") from None  # the settings' own words, which name the key


_MISFIT: Final = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_WORDS: Final = MappingProxyType(
    {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "str": "text in quotes",
        "array": "a list",
        "object": "a section of keys",
        "date": "a date",
        "time": "a time",
        "datetime": "a date and time",
    }
)


def _choices(cls: type[Any], path: list[str]) -> tuple[str, ...]:
    kind: Any = cls
    for name in path:
        kind = get_type_hints(kind)[name]
    return get_args(kind)


def _refuse_unknown(cls: type[Any], table: dict[str, Any], where: str, source: str) -> None:
    kinds = get_type_hints(cls)
    names = [field.name for field in attrs.fields(cls)]
    for key, value in table.items():
        if key not in names:
            raise ConfigError(f"{source}: [{where}] has no key {key!r}{_suggest(key, names)}")
        if isinstance(value, dict) and attrs.has(kinds[key]):
            _refuse_unknown(kinds[key], value, f"{where}.{key}", source)


def _suggest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def node_settings(config: Config) -> NodeSettings:
    """What the node is told. Makes the data directory and, if none is named, a certificate in it.

    Raises:
        ConfigError, SecretRefused: nothing was made, unless it is the certificate that can't be made.
    """
    if config.shadow.enabled:
        return _shadow_settings(config)
    listen = config.listen
    accounts = _from(config.base, config.registration)
    if accounts.gateway == "webhook":
        # The node reads it anew; here it is only refused in time.
        read_secret(Path(accounts.webhook.secret_file))
    named = _named_certificate(config)
    tls = _load(*named) if named is not None else None
    try:
        make_directory(config.data)
    except OSError as error:
        raise ConfigError(
            f"the data directory {config.data} can't be made: {error.strerror}; set node.data to another one"
        ) from None
    if tls is None and (listen.port or listen.own_port):
        tls = _load(*_own_certificate(config))
    listeners = []
    if listen.port:
        listeners.append(
            ListenerSettings(
                listen.host,
                listen.port,
                tls,
                reuse_port=listen.shared,
                name="public",
                backlog=listen.backlog,
            )
        )
    if listen.own_port:
        listeners.append(
            ListenerSettings(listen.host, listen.own_port, tls, name="own", backlog=listen.backlog)
        )
    if listen.plain_port:
        listeners.append(
            ListenerSettings(listen.host, listen.plain_port, None, name="plain", backlog=listen.backlog)
        )
    return NodeSettings(
        data=config.data,
        listeners=tuple(listeners),
        stop_grace_s=config.node.stop_grace_s,
        hub=config.limits,
        session=config.session,
        mail=config.mail,
        accounts=accounts,
        store=config.store,
        member=member_settings(config.cluster, config.routing, config.data),
    )


def _shadow_settings(config: Config) -> NodeSettings:
    """Without listeners, and without what would let it reach anybody."""
    try:
        make_directory(config.data)
    except OSError as error:
        raise ConfigError(
            f"the data directory {config.data} can't be made: {error.strerror}; set node.data to another one"
        ) from None
    return NodeSettings(
        data=config.data,
        listeners=(),
        stop_grace_s=config.node.stop_grace_s,
        hub=config.limits,
        session=config.session,
        mail=config.mail,
        accounts=AccountsSettings(open=False, numbers=config.registration.numbers),
        store=config.store,
        shadow=True,
    )


S = TypeVar("S", AccountsSettings, StatisticsSettings)


def _from(base: Path, settings: S) -> S:
    """With the files of its webhook found from where the configuration is."""

    def found(name: str) -> str:
        return str(base / name) if name else ""

    webhook: Any = settings.webhook
    webhook = attrs.evolve(webhook, secret_file=found(webhook.secret_file), ca_file=found(webhook.ca_file))
    return attrs.evolve(settings, webhook=webhook)


def statistics_settings(config: Config) -> StatisticsSettings:
    """What the sampler beside the node is told. A shadow calls nobody."""
    settings = _from(config.base, config.statistics)
    return attrs.evolve(settings, webhook=AlarmWebhookSettings()) if config.shadow.enabled else settings


def _named_certificate(config: Config) -> tuple[Path, Path] | None:
    listen = config.listen
    if not listen.certificate:
        return None
    for name in ("certificate", "key"):
        path = config.base / getattr(listen, name)
        if not path.is_file():
            raise ConfigError(
                f"listen.{name} names {path}, which is not there: correct the path, or leave out certificate and"
                " key to have them made"
            )
    return config.base / listen.certificate, config.base / listen.key


def _own_certificate(config: Config) -> tuple[Path, Path]:
    certificate, key = config.data / CERTIFICATE, config.data / KEY
    if not (certificate.is_file() and key.is_file()):
        try:
            make_certificate(certificate, key, config.listen.names)
        except (OSError, ValueError) as error:
            raise ConfigError(f"no certificate can be made in {config.data}: {error}") from None
    return certificate, key


def _not_pem(certificate: Path, key: Path) -> str:
    if b"-----BEGIN CERTIFICATE-----" not in certificate.read_bytes():
        return f"there is no certificate in {certificate}"
    if b" KEY-----" not in key.read_bytes():
        return f"there is no private key in {key}"
    return "one of them is damaged"


def _load(certificate: Path, key: Path) -> ServerTls:
    try:
        return load_tls(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        # OpenSSL gives no reason for a file that isn't PEM, or not of the right thing.
        why = (
            error.strerror
            if not isinstance(error, ssl.SSLError)
            else error.reason or _not_pem(certificate, key)
        )
    except ValueError as error:
        why = str(error)
    raise ConfigError(
        f"{certificate} and {key} can't be used: {why}; they must be PEM files of a certificate and of its key"
        " without a passphrase"
    )
