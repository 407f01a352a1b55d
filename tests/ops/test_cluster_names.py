"""How a member is named on the command line."""

import pytest

from ops.cluster import named_member
from ops.config import ConfigError

KEY = "-@k}xJ1@$Uw[w9B(=3rY>eqo7gDQC*Xf%pS4zTb/"


def test_a_key_may_hold_what_parts_it_from_the_address() -> None:
    assert named_member(f"{KEY}@10.0.0.1:7500") == (KEY, "10.0.0.1:7500")
    assert named_member(f"{KEY}@[2001:db8::1]:7500") == (KEY, "[2001:db8::1]:7500")


@pytest.mark.parametrize("text", [KEY, f"{KEY}@", f"{KEY[:-1]}@10.0.0.1:7500", "10.0.0.1:7500"])
def test_what_names_no_member_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="KEY@HOST:PORT"):
        named_member(text)
