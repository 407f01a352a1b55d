"""How long a reload is watched, and what with."""

import attrs


@attrs.frozen(kw_only=True)
class ReloadSettings:
    """watch_s: how long after a change; before_s: what it is compared with; sample_s: between two pictures."""

    watch_s: float = 60.0
    before_s: float = 60.0
    sample_s: float = 1.0

    def __attrs_post_init__(self) -> None:
        assert 0 < self.sample_s <= self.before_s
        assert self.watch_s >= 0
