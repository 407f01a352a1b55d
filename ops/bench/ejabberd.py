"""ejabberd as a process of its own, for comparison: configured, filled with accounts, measured, always stopped.

It gets what costs it least: no XMPP extension but offline storage, no traffic shaping, passwords that need no
hashing, Erlang schedulers that sleep when idle instead of spinning, no node distribution (so no epmd and no
cookie). It ends at the end of its input, so it can't outlive the benchmark. This module must never know what
load is coming.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ops.bench import process
from ops.bench.identities import XMPP_HOST, XMPP_PASSWORD
from ops.bench.node_process import free_ports

_READY_SECONDS_MAX: Final = 120.0
_STOP_SECONDS_MAX: Final = 20.0
_HELPERS_SECONDS_MAX: Final = 2.0
_POLL_SECONDS: Final = 0.02
_LIBRARIES: Final = (
    "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib/erlang/lib", "/usr/lib"
)  # fmt: skip

Profile = Literal["lean", "managed", "debian"]

_DEBIAN_MODULES: Final = (
    "adhoc announce avatar blocking caps carboncopy client_state configure disco last mqtt muc muc_admin pres_counter"
    " privacy private pubsub push push_keepalive roster s2s_dialback shared_roster sic stream_mgmt vcard vcard_xupdate"
    " version"
)
"""What the package's own configuration loads, but for mod_ping (it would send pings), mod_fail2ban, and what
serves other ports."""

_MODULES: Final[Mapping[Profile, str]] = MappingProxyType(
    {"lean": "", "managed": "stream_mgmt", "debian": _DEBIAN_MODULES}
)

_CONFIGURATION: Final = """\
loglevel: warning
hosts: ["{host}"]
certfiles: [{certificate}]
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    access: all
    shaper: none
    backlog: 1024
    max_stanza_size: 262144
    tls: {tls}
auth_method: [internal]
auth_password_format: plain
disable_sasl_mechanisms: [digest-md5, x-oauth2]
shaper_rules:
  max_user_offline_messages: infinity
modules:
  mod_offline:
    access_max_user_messages: max_user_offline_messages
{modules}"""

_PROGRAM: Final = """
{{ok, _}} = application:ensure_all_started(ejabberd),
ok = lists:foreach(
  fun(Index) ->
    Name = <<"u", (integer_to_binary(Index))/binary>>,
    ok = ejabberd_auth:try_register(Name, <<"{host}">>, <<"{password}">>)
  end, lists:seq(0, {users} - 1)),
file:write_file("{ready}", <<"ready">>),
io:get_line(""),
halt(0, [{{flush, false}}]).
"""

_EMULATOR: Final = ("+K", "true", "+P", "250000", "+Q", "65536", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")  # fmt: skip  # noqa: E501


class EjabberdMissingError(Exception):
    """ejabberd or Erlang isn't installed. The text says how to get it."""


class EjabberdStartError(Exception):
    """ejabberd ended or was not ready in time. The text has the end of its log."""


def find_ejabberd() -> tuple[str, Path, str]:
    """Erlang's command, the directory of ejabberd's library, and ejabberd's version.

    Raises:
        EjabberdMissingError: one of them isn't installed.
    """
    erlang = shutil.which("erl")
    for folder in map(Path, _LIBRARIES):
        found = sorted(path for path in folder.glob("ejabberd-*") if (path / "ebin/ejabberd.app").exists())
        if erlang and found:
            return erlang, folder, found[0].name.partition("-")[2]
    raise EjabberdMissingError(
        "the comparison needs ejabberd and Erlang from Debian's packages; install them with:\n"
        "  apt-get install --no-install-recommends ejabberd\n"
        "and stop the server that the package may have started: systemctl disable --now ejabberd"
    )


class EjabberdProcess:
    """One ejabberd in one directory, listening on 127.0.0.1. As a context manager it is ended at the end."""

    def __init__(self, popen: subprocess.Popen[bytes], directory: Path, port: int, version: str) -> None:
        self._popen = popen
        self.directory = directory
        self.port = port
        self.version = version

    @classmethod
    def start(cls, directory: Path, users: int, *, tls: bool = False, profile: Profile = "managed") -> Self:
        """Configure and start it, register `users` accounts, and wait until it listens.

        Raises:
            EjabberdMissingError: it isn't installed.
            EjabberdStartError: it ended or was not ready in time.
        """
        erlang, library, version = find_ejabberd()
        directory.mkdir(parents=True)
        (port,) = free_ports(1)
        certificate = directory / "certificate.pem"
        certificate.write_bytes(_self_signed())
        configuration, ready = directory / "ejabberd.yml", directory / "ready"
        configuration.write_text(
            _CONFIGURATION.format(
                host=XMPP_HOST,
                port=port,
                certificate=certificate,
                tls=str(tls).lower(),
                modules="".join(f"  mod_{name}: {{}}\n" for name in _MODULES[profile].split()),
            )
        )
        program = _PROGRAM.format(host=XMPP_HOST, password=XMPP_PASSWORD, users=users, ready=ready)
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "ERL_LIBS": str(library),
            "ERL_MAX_PORTS": "65536",
            "ERL_CRASH_DUMP": str(directory / "crash.dump"),
            "EJABBERD_CONFIG_PATH": str(configuration),
            "EJABBERD_LOG_PATH": str(directory / "ejabberd.log"),
        }
        arguments: list[Any] = [erlang, "-noshell", *_EMULATOR, "-mnesia", "dir", f'"{directory}/mnesia"']
        with (directory / "erlang.log").open("wb") as log:
            popen = subprocess.Popen(
                [*arguments, "-eval", " ".join(program.split("\n"))],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=directory,
                env=environment,
                start_new_session=True,  # Ctrl-C is the benchmark's to handle
            )
        server = cls(popen, directory, port, version)
        deadline = time.monotonic() + _READY_SECONDS_MAX
        try:
            while not ready.exists():
                if popen.poll() is not None:
                    raise EjabberdStartError(f"ejabberd ended\n{server.log_tail()}")
                if time.monotonic() > deadline:
                    raise EjabberdStartError(f"ejabberd was not ready in time\n{server.log_tail()}")
                time.sleep(_POLL_SECONDS)
        except BaseException:
            server.stop()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of beam.smp."""
        return self._popen.pid

    def log_tail(self) -> str:
        """The end of what ejabberd and Erlang said."""
        paths = [self.directory / name for name in ("ejabberd.log", "erlang.log")]
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in paths if path.exists())

    def cpu_seconds(self) -> float:
        """CPU time since the start of beam.smp and its children."""
        return process.family_cpu_seconds(self.pid)

    def rss_bytes(self) -> int:
        """Resident memory of beam.smp now."""
        return process.rss_bytes(self.pid)

    def memory(self) -> process.Memory:
        """Resident memory of beam.smp now, told apart by kind."""
        return process.memory(self.pid)

    def peak_rss_bytes(self) -> int:
        """The most resident memory of beam.smp since the start."""
        return process.peak_rss_bytes(self.pid)

    def io(self) -> process.Traffic:
        """Bytes read and written by beam.smp since the start."""
        return process.traffic(self.pid)

    def stop(self) -> None:
        """End it and what it has started; the data is thrown away anyway, so it needn't be gentle."""
        helpers = process.children(self.pid) if self._popen.poll() is None else []
        assert self._popen.stdin is not None
        with suppress(BrokenPipeError):
            self._popen.stdin.close()
        try:
            self._popen.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        _end_all(helpers)


def _end_all(pids: list[int]) -> None:
    """What beam.smp started ends with it; what hangs is killed."""
    deadline = time.monotonic() + _HELPERS_SECONDS_MAX
    while (left := [pid for pid in pids if process.runs(pid)]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _self_signed() -> bytes:
    """Key and certificate for the comparison over TLS: P-256, as a node makes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, XMPP_HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(XMPP_HOST)]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)
