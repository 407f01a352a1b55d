"""What doctor finds, of files that are made for it; and that it says what to do and changes nothing."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from admin.channel.folder import Folder, ensure_folder
from node.accounts.provision import provision
from node.hub.certificate import make_certificate
from ops.config import Config
from ops.doctor import certificates, clock, configuration, disk, examination, keys, limits, stored
from ops.doctor.clock import Kept
from ops.doctor.command import doctor
from ops.doctor.disk import Mount, days_left, mount_of
from ops.doctor.finding import Finding, Verdict, good, skipped, warning
from ops.doctor.patient import Patient
from tests.node.live import Device

BAD, WARNING, GOOD, SKIPPED = Verdict.BAD, Verdict.WARNING, Verdict.GOOD, Verdict.SKIPPED
DAY = 86_400.0
GROUP = "users"


def patient(tmp_path: Path, text: str = "", **more: Any) -> Patient:
    """Of a configuration file; its data directory is there."""
    source = tmp_path / "node.toml"
    source.write_text(f'[node]\ndata = "data"\n{text}', "utf-8")
    (tmp_path / "data").mkdir(exist_ok=True, mode=0o700)
    return Patient.find(source, None, **more)


def worst(findings: Iterator[Finding]) -> tuple[Verdict, str]:
    """The gravest, and all that was said."""
    found = list(findings)
    assert found
    return max(one.verdict for one in found), "\n".join(f"{one.text} → {one.remedy}" for one in found)


# ---- configuration -----------------------------------------------------------------------------------


def test_a_mistake_in_the_file_is_told_in_its_own_words(tmp_path: Path) -> None:
    one = patient(tmp_path, "[mail]\nwindw = 3\n")
    verdict, text = worst(configuration.check(one))
    assert verdict == BAD
    assert "did you mean 'window'?" in text
    assert one.data == Path("data").absolute()
    assert worst(examination.examine(one))[0] == BAD


@pytest.mark.parametrize(
    ("text", "verdict", "said"),
    [
        ("[listen]\nport = 0\nplain_port = 17461\n", GOOD, "only what is on this machine"),
        ('[listen]\nhost = "0.0.0.0"\nport = 17461\n', WARNING, "reach no phone"),
        ('[listen]\nhost = "0.0.0.0"\nplain_port = 17461\nport = 0\n', WARNING, "without TLS"),
        ("[listen]\nport = 17461\n[admin]\nenabled = false\n", WARNING, "can't be looked at"),
        ("[listen]\nport = 17461\n[statistics]\nhistory = false\n", WARNING, "no history"),
        ('[listen]\nhost = "192.0.2.77"\nport = 17461\n', BAD, "no address of this machine"),
        ("[shadow]\nenabled = true\n", BAD, "shadow.allow is empty"),
    ],
)
def test_what_can_be_read_may_still_be_unwise(text: str, verdict: Verdict, said: str, tmp_path: Path) -> None:
    found = worst(configuration.check(patient(tmp_path, text)))
    assert found[0] == verdict, found
    assert said in found[1]


def test_a_port_that_somebody_else_has_is_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = patient(tmp_path, f"[listen]\nport = {taken.getsockname()[1]}\n")
        verdict, text = worst(configuration.check(one))
    assert verdict == BAD
    assert "is in use" in text


def test_secrets_that_others_can_read_are_found(tmp_path: Path) -> None:
    webhook = '[registration.webhook]\nurl = "https://sms.example/"\nsecret_file = "s"\n'
    text = f'[listen]\nport = 17461\n[registration]\ngateway = "webhook"\n{webhook}'
    one = patient(tmp_path, text)
    assert worst(configuration.check(one))[0] == BAD
    (tmp_path / "s").write_text("x" * 40)
    (tmp_path / "s").chmod(0o644)
    verdict, said = worst(configuration.check(one))
    assert verdict == BAD
    assert "chmod 600" in said
    (tmp_path / "s").chmod(0o600)
    assert worst(configuration.check(one))[0] == GOOD


def test_knobs_that_go_before_the_file_are_told(tmp_path: Path) -> None:
    one = patient(tmp_path)
    assert list(configuration.knobs(one)) == []
    (one.data / "admin").mkdir()
    (one.data / "admin" / "knobs.json").write_text('{"mail.sync_delay_ms": 25}\n')
    assert worst(configuration.knobs(one))[0] == WARNING


# ---- the certificate ---------------------------------------------------------------------------------


@pytest.fixture
def certified(tmp_path: Path) -> Patient:
    make_certificate(tmp_path / "c.pem", tmp_path / "k.pem", ("chat.example", "192.0.2.1"))
    return patient(
        tmp_path,
        '[listen]\nport = 17461\ncertificate = "c.pem"\nkey = "k.pem"\nnames = ["chat.example", "192.0.2.1"]\n',
    )


@pytest.mark.parametrize(
    ("days", "verdict", "said"),
    [
        (0, GOOD, "is valid until"),
        (3_640, WARNING, "in 10 days"),
        (3_649, BAD, "in 1.0 days"),
        (3_651, BAD, "ended on"),
        (-5, BAD, "isn't valid yet"),
    ],
)
def test_its_end_is_told_in_time(certified: Patient, days: int, verdict: Verdict, said: str) -> None:
    found = worst(certificates.check(attrs.evolve(certified, now=certified.now + days * DAY)))
    assert found[0] == verdict, found
    assert said in found[1]


def with_listen(one: Patient, **changes: Any) -> Patient:
    config = one.config
    assert config is not None
    return attrs.evolve(one, config=attrs.evolve(config, listen=attrs.evolve(config.listen, **changes)))


def test_names_that_it_lacks_are_told(certified: Patient) -> None:
    assert worst(certificates.check(certified))[0] == GOOD
    verdict, text = worst(certificates.check(with_listen(certified, names=("chat.example", "other.example"))))
    assert verdict == WARNING
    assert "isn't for other.example, but for 192.0.2.1, chat.example" in text


@pytest.mark.parametrize(
    ("name", "one", "fits"),
    [
        ("a.example", "A.example", True),
        ("a.example", "*.example", True),
        ("a.b.example", "*.example", False),
        ("example", "*.example", False),
    ],
)
def test_a_star_stands_for_one_label(name: str, one: str, fits: bool) -> None:
    assert certificates._fits(name, one) is fits


def test_a_key_for_everybody_one_of_another_and_none_are_found(certified: Patient, tmp_path: Path) -> None:
    (tmp_path / "k.pem").chmod(0o644)
    assert "every user" in worst(certificates.check(certified))[1]
    make_certificate(tmp_path / "c2.pem", tmp_path / "k2.pem")
    assert worst(certificates.check(with_listen(certified, key="k2.pem")))[0] == BAD
    assert worst(certificates.check(with_listen(certified, key="none.pem")))[0] == BAD
    assert worst(certificates.check(with_listen(certified, certificate="", key="")))[0] == SKIPPED
    assert worst(certificates.check(with_listen(certified, port=0, plain_port=1)))[0] == SKIPPED


# ---- keys --------------------------------------------------------------------------------------------


def test_keys_for_their_owner_only_are_good_and_others_are_not(tmp_path: Path) -> None:
    one = patient(tmp_path)
    folder = Folder.of(one.data)
    ensure_folder(folder)
    verdict, text = worst(keys.check(one))
    assert verdict == GOOD
    assert "1 deployer" in text
    folder.local_key.chmod(0o644)
    assert "mode 644" in worst(keys.check(one))[1]
    folder.local_key.chmod(0o600)
    folder.authorised.write_text("nonsense\n")
    assert worst(keys.check(one))[0] == BAD
    folder.authorised.write_text("")
    folder.authorised.chmod(0o600)
    assert "nobody may operate" in worst(keys.check(one))[1]
    one.data.chmod(0o755)
    assert "chmod 700" in worst(keys.check(one))[1]
    secret = folder.node_key.read_text().splitlines()[-1]
    assert secret not in worst(keys.check(one))[1]


# ---- limits ------------------------------------------------------------------------------------------


def system(root: Path, **files: str) -> Path:
    """Files of /proc; __ stands for a slash."""
    for name, text in files.items():
        path = root / "proc" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_limits_of_the_system_are_compared_with_what_the_node_wants(tmp_path: Path) -> None:
    meminfo = f"MemTotal: {64 << 20} kB\n"
    root = system(
        tmp_path / "root",
        sys__net__core__somaxconn="128\n",
        meminfo=meminfo,
        sys__vm__max_map_count="65530\n",
    )
    verdict, text = worst(limits.check(patient(tmp_path, root=root)))
    assert verdict == WARNING
    assert "net.core.somaxconn is 128, below listen.backlog (1024)" in text
    assert "vm.max_map_count is 65,530" in text
    system(root, sys__net__core__somaxconn="4096\n", sys__vm__max_map_count="1000000\n")
    text = worst(limits.check(patient(tmp_path, "[limits]\nconnections_max = 100\n", root=root)))[1]
    assert "room for 100 connections →" in text
    assert "sysctl" not in text
    system(root, meminfo="MemTotal: 100000 kB\n")
    assert "little for a node" in worst(limits.check(patient(tmp_path, root=root)))[1]
    assert worst(limits.check(patient(tmp_path, root=tmp_path / "nothing")))[0] <= WARNING


# ---- the clock ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "verdict"),
    [
        (lambda: None, SKIPPED),
        (lambda: Kept(False, 0.0), WARNING),
        (lambda: Kept(True, 3.0), WARNING),
        (lambda: Kept(True, 0.02), GOOD),
    ],
)
def test_what_the_kernel_says_of_its_clock(
    kernel: Callable[[], Kept | None], verdict: Verdict, tmp_path: Path
) -> None:
    assert worst(clock.check(patient(tmp_path), kernel))[0] == verdict


def test_this_kernel_can_be_asked() -> None:
    found = clock.kernel_clock()
    assert found is None or found.error_s >= 0


def test_a_clock_that_was_set_back_is_seen_by_files_of_the_future(tmp_path: Path) -> None:
    one = patient(tmp_path)
    (one.data / "store" / "users").mkdir(parents=True)
    (one.data / "store" / "users" / "data.mdb").touch()
    assert worst(clock.check(one, lambda: Kept(True, 0.0)))[0] == GOOD
    back = attrs.evolve(one, now=one.now - DAY)
    assert worst(clock.check(back, lambda: Kept(True, 0.0)))[0] == BAD


# ---- the disk ----------------------------------------------------------------------------------------

MOUNTS = r"""22 1 253:0 / / rw,relatime - ext4 /dev/vda1 rw
23 22 0:20 / /tmp rw - tmpfs tmpfs rw
24 22 0:44 / /srv/with\040space rw - nfs4 server:/x rw,vers=4.2
25 22 253:1 / /srv/loose rw - ext4 /dev/vdb rw,nobarrier
26 22 253:2 / /srv/dead ro,relatime - xfs /dev/vdc ro
nonsense
"""


def test_the_longest_mount_that_fits_is_found(tmp_path: Path) -> None:
    root = system(tmp_path, self__mountinfo=MOUNTS)
    assert mount_of(Path("/srv/with space/data"), root) == Mount(
        "/srv/with space", "nfs4", ("rw", "rw", "vers=4.2")
    )
    assert mount_of(Path("/tmpfiles"), root) == Mount("/", "ext4", ("rw", "relatime", "rw"))
    assert mount_of(Path("/"), tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("place", "verdict", "said"),
    [
        ("/srv/with space/x", BAD, "LMDB needs locks"),
        ("/tmp/x", WARNING, "it is memory"),
        ("/srv/loose", BAD, "nobarrier"),
        ("/srv/dead", BAD, "read-only"),
        ("/var", GOOD, "ext4 on /"),
    ],
)
def test_file_systems_that_lose_or_spoil_data_are_told(
    place: str, verdict: Verdict, said: str, tmp_path: Path
) -> None:
    mount = mount_of(Path(place), system(tmp_path, self__mountinfo=MOUNTS))
    assert mount is not None
    found = worst(disk._kind(mount))
    assert found[0] == verdict
    assert said in found[1]


def test_a_directory_that_does_not_exist_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "data"
    verdict, text = worst(disk.check(Patient.find(None, missing)))
    assert verdict >= WARNING
    assert f"{missing} doesn't exist, so no node has run there" in text
    assert not missing.exists()
    source = tmp_path / "node.toml"
    source.write_text('[node]\ndata = "later"\n')
    fresh = next(disk.check(Patient.find(source, None)))
    assert (fresh.verdict, fresh.text) == (
        SKIPPED,
        f"{tmp_path / 'later'} doesn't exist: the node's first start makes it",
    )
    assert next(disk.check(Patient.find(None, source))).verdict == BAD


def test_an_fsync_is_measured_and_nothing_is_left_behind(tmp_path: Path) -> None:
    one = patient(tmp_path)
    text = worst(disk.check(one))[1]
    assert "an fsync takes" in text
    assert list(one.data.iterdir()) == []


def test_days_left_are_those_of_the_line_through_the_history() -> None:
    hours = [hour * 3_600.0 for hour in range(24)]
    shrinking = [(at, 1000.0 - at / 3_600) for at in hours]
    assert days_left(shrinking) == pytest.approx((1000 - 23) / 24)
    assert days_left([(at, 1000.0) for at in hours]) == float("inf")
    assert days_left([(at, 1000.0 + at) for at in hours]) == float("inf")
    assert days_left(shrinking[:3]) is None
    assert days_left([]) is None


# ---- the store ---------------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Path) -> Patient:
    one = patient(tmp_path)
    provision(
        one.data, [(device.user, device.key, device.stream) for device in map(Device.of, range(1, 200))]
    )
    return one


def test_a_stopped_nodes_records_are_read_back(filled: Patient) -> None:
    before = {path: path.read_bytes() for path in filled.data.rglob("data.mdb")}
    verdict, text = worst(stored.check(filled))
    assert verdict == GOOD
    assert "records are sound" in text
    assert {path: path.read_bytes() for path in filled.data.rglob("data.mdb")} == before


def test_damage_is_found(filled: Patient) -> None:
    path = filled.store / GROUP / "data.mdb"
    content = path.read_bytes()
    key = Device.of(7).key
    assert key in content
    path.write_bytes(content.replace(key, bytes(len(key))))
    verdict, text = worst(stored.check(filled))
    assert verdict == BAD
    assert "restore the last backup" in text


def test_no_store_is_nothing_to_look_at(tmp_path: Path) -> None:
    assert worst(stored.check(patient(tmp_path)))[0] == SKIPPED


# ---- all of it ---------------------------------------------------------------------------------------


def test_a_check_that_fails_ends_no_other(tmp_path: Path) -> None:
    def fail(one: Patient) -> Iterator[Finding]:
        raise RuntimeError("why")
        yield

    def fine(one: Patient) -> Iterator[Finding]:
        yield good("fine", "as it should be")

    found = list(examination.examine(patient(tmp_path), checks=(("a", fail), ("b", fine))))
    assert [one.verdict for one in found] == [WARNING, GOOD]
    assert "RuntimeError: why" in found[0].text


def test_the_gravest_finding_is_the_exit_status() -> None:
    assert examination.status([]) == 0
    assert examination.status([skipped("a", "b")]) == 0
    assert examination.status([good("a", "b"), warning("a", "b", "c"), skipped("a", "b")]) == 1
    with pytest.raises(AssertionError, match="say what to do"):
        warning("a", "b", "")


def test_the_command_tells_people_and_programs_the_same(
    filled: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        doctor(config=filled.source, as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == ended.value.code
    assert {one["about"] for one in report["findings"]} >= {
        "configuration", "certificate", "keys", "limits", "clock", "disk", "store", "peers", "node",
    }  # fmt: skip
    assert all(one["remedy"] for one in report["findings"] if one["verdict"] in ("warning", "bad"))
    with pytest.raises(SystemExit):
        doctor(config=filled.source)
    shown = capsys.readouterr()
    assert " ok configuration: " in shown.out
    assert shown.err == ""
    assert os.listdir(filled.data) == ["store"]


def test_defaults_without_a_file_can_be_looked_at(tmp_path: Path) -> None:
    one = Patient.find(None, tmp_path / "data")
    assert isinstance(one.config, Config)
    verdict, said = worst(examination.examine(one))
    assert verdict <= WARNING or "is in use" in said  # by a node of somebody who tries it out
    assert not (tmp_path / "data").exists()
