"""The configuration file: TOML, every key optional, every mistake named with its place and its remedy.

The settings' classes belong to the parts that they limit; here they are only filled. See docs/configuration.md, which
a test keeps complete.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import attrs
import msgspec

from node.accounts.settings import AccountsSettings
from node.hub.certificate import make_certificate
from node.hub.settings import HubSettings, ListenerSettings
from node.hub.tls import load_tls
from node.mail.settings import MailSettings
from node.running import NodeSettings
from node.settings import SessionSettings
from store.directory import make_directory
from store.limits import StoreSettings

T = TypeVar("T")


class ConfigError(Exception):
    """The configuration can't be used; the text says where, why, and what to write instead."""


@attrs.frozen(kw_only=True)
class NodeSection:
    """[node]"""

    data: str = "data"
    """The data directory; relative to the configuration file. Made at the first start."""
    stop_grace_s: float = 10.0
    """How long phones have, at a stop, to take their last frames."""
    log: str = "info"
    """debug, info, warning or error."""


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

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.base / self.node.data


SECTIONS: dict[str, type[Any]] = {
    "node": NodeSection,
    "listen": ListenSection,
    "limits": HubSettings,
    "session": SessionSettings,
    "mail": MailSettings,
    "registration": AccountsSettings,
    "store": StoreSettings,
}


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
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
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
        text = str(error).replace("`", "").replace(" - at $.", f" - at {where}.")
        raise ConfigError(f"{source}: [{where}] {text}") from None
    except (ValueError, AssertionError) as error:
        raise ConfigError(f"{source}: {error}") from None


def _refuse_unknown(cls: Any, table: dict[str, Any], where: str, source: str) -> None:
    fields = {field.name: field for field in attrs.fields(cls)}
    for key, value in table.items():
        if key not in fields:
            raise ConfigError(f"{source}: [{where}] has no key {key!r}{_suggest(key, fields)}")
        kind = fields[key].type
        if isinstance(value, dict) and isinstance(kind, type) and attrs.has(kind):
            _refuse_unknown(kind, value, f"{where}.{key}", source)


def _suggest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def node_settings(config: Config) -> NodeSettings:
    """What the node is told. Makes the data directory and, if none is named, a certificate in it.

    Raises:
        ConfigError
    """
    listen = config.listen
    if not (listen.port or listen.own_port or listen.plain_port):
        raise ConfigError("[listen] has no port: set port, own_port or plain_port")
    if bool(listen.certificate) != bool(listen.key):
        raise ConfigError("[listen] certificate and key belong together: set both, or neither")
    for name in ("port", "own_port", "plain_port"):
        if not 0 <= getattr(listen, name) <= 65_535:
            raise ConfigError(f"[listen] {name} is {getattr(listen, name)}: choose 1 to 65535, or 0 for none")
    try:
        make_directory(config.data)
    except OSError as error:
        raise ConfigError(
            f"the data directory {config.data} can't be made: {error.strerror}; set node.data"
        ) from None
    listeners = []
    if listen.port or listen.own_port:
        tls = load_tls(*_certificate(config))
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
        accounts=config.registration,
        store=config.store,
    )


def _certificate(config: Config) -> tuple[Path, Path]:
    listen = config.listen
    if listen.certificate:
        certificate, key = config.base / listen.certificate, config.base / listen.key
        for path in (certificate, key):
            if not path.is_file():
                raise ConfigError(f"[listen] names {path}, which is not there")
        return certificate, key
    certificate, key = config.data / "certificate.pem", config.data / "key.pem"
    if certificate.is_file() and key.is_file():
        return certificate, key
    try:
        make_certificate(certificate, key, listen.names)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no certificate can be made in {config.data}: {error}") from None
    return certificate, key
