"""What must hold of the mail core's state between any two events, over all its parts at once. For tests and
simulations: it looks at everything. What concerns one pair alone is `Pair.check`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.mail.pair import Pair
    from node.mail.state import Box, MailState


def check(state: "MailState") -> None:
    """Raise AssertionError, naming what is wrong."""
    for key, pair in state.pairs.items():
        assert pair.key == key
        assert pair.box.pairs[pair.sender, pair.stream] is pair
        assert state.boxes[pair.recipient] is pair.box
        pair.check()
    _check_sums(state)
    _check_queues(state)
    _check_loads(state)
    for box in state.boxes.values():
        _check_box(state, box)
    for sender, of_sender in state.owed.items():
        assert of_sender, f"nothing is owed to {sender}, and kept"
    for user, session in state.arriving.items():
        assert user in state.box_loading, f"{session} of {user} waits for nothing"


def _check_sums(state: "MailState") -> None:
    messages = [m for pair in state.pairs.values() for m in pair.pending.values()]
    size = sum(message.size for message in messages)
    assert (state.pending, state.pending_bytes) == (len(messages), size), (state.pending, state.pending_bytes)
    assert sum(box.pending for box in state.boxes.values()) == sum(not m.committing for m in messages)
    assert state.doomed == sum(len(pair.doomed) for pair in state.pairs.values())
    asked = sum(pair.asked for pair in state.pairs.values())
    assert state.held_bytes >= 0
    assert state.abandoned >= 0
    waited_for = state.loads_waiting or asked or state.abandoned
    assert waited_for or not state.held_bytes, "bytes are held for nobody"


def _check_queues(state: "MailState") -> None:
    """Whatever is to be written stands in a queue that is looked at."""
    due = {id(message) for queue in (state.urgent, state.delayed) for _, message in queue}
    batch = {id(message) for _, message in state.committing.messages} if state.committing else set()
    dirty = {id(pair) for _, pair in state.dirty}
    for pair in state.pairs.values():
        for message in pair.pending.values():
            assert id(message) in (batch if message.committing else due), (
                f"{message!r} of {pair!r} is forgotten"
            )
        assert not pair.dirty or pair.parked or id(pair) in dirty, f"never written: {pair!r}"
    owed_due = {id(owed) for _, owed in state.dirty_owed}
    for of_sender in state.owed.values():
        for owed in of_sender.values():
            assert not owed.dirty or id(owed) in owed_due, f"never written: {owed}"
    for _, pair in state.dirty:
        assert not pair.dirty or state.pairs.get(pair.key) is pair, (
            f"a stale object would be written: {pair!r}"
        )


def _check_loads(state: "MailState") -> None:
    assert state.loads_waiting == sum(map(len, state.loading.values()))
    loads: dict[int, int] = {}
    for recipient, _, _ in state.loading:
        loads[recipient] = loads.get(recipient, 0) + 1
    assert loads == state.loads_of


def _check_box(state: "MailState", box: "Box") -> None:
    settings = state.settings
    assert box.count >= 0, box
    assert box.bytes >= 0, box
    assert box.pending >= 0, box
    assert box.pending_bytes >= 0, box
    hungry = list(box.hungry or ())
    assert all(pair.hungry for pair in hungry), box
    assert sum(pair.hungry for pair in box.pairs.values()) == len(hungry), box
    if box.session is None:
        assert not hungry, box
        assert not box.fetching, box
        needed = box.pairs or box.dirty or box.user in state.box_loading or box.user in state.loads_of
        assert needed, f"a box that nobody needs: {box}"
        return
    live = [pair for pair in box.pairs.values() if pair.seen is box.session]
    assert box.inflight == sum(len(pair.inflight) for pair in live), box
    assert box.inflight_bytes == sum(size for pair in live for size, _ in pair.inflight.values()), box
    assert box.fetching == sum(pair.fetching for pair in live), box
    assert box.inflight <= settings.window, box
    for pair in live:
        assert len(pair.inflight) <= settings.pair_share, pair
        _check_turn(state, box, pair)
    if (
        hungry
        and not box.discovering
        and box.inflight < settings.window
        and box.inflight_bytes < settings.window_bytes
    ):
        from node.mail.delivery import FETCHES_MAX

        assert box.fetching >= FETCHES_MAX, f"there is room, and nobody is served: {box}"


def _check_turn(state: "MailState", box: "Box", pair: "Pair") -> None:
    """A pair with something to hand over has a turn to come; one without a cursor has nothing."""
    if not pair.cursor and not state.settings.sync_first:
        missing = [n for n in pair.pending if n not in pair.inflight]
        assert not missing, f"{missing} are not handed over, and nobody will look: {pair!r}"
