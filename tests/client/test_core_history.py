"""Phones talk through a node, and everything dies at every point: nothing accepted is lost, nothing handed twice.

The rules are small steps (one frame, one commit), so that Hypothesis can put a crash between any two of them.
"""

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from client.errors import LoginRefused, NotRegistered, OutboxFull
from client.events import Kind
from tests.client.fake_node import FakeNode
from tests.client.phone import MemoryStore, Phone, Store

USERS = (1001, 1002, 1003)
users = st.sampled_from(USERS)
deaths = st.sampled_from(["", "", "", "commit", "frames", "end"])


class History(RuleBasedStateMachine):
    make_store: Callable[[], Store] = MemoryStore

    @initialize()
    def begin(self) -> None:
        self.node = FakeNode(window=4)
        self.phones = {user: Phone(user, self.node, type(self).make_store()) for user in USERS}
        self.bodies = 0
        for phone in self.phones.values():
            phone.register()

    # ---- the apps ------------------------------------------------------------------------------------

    @rule(sender=users, recipient=users, count=st.integers(1, 6), death=deaths)
    def send(self, sender: int, recipient: int, count: int, death: str) -> None:
        phone = self.phones[sender]
        try:
            for at in range(count):
                self.bodies += 1
                phone.send(recipient, b"message %d" % self.bodies, death if at == count - 1 else "")
        except (OutboxFull, LoginRefused, NotRegistered):
            pass

    @rule(user=users)
    def hand(self, user: int) -> None:
        self.phones[user].hand()

    @rule(user=users, death=deaths)
    def ack(self, user: int, death: str) -> None:
        self.phones[user].ack(read=True, stop_before=death)

    @rule(user=users)
    def take_news(self, user: int) -> None:
        self.phones[user].take_news()

    # ---- the network ---------------------------------------------------------------------------------

    @rule(user=users, count=st.integers(1, 8))
    def up(self, user: int, count: int) -> None:
        for _ in range(count):
            self.phones[user].write_one()

    @rule(user=users, count=st.integers(1, 8))
    def down(self, user: int, count: int) -> None:
        for _ in range(count):
            self.phones[user].read_one()

    @rule(user=users)
    def drop(self, user: int) -> None:
        self.phones[user].disconnect()

    @rule(user=users)
    def connect(self, user: int) -> None:
        self.phones[user].connect()

    @rule(user=users)
    def settle(self, user: int) -> None:
        self.phones[user].settle()

    @rule(user=users, seconds=st.sampled_from([0.2, 1.0, 30.0, 100.0]))
    def wait(self, user: int, seconds: float) -> None:
        self.phones[user].advance(seconds)

    # ---- faults --------------------------------------------------------------------------------------

    @rule(user=users, death=st.sampled_from(["commit", "frames", "end"]))
    def crash(self, user: int, death: str) -> None:
        self.phones[user].step(stop_before=death)

    @rule(faults=st.lists(st.sampled_from(["busy", "refuse", "lose", ""]), max_size=5))
    def trouble(self, faults: list[str]) -> None:
        self.node.faults = faults

    @rule()
    def flush(self) -> None:
        self.node.flush()

    @rule()
    def node_crash(self) -> None:
        self.node.crash()

    # ---- what must hold ------------------------------------------------------------------------------

    @invariant()
    def sound(self) -> None:
        for phone in getattr(self, "phones", {}).values():
            phone.core.check()
            assert phone.core.receiving.inbox_count <= phone.settings.inbox_max + self.node.window

    def teardown(self) -> None:
        if not hasattr(self, "phones"):
            return
        self.heal()
        for phone in self.phones.values():
            sending, receiving = phone.core.sending, phone.core.receiving
            assert sending.outbox_count == 0
            assert receiving.inbox_count == 0
            assert all(pair.is_settled for pair in receiving._incoming.values())
            self.check_received(phone)
            self.check_told(phone)

    def heal(self) -> None:
        """No more faults; run until nothing moves."""
        self.node.faults = []
        still = 0
        for _ in range(400):
            before = self.mark()
            for phone in self.phones.values():
                phone.advance(61.0)
                phone.settle()
                phone.hand()
                phone.ack(read=True)
                phone.take_news()
            self.node.flush()
            still = still + 1 if self.mark() == before else 0
            if still == 3:
                return
        raise AssertionError("it never comes to rest")

    def mark(self) -> object:
        return (
            [
                (len(phone.diary.handed), len(phone.diary.receipts), phone.core.sending.outbox_count)
                for phone in self.phones.values()
            ],
            {key: (dict(pair.stored), set(pair.told_gone)) for key, pair in self.node.memory.pairs.items()},
        )

    def check_received(self, phone: Phone) -> None:
        """Everything accepted was handed over, in order, with its body; nothing else was."""
        first_handed: dict[tuple[int, bytes], list[int]] = {}
        for message in phone.diary.handed:
            numbers = first_handed.setdefault((message.sender, message.stream), [])
            if message.number not in numbers:
                numbers.append(message.number)
            key = (phone.user, message.sender, message.stream)
            assert self.node.numbers[key][message.number] == message.body
        for (sender, stream), numbers in first_handed.items():
            assert numbers == sorted(numbers), f"{sender} {stream!r}"
        expected = {key for key in self.node.accepted if key[0][0] == phone.user}
        handed = {
            ((phone.user, sender, stream), number)
            for (sender, stream), numbers in first_handed.items()
            for number in numbers
        }
        assert expected <= handed, "an accepted message was lost"

    def check_told(self, phone: Phone) -> None:
        """Every message sent came to an end, and the app was told which."""
        refused = phone.told(Kind.REFUSED)
        for key, body in phone.diary.sent.items():
            recipient, stream, number = key
            accepted = self.node.accepted.get(((recipient, phone.user, stream), number))
            assert (accepted == body) != (key in refused), "neither accepted nor refused, or both"
            if accepted is not None:
                assert key in phone.told(Kind.DELIVERED)
                assert key in phone.told(Kind.READ)
        for key in phone.diary.accepted:
            assert ((key[0], phone.user, key[1]), key[2]) in self.node.accepted
        for (recipient, sender, _), numbers in self.node.numbers.items():
            if sender == phone.user:
                assert sorted(numbers) == list(range(1, len(numbers) + 1)), f"a gap towards {recipient}"


def test_the_first_copy_of_a_message_is_refused_and_its_repeat_taken() -> None:
    history = History()
    history.begin()
    history.trouble(["refuse"])
    history.send(1001, 1001, 1, "")
    history.up(1001, 1)
    history.phones[1001].advance(61.0)  # the answer is there, and not read yet
    history.settle(1001)
    history.sound()
    history.teardown()
    phone = history.phones[1001]
    assert phone.core.sending.unsure == 1
    assert [message.body for message in phone.diary.handed] == [b"message 1"]


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=80,
    stateful_step_count=60,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)
