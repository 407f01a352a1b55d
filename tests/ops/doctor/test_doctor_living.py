"""Doctor and a node that runs; and members of a cluster that are asked whether they take this node's key."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
import trio
import zmq
from zmq.auth.thread import ThreadAuthenticator

from admin.channel.roster import Entry
from node.founding import Place, found
from ops.clustering import ClusterSection
from ops.config import Config, NodeSection
from ops.doctor import clock, configuration, living, peers
from ops.doctor.clock import Kept
from ops.doctor.finding import Finding, Verdict
from ops.doctor.patient import Patient
from replication.membership.member import Member
from replication.zeromq.keys import Keys, make_keys
from tests.ops.operated import operated


def of(data: Path, **more: object) -> Patient:
    config = Config(base=data.parent, node=NodeSection(data=data.name))
    return Patient(source=None, config=config, data=data, **more)  # type: ignore[arg-type]


async def test_a_running_node_is_asked_and_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with operated(data) as node:
        one = of(data, others=(Entry.alone(str(data)),))

        def look() -> list[Finding]:
            assert one.holder() is not None
            skews = clock.check(one, lambda: Kept(True, 0.0))
            checks = (living.check(one), configuration.check(one), skews)
            return [finding for check in checks for finding in check]

        with trio.fail_after(20):
            seen = await trio.to_thread.run_sync(look)
        texts = "\n".join(one.text for one in seen)
        assert "it answers in" in texts
        assert "no alarm stands" in texts
        assert "ports are the running node's" in texts
        # The node's clock is a test's: far from this machine's.
        assert [one.verdict for one in seen if one.about == "clock"] == [Verdict.GOOD, Verdict.BAD]
        assert [one for one in seen if one.about == "node" and one.verdict > Verdict.GOOD] == []
        await node.ask("drain")
        seen = await trio.to_thread.run_sync(lambda: list(living.check(one)))
        assert any("draining" in finding.text for finding in seen)
    assert "it doesn't run" in "".join(finding.text for finding in living.check(one))


# ---- peers -------------------------------------------------------------------------------------------


class Allowed:
    """Whom a member lets in."""

    def __init__(self, key: str) -> None:
        self._key = key

    def callback(self, domain: str, key: bytes) -> bool:
        return key.decode() == self._key


@contextmanager
def member(allowed: str) -> Iterator[tuple[Member, Keys]]:
    """Something that a link's handshake can be made with."""
    keys = make_keys()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    guard = ThreadAuthenticator(context)
    guard.start()
    guard.configure_curve_callback(domain="any", credentials_provider=Allowed(allowed))
    raw = context.socket(zmq.ROUTER)
    try:
        raw.curve_server = True
        raw.curve_publickey, raw.curve_secretkey = keys.public.encode(), keys.secret.encode()
        raw.zap_domain = b"any"
        port = raw.bind_to_random_port("tcp://127.0.0.1")
        yield Member(node=bytes(8), key=keys.public, address=f"127.0.0.1:{port}"), keys
    finally:
        raw.close(linger=0)
        guard.stop()
        context.term()


def test_a_member_that_takes_this_nodes_key_is_good_and_one_that_does_not_is_bad() -> None:
    own, stranger = make_keys(), make_keys()
    with member(own.public) as (there, _):
        assert peers.reach(there, own).verdict == Verdict.GOOD
        refused = peers.reach(there, stranger)
        assert refused.verdict == Verdict.BAD
        assert "refuses this node's key" in refused.text


@pytest.mark.parametrize(
    ("address", "verdict", "said"),
    [
        ("127.0.0.1:9", Verdict.WARNING, "isn't reached"),
        ("", Verdict.WARNING, "told nobody where it is"),
        ("no.such.host.invalid:9", Verdict.BAD, "isn't known"),
    ],
)
def test_a_member_that_is_not_there_is_told(address: str, verdict: Verdict, said: str) -> None:
    seen = peers.reach(Member(node=bytes(8), key=make_keys().public, address=address), make_keys())
    assert seen.verdict == verdict
    assert said in seen.text


def test_a_members_directory_wants_its_configuration_and_the_other_way_round(tmp_path: Path) -> None:
    data = tmp_path / "data"
    place = ClusterSection(listen="127.0.0.1:17469")
    alone = of(data)
    assert alone.config is not None
    member = attrs.evolve(alone, config=attrs.evolve(alone.config, cluster=place))
    assert [one.verdict for one in peers.check(alone)] == [Verdict.SKIPPED]
    assert "belongs to no cluster" in "".join(one.text for one in peers.check(member))
    found(data, "test", Place(address="127.0.0.1:17469"))
    assert [one.verdict for one in peers.check(member)] == [Verdict.GOOD]
    (wrong, *_) = peers.check(alone)
    assert wrong.verdict == Verdict.BAD
    assert "cluster.listen isn't set" in wrong.text


def test_members_that_all_fail_together_are_told() -> None:
    two = [Member(node=bytes([n]) * 8, address=f"10.0.0.{n}:1", server="one") for n in (1, 2)]
    assert [one.verdict for one in peers._labels(two)] == [Verdict.WARNING]
    unsaid = [Member(node=bytes([n]) * 8, address=f"10.0.0.1:{n}") for n in (1, 2)]
    assert [one.verdict for one in peers._labels(unsaid)] == [Verdict.WARNING]
    apart = [Member(node=bytes([n]) * 8, address=f"10.0.0.{n}:1") for n in (1, 2)]
    assert list(peers._labels(apart)) == []
