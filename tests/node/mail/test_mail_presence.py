"""Sessions come and go."""

from node.mail import effects, numbering, presence
from tests.node.mail.core import ALICE, BOB, STREAM, Core, Handle


def test_a_session_is_welcomed_with_what_waits() -> None:
    core = Core()
    handle = core.online(BOB, box=(3, 30))
    assert (effects.BACKLOG, handle, 3) in core.asked(effects.BACKLOG)


def test_the_next_session_takes_the_place_and_what_was_in_flight() -> None:
    core = Core()
    core.pair()
    old = core.online(BOB)
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    assert len(core.asked(effects.DELIVER)) == 1
    new = core.online(BOB)
    assert [effect[4] for effect in core.asked(effects.DELIVER)] == [1]
    presence.offline(core.state, BOB, old)
    assert core.state.sessions[BOB] is new


def test_who_is_gone_before_the_box_is_loaded_is_not_welcomed() -> None:
    core = Core()
    handle = Handle()
    presence.online(core.state, BOB, handle)
    presence.offline(core.state, BOB, handle)
    from node.mail import loading

    core.asked()
    loading.box_loaded(core.state, BOB, None, 0, known=True)
    assert core.asked() == []
    assert core.state.boxes == {}


def test_a_login_whose_box_cannot_be_read_is_refused() -> None:
    core = Core()
    handle = Handle()
    presence.online(core.state, BOB, handle)
    core.asked()
    from node.mail import loading

    loading.box_failed(core.state, BOB)
    assert core.asked() == [(effects.BACKLOG, handle, -1)]
