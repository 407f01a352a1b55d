"""Who isn't taken, and how that is said."""

from __future__ import annotations

import errno
import resource
import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.hub.admission import (
    ADDRESS_FULL,
    ADDRESSES_MAX,
    REFUSALS,
    TOO_MANY,
    TOO_OFTEN,
    Admission,
    network_of,
)
from node.hub.errors import DescriptorsTooFew
from node.hub.hub import CONNECTIONS_LEAST, Hub
from node.hub.listener import Listener, open_socket
from node.hub.settings import HubSettings, ListenerSettings
from tests.node.hub.echo import EchoHandler, framed


def refused(rig, reason, count):
    rig.pump(lambda: rig.hub.statistics().refused.get(reason) == count)


def test_too_many_in_all(make_rig, transport):
    rig = make_rig(tls=transport, settings=HubSettings(connections_max=2))
    first, second = rig.connect(), rig.connect()
    third = rig.peer()
    refused(rig, TOO_MANY, 1)
    assert third.rest() == (b"" if transport else b"refused too_many")
    first.close()
    rig.pump(lambda: rig.hub.statistics().connections == 1)
    fourth = rig.connect()
    for peer in (second, fourth):
        peer.send(framed(b"x"))
        assert peer.read(5) == framed(b"x")
    assert rig.hub.statistics().refused == {TOO_MANY: 1}
    assert rig.hub.statistics().accepted == 3


def test_too_many_from_one_address(make_rig):
    rig = make_rig(settings=HubSettings(connections_per_address_max=2))
    rig.connect(source="127.0.0.1")
    first = rig.connect(source="127.0.0.1")
    third = rig.peer(source="127.0.0.1")
    assert third.rest() == b"refused address_full"
    other = rig.connect(source="127.0.0.2")
    other.send(framed(b"x"))
    assert other.read(5) == framed(b"x")
    first.close()
    rig.pump(lambda: rig.hub.statistics().connections == 2)
    rig.connect(source="127.0.0.1")
    assert rig.hub.statistics().refused == {ADDRESS_FULL: 1}


def test_too_often_from_one_address(make_rig):
    settings = HubSettings(accepts_per_address_max=3, accept_window_s=5)
    rig = make_rig(settings=settings)
    for _ in range(3):
        rig.connect().close()
    assert rig.peer().rest() == b"refused too_often"
    rig.connect(source="127.0.0.2")
    rig.seconds(4)
    assert rig.peer().rest() == b"refused too_often"
    rig.seconds(1)
    rig.connect()
    assert rig.hub.statistics().refused == {TOO_OFTEN: 2}


def test_a_refused_peer_reads_why_although_it_has_sent(make_rig):
    rig = make_rig(settings=HubSettings(connections_max=1))
    rig.connect()
    peer = rig.peer()
    peer.send(framed(b"hello"))
    assert peer.rest() == b"refused too_many"


def test_so_many_accepts_a_pass(make_rig):
    rig = make_rig(settings=HubSettings(accepts_per_pass_max=3))
    peers = [rig.peer() for _ in range(10)]
    made = []
    rig.handler.end_pass = lambda: made.append(len(rig.handler.made))
    rig.pump(lambda: len(rig.handler.made) == 10)
    assert max(after - before for before, after in zip([0, *made], made, strict=False)) == 3
    assert all(peer.nothing() for peer in peers)


class Failing(Listener):
    """A listener whose accepts fail as told."""

    __slots__ = ("errors",)

    def accept(self):
        if self.errors:
            raise OSError(self.errors.pop(0), "as told")
        return super().accept()


def failing(rig, *errors):
    listener = Failing(ListenerSettings(), open_socket(ListenerSettings()), rig.hub._acceptor)
    listener.errors = list(errors)
    rig.hub._acceptor.listeners.append(listener)
    rig.hub._pollset.add(listener, select.EPOLLIN)
    return listener


def test_an_accept_that_fails_for_the_peers_sake_is_passed_over(make_rig):
    rig = make_rig()
    listener = failing(rig, errno.ECONNABORTED, errno.EPROTO)
    peer = rig.peer(to=listener)
    rig.turn()
    assert len(rig.handler.open) == 1
    assert rig.hub.statistics().accept_errors == 2
    peer.close()


def test_an_accept_that_fails_for_lack_of_memory_is_tried_again_in_a_second(make_rig):
    rig = make_rig()
    listener = failing(rig, errno.ENOMEM)
    rig.peer(to=listener)
    rig.turn()
    assert not rig.handler.open
    passes = rig.hub.statistics().passes
    for _ in range(10):
        rig.turn()
    assert rig.hub.statistics().passes == passes, "the hub spins on an accept that fails"
    rig.seconds(rig.settings.accept_pause_s)
    rig.pump(lambda: len(rig.handler.open) == 1)
    assert rig.hub.statistics().accept_errors == 1


def test_descriptors_are_kept_in_reserve_for_other_parts(make_rig):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    rig = make_rig(settings=HubSettings(descriptors_reserved=soft - CONNECTIONS_LEAST))
    assert rig.hub.connections_max == CONNECTIONS_LEAST
    for _ in range(CONNECTIONS_LEAST):
        rig.connect()
    assert rig.peer().rest() == b"refused too_many"


def test_no_hub_where_descriptors_leave_room_for_next_to_nobody():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    settings = HubSettings(descriptors_reserved=soft - CONNECTIONS_LEAST + 1)
    with pytest.raises(DescriptorsTooFew, match=rf"may open {soft} files.*ulimit -Hn"):
        Hub(settings, EchoHandler())


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_what_counts_as_one_address(host, network):
    assert network_of(host) == network


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "c"])), max_size=80),
    st.integers(1, 8),
    st.integers(0, 4),
)
def test_admission_counts_as_a_list_would(steps, in_all, per_address):
    settings = HubSettings(connections_per_address_max=per_address)
    admission = Admission(settings, in_all)
    present: list[str] = []
    for coming, address in steps:
        if coming:
            reason = admission.refuse(address, 0)
            full = per_address and present.count(address) >= per_address
            assert reason == (TOO_MANY if len(present) >= in_all else ADDRESS_FULL if full else None)
            assert reason is None or reason in REFUSALS
            if reason is None:
                assert admission.enter(address) == address
                present.append(address)
        elif address in present:
            admission.leave(address)
            present.remove(address)
        admission.check()
        assert admission.connections == len(present)


def test_the_window_of_accepts_forgets_rather_than_grow():
    admission = Admission(HubSettings(accepts_per_address_max=1), 10)
    for number in range(ADDRESSES_MAX + 10):
        assert admission.refuse(str(number), 0) is None
        assert len(admission._recent) <= ADDRESSES_MAX
