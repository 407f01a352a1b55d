"""The first process of a machine within the machine, until it becomes systemd: makes the root that this will see.

Run by `apart` in namespaces of its own. Everything is mounted on a file system in memory; the machine's /usr, Python
and packages are there read-only, and from when the root is changed nothing else of the machine is. This module must
never write outside of that root.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from ops.systemd.apart import SYSTEMD

PACKAGES: Final = ("admin", "client", "node", "ops", "replication", "store")
DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
FOLDERS: Final = (
    "usr", "etc/systemd/system", "etc/sysusers.d", "etc/tmpfiles.d", "var/log/journal", "var/lib", "var/cache",
    "run", "proc", "sys", "dev", "root", "home", "srv", "mnt", "old", "opt/python", "opt/site", "opt/program",
    "opt/waystation/bin",
)  # fmt: skip
ETC: Final = (
    ("passwd", "root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/:/usr/sbin/nologin\n"
     "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"),
    ("group", "root:x:0:\nmessagebus:x:100:\nnogroup:x:65534:\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("hosts", "127.0.0.1 localhost\n"),
    ("hostname", "apart\n"),
    ("ld.so.conf", "/opt/python/lib\n/usr/local/lib\n"),
)  # fmt: skip
WITHOUT: Final = ",".join(
    (
        "-sys_time",
        "-sys_module",
        "-sys_rawio",
        "-sys_boot",
        "-mac_admin",
        "-mac_override",
        "-syslog",
        "-mknod",
    )
)
"""Capabilities by which something of the machine itself could be changed."""
COMMAND: Final = "#!/opt/waystation/bin/python\nfrom ops.command import main\nmain()\n"


def main(root: Path, program: Path) -> None:
    """Never returns."""
    assert os.getpid() == 1, "this is for a process namespace of its own"
    _mount("-t", "tmpfs", "-o", "mode=755,size=2g", "root", root)
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).mkdir(mode=0o1777)
        (root / name).chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(os.readlink(f"/{name}"))
    _bind(Path("/usr"), root / "usr")
    _install(root, program)
    for name, text in ETC:
        (root / "etc" / name).write_text(text)
    (root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
    if Path("/etc/alternatives").is_dir():
        shutil.copytree("/etc/alternatives", root / "etc/alternatives", symlinks=True)
    _system(root)
    os.chdir(root)
    _do("chroot", ".", "ldconfig")
    _do("pivot_root", ".", "old")
    _do("umount", "--lazy", "/old")
    Path("/old").rmdir()
    _do("hostname", "apart")
    environment = {"container": "waystation", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    words = ["setpriv", "--bounding-set", WITHOUT, str(SYSTEMD), "--system", "--log-target=journal"]
    os.execve("/usr/bin/setpriv", words, environment)  # noqa: S606 - it becomes systemd


def _install(root: Path, program: Path) -> None:
    """As docs/systemd.md has it: an environment in /opt/waystation. What is in it is shared with this process."""
    base = Path(sys.base_prefix)
    home = base / "bin"
    if not base.is_relative_to("/usr"):
        _bind(base, root / "opt/python")
        home = Path("/opt/python/bin")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    _bind(Path(sysconfig.get_path("purelib")), root / "opt/site")
    for package in PACKAGES:
        shutil.copytree(
            program / package, root / "opt/program" / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    place = root / "opt/waystation"
    (place / "bin/python").symlink_to(home / f"python{version}")
    (place / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    packages = place / f"lib/python{version}/site-packages"
    packages.mkdir(parents=True)
    (packages / "program.pth").write_text("/opt/program\n/opt/site\n")
    (place / "bin/waystation").write_text(COMMAND)
    (place / "bin/waystation").chmod(0o755)


def _system(root: Path) -> None:
    """What the kernel shows, with nothing in it that could be set."""
    _mount("-t", "proc", "proc", root / "proc")
    _bind(root / "proc/sys", root / "proc/sys")
    if (root / "proc/sysrq-trigger").exists():
        _mount("--bind", "/dev/null", root / "proc/sysrq-trigger")
    _mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    _mount("-t", "cgroup2", "cgroup2", root / "sys/fs/cgroup")
    _mount("-t", "tmpfs", "-o", "mode=755,nosuid,size=1m", "dev", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        _mount("--bind", f"/dev/{name}", root / "dev" / name)
    for name in ("pts", "shm"):
        (root / "dev" / name).mkdir()
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620", "devpts", root / "dev/pts")
    _mount("-t", "tmpfs", "-o", "mode=1777,size=64m", "shm", root / "dev/shm")
    links = (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    )
    for name, target in links:
        (root / "dev" / name).symlink_to(target)


def _bind(source: Path, place: Path) -> None:
    """Read-only."""
    _mount("--bind", source, place)
    _mount("-o", "remount,ro,bind", place)


def _mount(*words: str | Path) -> None:
    _do("mount", *map(str, words))


def _do(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)  # noqa: S603


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
