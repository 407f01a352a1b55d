"""What `waystation install-service` writes: systemd's own tools find nothing wrong with it, and rate it."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from ops.systemd.install import (
    PLACES,
    UNITS,
    CannotInstall,
    _default_command,
    install,
    install_service,
    next_steps,
)

COMMAND = Path("/bin/true")
"""Is on every system, for verify looks whether it can be run."""
EXPOSURE_MAX = 2.0
SERVICE = "etc/systemd/system/waystation@.service"

with_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd's tools aren't installed: apt install systemd"
)


def tool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, words)], capture_output=True, text=True, timeout=60, check=False, env={"LC_ALL": "C"}
    )


@with_systemd
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    install(tmp_path, COMMAND)
    units = sorted((tmp_path / "etc/systemd/system").iterdir())
    assert len(units) == 3
    done = tool("/usr/bin/systemd-analyze", "verify", "--man=no", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    service = tmp_path / SERVICE
    service.write_text(service.read_text().replace("WatchdogSec=", "WatchdogSeconds="))
    assert "WatchdogSeconds" in tool("/usr/bin/systemd-analyze", "verify", "--man=no", service).stderr


@with_systemd
def test_its_exposure_is_rated_low(tmp_path: Path) -> None:
    install(tmp_path, COMMAND)
    done = tool("/usr/bin/systemd-analyze", "security", "--offline=yes", "--no-pager", tmp_path / SERVICE)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) < EXPOSURE_MAX


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="apt install systemd")
def test_the_user_can_be_made(tmp_path: Path) -> None:
    install(tmp_path, COMMAND)
    done = tool(shutil.which("systemd-sysusers") or "", "--dry-run", f"--root={tmp_path}", "waystation.conf")
    assert done.returncode == 0, done.stderr
    assert "user 'waystation'" in done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("systemd-tmpfiles"), reason="apt install systemd")
def test_the_directories_are_understood(tmp_path: Path) -> None:
    install(tmp_path, COMMAND)
    passwd = tmp_path / "etc" / "passwd"
    passwd.write_text("root:x:0:0::/:/bin/sh\nwaystation:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc" / "group").write_text("root:x:0:\nwaystation:x:0:\n")
    done = tool(shutil.which("systemd-tmpfiles") or "", "--create", f"--root={tmp_path}", "waystation.conf")
    assert "syntax" not in done.stderr.lower()
    assert (tmp_path / "var/lib/waystation").is_dir(), done.stderr
    assert (tmp_path / "etc/waystation").is_dir()


def test_the_service_runs_the_command_that_wrote_it(tmp_path: Path) -> None:
    written = install(tmp_path, Path("/opt/waystation/bin/waystation"))
    assert {one.state for one in written} == {"new"}
    assert {one.path for one in written} == {f"/{place}" for place in PLACES.values()}
    text = (tmp_path / SERVICE).read_text()
    assert "ExecStart=/opt/waystation/bin/waystation run --config /etc/waystation/%i.toml" in text
    assert "ExecReload=/opt/waystation/bin/waystation admin /var/lib/waystation/%i upgrade" in text
    assert "/usr/bin/waystation" not in text
    assert (tmp_path / SERVICE).stat().st_mode & 0o777 == 0o644


def test_it_is_written_again_and_what_changed_is_said(tmp_path: Path) -> None:
    install(tmp_path, COMMAND)
    assert {one.state for one in install(tmp_path, COMMAND)} == {"unchanged"}
    again = install(tmp_path, Path("/opt/other/waystation"))
    assert [one.path for one in again if one.state == "changed"] == [f"/{SERVICE}"]
    assert any("restart" in step for step in next_steps(again))
    assert not list((tmp_path / SERVICE).parent.glob(".*")), "no file half written is left"


def test_what_another_hand_wrote_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / SERVICE).parent.mkdir(parents=True)
    (tmp_path / SERVICE).write_text("[Service]\nExecStart=/mine\n")
    with pytest.raises(CannotInstall, match="wasn't written by this command"):
        install(tmp_path, COMMAND)
    assert (tmp_path / SERVICE).read_text() == "[Service]\nExecStart=/mine\n"
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == ["waystation@.service"]


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("waystation", "absolute"),
        ("/home/anna/waystation/.venv/bin/waystation", "ProtectHome"),
        ("/root/.venv/bin/waystation", "ProtectHome"),
        ("/tmp/waystation", "PrivateTmp"),
        ("/opt/100%/waystation", "character"),
        ("/opt/my waystation/bin/waystation", "character"),
    ],
)
def test_a_command_that_the_service_could_not_run_is_refused(
    tmp_path: Path, command: str, cause: str
) -> None:
    with pytest.raises(CannotInstall, match=cause):
        install(tmp_path, Path(command))
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_people_and_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install_service(root=tmp_path, command=COMMAND)
    assert "systemctl daemon-reload" in capsys.readouterr().out
    install_service(root=tmp_path, command=COMMAND, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert {one["state"] for one in answer["files"]} == {"unchanged"}
    assert answer["command"] == str(COMMAND)
    assert answer["next"][0].startswith("systemd-sysusers")


@pytest.mark.parametrize("place", ["/root/.pyenv/versions/3.11", "/home/anna/python"])
def test_a_python_that_the_service_could_not_see_is_told(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.base_prefix", place)
    with pytest.raises(CannotInstall, match=f"its Python is in {place}, where the service can't see it"):
        _default_command(Path("/"))
    install_service(root=tmp_path)  # an image has a Python of its own
    assert "The service runs /usr/bin/waystation." in capsys.readouterr().out
    assert "ExecStart=/usr/bin/waystation run" in (tmp_path / SERVICE).read_text()


def test_a_mistake_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        install_service(root=tmp_path, command=Path("relative"))
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("waystation: relative isn't an absolute path")


def test_the_units_are_part_of_the_package() -> None:
    """The wheel is made of whole folders; nothing may keep these files out of it."""
    project = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "ops" in wheel["packages"]
    assert not {"exclude", "only-include"} & wheel.keys()
    assert {path.name for path in UNITS.iterdir()} == set(PLACES)
