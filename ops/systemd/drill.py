"""`waystation drill systemd`: the service under a real systemd, as PID 1 of a machine within the machine.

What docs/systemd.md says is done and looked at: installed as it is printed, started, confined, restarted, upgraded,
stuck, stopped, started by its socket. Each step finds faults as text. This module must never touch the machine's own
systemd.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from node.wire import verbs
from ops.faults.raw import RawPhone
from ops.faults.unavailable import UnavailableError
from ops.systemd.apart import Apart, CommandFailed

Name = Literal["start", "confined", "journal", "commands", "restart", "reload", "stuck", "stop", "socket"]
NAMES: Final[tuple[Name, ...]] = (
    "start", "confined", "journal", "commands", "restart", "reload", "stuck", "stop", "socket",
)  # fmt: skip
PORT: Final = 7444
LOW_PORT: Final = 443
WATCHDOG_S: Final = 10
"""Instead of 30 s, so that a drill is short."""
BACKUPS: Final = "/mnt/backups"
WAIT_S_MAX: Final = 90.0
_POLL_S: Final = 0.1
A, B = "waystation@a.service", "waystation@b.service"
ADMIN: Final = ("waystation", "admin", "/var/lib/waystation/a")
CONFIG: Final = """[listen]
port = {public}
plain_port = {plain}

[session]
hello_s = 250
login_s = 250
"""


class Drill:
    """On a systemd that is up. Steps are called in order; each gives what was wrong."""

    def __init__(self, apart: Apart) -> None:
        self._apart = apart

    def install(self) -> None:
        """As `install-service` says.

        Raises:
            CommandFailed
        """
        for words in (("run",), ("admin",)):
            self._apart.run("waystation", *words, "--help")  # compiles, which the service's user may not
        told = json.loads(self._apart.run("waystation", "install-service", "--json"))
        self._write(
            "/etc/systemd/system/waystation@.service.d/drill.conf",
            f"[Service]\nWatchdogSec={WATCHDOG_S}\nReadWritePaths={BACKUPS}\n",
        )
        for step in told["next"]:
            if not step.startswith(("editor", "systemctl enable", "systemctl status")):
                self._apart.run(*step.split())
        self._apart.run("install", "-d", "-o", "waystation", BACKUPS)
        self._write("/etc/waystation/a.toml", CONFIG.format(public=7443, plain=PORT))

    def start(self) -> list[str]:
        self._apart.run("systemctl", "enable", "--now", "waystation.target", A)
        shown = self._shown()
        status = self._until(
            lambda: self._shown()["StatusText"], lambda text: text.startswith("serving 0 sessions")
        )
        return [
            *_differs("ActiveState", shown["ActiveState"], "active"),
            *_differs("kept sockets", shown["NFileDescriptorStore"], "2"),
            *([] if status else ["no STATUS= came"]),
            *(
                []
                if self._apart.run(*ADMIN, "ping", check=False)
                else ["it said READY=1 before it can be asked"]
            ),
        ]

    def confined(self) -> list[str]:
        """That it runs shows that it may do all it needs; here: what it may not."""
        pid = self._shown()["MainPID"]
        text = self._apart.run("cat", f"/proc/{pid}/status")
        status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        owner = self._apart.run("stat", "-c", "%U %a", "/var/lib/waystation/a")
        inside = ("nsenter", "-t", pid, "-m", "--")
        found = [
            *_differs("NoNewPrivs", status["NoNewPrivs"], "1"),
            *_differs("Seccomp", status["Seccomp"], "2"),
            *_differs("CapBnd", status["CapBnd"].strip("0"), ""),
            *_differs("the data directory", owner, "waystation 700"),
        ]
        places = "for one in /usr /etc /opt /var/lib; do touch $one/written 2>/dev/null && echo $one; done"
        written = self._apart.run(*inside, "sh", "-c", places, check=False)
        found += [f"{place} can be written" for place in written.split()]
        if self._apart.run(*inside, "sh", "-c", "ls /root /home | grep -v :", check=False):
            found.append("home directories are seen")
        return found

    def journal(self) -> list[str]:
        lines = [
            json.loads(one)
            for one in self._apart.run("journalctl", "--no-pager", "-o", "json", "-u", A).splitlines()
        ]
        own = [one for one in lines if one.get("_SYSTEMD_UNIT") == A]
        ready = [one for one in own if "event=ready" in str(one["MESSAGE"])]
        return [
            *_differs("lines that say ready", len(ready), 1),
            *_differs("their priority", [one["PRIORITY"] for one in ready], ["6"]),
            *[
                f"a line begins with its level: {one['MESSAGE']}"
                for one in own
                if str(one["MESSAGE"])[:1] == "<"
            ],
        ]

    def commands(self) -> list[str]:
        """What an operator's commands do in a node needs no more than the unit gives."""
        found = []
        asked = (
            ("reload", "plan"),
            ("profile", "--seconds", "1s"),
            ("snapshot",),
            ("heap", "objects"),
            ("backup", BACKUPS),
            ("stats", "systemd"),
        )
        for words in asked:
            try:
                self._apart.run(*ADMIN, *words, "--json")
            except CommandFailed as failed:
                found.append(str(failed))
        return found

    def restart(self) -> list[str]:
        """Who connects meanwhile waits in the kernel's queue."""
        before = self._shown()
        self._apart.run("systemctl", "restart", "--no-block", A)
        self._until(lambda: self._shown()["MainPID"], lambda pid: pid != before["MainPID"])
        with self._phone() as phone:  # refused, if the port is closed
            _answers(phone)
        return [
            *_differs("kept sockets", self._shown()["NFileDescriptorStore"], "2"),
            *_differs("restarts by itself", self._shown()["NRestarts"], "0"),
        ]

    def reload(self) -> list[str]:
        before = self._shown()["MainPID"]
        with self._phone() as phone:
            _answers(phone)
            self._apart.run("systemctl", "reload", A)
            self._until(lambda: self._shown()["SubState"], lambda state: state == "running")
            _answers(phone)  # on the connection that it has
        shown = self._shown()
        gone = not self._apart.run("sh", "-c", f"test ! -d /proc/{before} || echo there")
        return [
            *([] if shown["MainPID"] != before else ["the main process is the same"]),
            *([] if gone else ["the process before lives"]),
            *_differs("ActiveState", shown["ActiveState"], "active"),
            *_differs("kept sockets", shown["NFileDescriptorStore"], "2"),
            *_differs("restarts by itself", shown["NRestarts"], "0"),
        ]

    def stuck(self) -> list[str]:
        """Stopped, it feeds no watchdog; it is ended, and started again, and nobody is refused meanwhile."""
        before = self._shown()
        self._apart.run("kill", "-STOP", before["MainPID"])
        with self._phone() as phone:  # in the queue of a port that nobody serves
            self._until(lambda: self._shown()["NRestarts"], lambda count: count != before["NRestarts"])
            self._until(lambda: self._shown()["ActiveState"], lambda state: state == "active")
            with self._phone() as second:
                _answers(second)
            self._until(lambda: phone.has_more(0.0) or "", bool, 1.0)
        ended = self._apart.run("journalctl", "--no-pager", "-u", A)
        return [
            *([] if "Watchdog timeout" in ended else ["systemd has noticed nothing"]),
            *([] if "killing process" in ended.lower() else ["nobody was killed"]),
            *([] if "Fatal Python error: Aborted" in ended else ["the journal doesn't say where it stood"]),
            *_differs("kept sockets", self._shown()["NFileDescriptorStore"], "2"),
        ]

    def stop(self) -> list[str]:
        """Of a process that came by an upgrade: its parent wasn't systemd when it was made the main one."""
        self._apart.run("systemctl", "reload", A)
        with self._phone() as phone:
            _answers(phone)
            self._apart.run("systemctl", "stop", "--no-block", A)
            bye = phone.expect(verbs.BYE)
        self._until(lambda: self._shown()["ActiveState"], lambda state: state in ("inactive", "failed"))
        refused = False
        try:
            self._phone().socket.close()
        except ConnectionRefusedError:
            refused = True
        shown = self._shown()
        return [
            *_differs("ActiveState", shown["ActiveState"], "inactive"),
            *_differs("Result", shown["Result"], "success"),
            *([] if len(bye) > 1 else ["the phone wasn't told why"]),
            *([] if refused else ["the port is open still"]),
        ]

    def socket(self) -> list[str]:
        """A port below 1024, which a node may not open itself; who connects starts it."""
        self._write("/etc/waystation/b.toml", CONFIG.format(public=8443, plain=8444))
        place = "/etc/systemd/system/waystation@b.socket.d/drill.conf"
        self._write(
            place,
            f"[Socket]\nFileDescriptorName=\nFileDescriptorName=plain\nListenStream=\nListenStream={LOW_PORT}\n",
        )
        self._apart.run("systemctl", "daemon-reload")
        self._apart.run("systemctl", "enable", "--now", "waystation@b.socket")
        before = self._shown(B)["ActiveState"]
        with self._phone(LOW_PORT) as phone:
            _answers(phone)
        self._until(lambda: self._shown(B)["ActiveState"], lambda state: state == "active")
        shown = self._shown(B)
        self._apart.run("systemctl", "stop", "waystation@b.socket", B)
        return [
            *_differs("before anybody connects", before, "inactive"),
            *_differs("ActiveState", shown["ActiveState"], "active"),
            *_differs("kept sockets", shown["NFileDescriptorStore"], "1"),
        ]

    # ---- how it is looked at --------------------------------------------------------------------------

    def _shown(self, unit: str = A) -> dict[str, str]:
        wanted = "ActiveState,SubState,MainPID,NFileDescriptorStore,StatusText,Result,NRestarts"
        text = self._apart.run("systemctl", "show", unit, "-p", wanted)
        return dict(line.split("=", 1) for line in text.splitlines())

    def _write(self, path: str, text: str) -> None:
        self._apart.run("sh", "-c", 'mkdir -p "${0%/*}" && printf %s "$1" > "$0"', path, text)

    def _phone(self, port: int = PORT) -> RawPhone:
        return self._apart.in_network(lambda: RawPhone("127.0.0.1", port, tls=False, seconds_max=WAIT_S_MAX))

    def _until(
        self, look: Callable[[], Any], good: Callable[[Any], bool], seconds_max: float = WAIT_S_MAX
    ) -> bool:
        end = time.monotonic() + seconds_max
        while not good(look()):
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_S)
        return True


def _answers(phone: RawPhone) -> None:
    """
    Raises:
        OSError: nobody does.
    """
    if not phone.nonce:
        phone.send(verbs.HELLO, 1, 1, (), "drill")
        phone.nonce = phone.expect(verbs.HELLO)[3]
    phone.send(verbs.PING, False, 7)
    phone.expect(verbs.PING)


def _differs(what: str, found: object, wanted: object) -> list[str]:
    return [] if found == wanted else [f"{what}: {found!r} instead of {wanted!r}"]


def run(only: tuple[Name, ...], tell: Callable[[str], None]) -> dict[str, Any]:
    """
    Args:
        only: of NAMES; "start" is always done.

    Raises:
        UnavailableError: this machine can't.
    """
    began = time.monotonic()
    found: dict[str, list[str]] = {}
    with Apart() as apart:
        drill = Drill(apart)
        drill.install()
        for name in NAMES:
            if name != "start" and only and name not in only:
                continue
            try:
                found[name] = getattr(drill, name)()
            except (CommandFailed, OSError) as failed:
                found[name] = [f"{type(failed).__name__}: {failed}"]
            tell(f"{name}: {'; '.join(found[name]) or 'good'}")
        version = apart.run("systemctl", "--version").split("\n")[0]
        journal = (
            apart.run("journalctl", "--no-pager", "-n", "60", "-o", "cat") if any(found.values()) else ""
        )
    return {
        "good": not any(found.values()),
        "systemd": version,
        "steps": found,
        "seconds": time.monotonic() - began,
        **({"journal": journal.splitlines()} if journal else {}),
    }


def systemd(
    *,
    only: Annotated[tuple[Name, ...], Parameter(help="Only these steps; start is always done.")] = (),
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> int:
    """The service under a real systemd, in namespaces of its own: started, confined, upgraded, stuck, stopped.

    Needs root, and touches nothing of this machine: the other systemd has a root, processes and a network of its own,
    and ends with the command. Exit status: 0 if all was as docs/systemd.md says, 1 if not, 2 if it can't be tried here.
    """
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()

    def tell(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:7.1f} s  {text}\n")

    try:
        result = run(only, tell)
    except UnavailableError as unavailable:
        sys.stderr.write(f"waystation: {unavailable}\n")
        return 2
    sys.stdout.write(
        f"{json.dumps(result)}\n" if as_json else f"{'good' if result['good'] else 'not good'}\n"
    )
    return 0 if result["good"] else 1


def _end(*_: object) -> None:
    raise KeyboardInterrupt
