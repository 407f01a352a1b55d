"""Which of those that we compare ourselves with are on this machine: tests of the others are skipped."""

from collections.abc import Callable

import pytest

from ops.bench.ejabberd import EjabberdMissingError, find_ejabberd
from ops.bench.mnesia import MnesiaMissingError, find_mnesia


def _is_missing(find: Callable[[], object], missing: type[Exception]) -> bool:
    try:
        find()
    except missing:
        return True
    return False


with_ejabberd = pytest.mark.skipif(
    _is_missing(find_ejabberd, EjabberdMissingError), reason="ejabberd is not installed"
)
"""apt-get install --no-install-recommends ejabberd"""
with_mnesia = pytest.mark.skipif(
    _is_missing(find_mnesia, MnesiaMissingError), reason="Mnesia is not installed"
)
"""apt-get install --no-install-recommends erlang-base erlang-mnesia"""
