"""`waystation install-service`: writes the units and what goes with them, and says what to do next.

Files that it wrote before it writes again; others it leaves alone. It starts and enables nothing: that is systemctl's.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import attrs
from cyclopts import Parameter

from ops.failures import told

UNITS: Final = Path(__file__).resolve().parent / "units"
PLACES: Final = MappingProxyType(
    {
        "waystation@.service": "etc/systemd/system/waystation@.service",
        "waystation@.socket": "etc/systemd/system/waystation@.socket",
        "waystation.target": "etc/systemd/system/waystation.target",
        "waystation.sysusers.conf": "etc/sysusers.d/waystation.conf",
        "waystation.tmpfiles.conf": "etc/tmpfiles.d/waystation.conf",
    }
)
"""Below `units/` → below the root."""
MARK: Final = "# Written by `waystation install-service`"
COMMAND_IN_UNIT: Final = "/usr/bin/waystation"
HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - nothing is put there
"""What ProtectHome= and PrivateTmp= of the unit keep from the service."""


class CannotInstall(Exception):
    """The files can't be written, or would be of no use; the text says why, and what to do."""


@attrs.frozen
class Written:
    """path: from the root. state: what became of the file."""

    path: str
    state: str


def install(root: Path, command: Path) -> list[Written]:
    """Write all files below a root.

    Args:
        command: what the service is to run, as the server sees it.

    Raises:
        CannotInstall: nothing was written.
        OSError
    """
    _check_command(command)
    wanted = {place: _text(name, command) for name, place in PLACES.items()}
    for place in wanted:
        path = root / place
        if path.exists() and not path.read_text("utf-8", "replace").startswith(MARK):
            raise CannotInstall(
                f"{path} is there, and wasn't written by this command: move it away, and put what you changed in a"
                " drop-in (systemctl edit)"
            )
    return [Written(f"/{place}", _write(root / place, text)) for place, text in wanted.items()]


def _text(name: str, command: Path) -> str:
    text = (UNITS / name).read_text("utf-8")
    assert text.startswith(MARK)
    return text.replace(f"={COMMAND_IN_UNIT} ", f"={command} ")


def _check_command(command: Path) -> None:
    text = str(command)
    if not command.is_absolute():
        raise CannotInstall(f"{text} isn't an absolute path: name the command with --command")
    if any(one.isspace() or one in "\"'%$\\;" for one in text):
        raise CannotInstall(
            f"{text!r} has a character that a unit gives another meaning: install it elsewhere"
        )
    if _is_hidden(command):
        raise CannotInstall(
            f"{text} is where the service can't see it (ProtectHome=, PrivateTmp=): install Waystation elsewhere"
            " (python3 -m venv /opt/waystation, say), and run this command from there, or name it with --command"
        )


def _is_hidden(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in HIDDEN)


def _write(path: Path, text: str) -> str:
    if path.exists() and path.read_text("utf-8") == text:
        return "unchanged"
    state = "changed" if path.exists() else "new"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return state


def next_steps(written: Sequence[Written]) -> list[str]:
    """What is left to the operator, in order; NAME is a node's."""
    steps = [
        "systemd-sysusers waystation.conf",
        "systemd-tmpfiles --create waystation.conf",
        "systemctl daemon-reload",
    ]
    if any(one.state == "changed" for one in written):
        steps.append("systemctl restart 'waystation@*'    # what was changed holds from a node's next start")
    return [
        *steps,
        "editor /etc/waystation/NAME.toml        # see docs/configuration.md; secrets it names: readable to waystation",
        "systemctl enable --now waystation.target waystation@NAME.service",
        "systemctl status waystation@NAME.service",
    ]


def install_service(
    *,
    root: Annotated[Path, Parameter(help="Where / is; another folder for an image or a package.")] = Path(
        "/"
    ),
    command: Annotated[
        Path | None,
        Parameter(
            help="What the service is to run, as the server sees it. Default: this command; with --root, if the"
            f" service couldn't see that, {COMMAND_IN_UNIT}."
        ),
    ] = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Write systemd units, user and directories for nodes of this server, and say what to do next.

    Nothing is started. Files of another hand are left alone, and named.
    """
    with told(CannotInstall, OSError):
        run = command or _default_command(root)
        written = install(root, run)
        steps = next_steps(written)
        if as_json:
            answer = {"command": str(run), "files": [attrs.asdict(one) for one in written], "next": steps}
            sys.stdout.write(f"{json.dumps(answer)}\n")
            return
        for one in written:
            sys.stdout.write(f"{one.state:>9}  {one.path}\n")
        sys.stdout.write(f"\nThe service runs {run}.\n")
        sys.stdout.write("\nNext, as root:\n\n" + "".join(f"    {step}\n" for step in steps))


def _default_command(root: Path) -> Path:
    """This one; in another root, which needn't have it where it is here, the place of packages if it must be elsewhere.

    Raises:
        CannotInstall
    """
    try:
        found = _this_command()
        _check_command(found)
    except CannotInstall:
        if root.resolve() == Path("/"):
            raise
        return Path(COMMAND_IN_UNIT)
    return found


def _this_command() -> Path:
    """The command that runs now; with everything that it needs to run.

    Raises:
        CannotInstall
    """
    for what, place in (("its Python", Path(sys.base_prefix)), ("its code", Path(__file__).resolve())):
        if _is_hidden(place):
            raise CannotInstall(
                f"{what} is in {place}, where the service can't see it (ProtectHome=, PrivateTmp=): install"
                " Waystation elsewhere, with a Python of the system's"
            )
    found = shutil.which(sys.argv[0])
    beside = Path(sys.executable).parent / "waystation"
    if found is not None and Path(found).name == "waystation":
        return Path(found).absolute()
    if beside.exists():
        return beside
    raise CannotInstall("this isn't run as `waystation`: name the command with --command")
