"""What `cluster status` shows of members fits 100 columns, unless one changes its key, and nothing is left out."""

from io import StringIO

from admin.commands.clusterstatus import ADDRESSES, KEYS, MEMBERS
from admin.shell.rendering import console, show
from replication.core.state import ALIVE
from replication.detector import Detector
from replication.detectorstate import DetectorSettings
from replication.membership import status
from replication.membership.member import LEAVING, Member

WIDEST = {
    "node": "0123456789abcdef", "state": "invited", "alive": "unreachable", "server": "rack4-12",
    "cluster": "frankfurt", "primary": 1024, "heir": 1024, "release": "10.12.3", "speaks": [10, 11],
    "weight": 10_000, "rack": "room-2-4", "address": "203.0.113.200:65535", "public": "203.0.113.200:65535",
    "key": "k" * 40, "next_key": "",
}  # fmt: skip


def test_each_table_fits_100_columns() -> None:
    for names in (MEMBERS, ADDRESSES, KEYS):
        out = StringIO()
        show({"of members": [{name: WIDEST[name] for name in names}] * 2}, console(out))
        assert "0123456789abcdef" in out.getvalue()
        assert max(map(len, out.getvalue().splitlines())) <= 100, names


def test_together_they_have_all_that_is_known_of_a_member() -> None:
    node = b"8 bytes!"
    detector = Detector(node, [node], b"bootboot", DetectorSettings(), ALIVE)
    (row,) = status.members([Member(node=node, state=LEAVING, key="k")], node, detector, {}, lambda _: "1.0")
    assert row.keys() == {*MEMBERS, *ADDRESSES, *KEYS}
