"""Two nodes' groups of the same tables, in another order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.replication.members import table
from tests.replication.place import FIRST, Place, place


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    one = place(tmp_path / "here", (table("t"), table("u")), {"t": FIRST, "u": FIRST})
    yield one
    one.store.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    one = place(tmp_path / "there", (table("u"), table("t")), {"t": FIRST, "u": FIRST})
    yield one
    one.store.close()
