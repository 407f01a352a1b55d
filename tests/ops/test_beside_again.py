"""What runs beside the second node of a process: made anew, but for what the process knows of itself."""

from pathlib import Path

import attrs

from admin.knobs.loglevel import LogLevel, LogSettings
from node.running import NodeSettings
from ops.beside import Beside
from ops.config import Config


def test_a_log_level_that_a_knob_had_turned_is_the_configuration_s_again(tmp_path: Path) -> None:
    """Or what was set for a time would hold for ever: the next node takes it for the configuration's."""
    config = Config(base=tmp_path)
    settings = NodeSettings(data=tmp_path, listeners=())
    level = LogLevel(config.node.log)
    first = Beside(config, settings, level)
    level.put(LogSettings(log="debug"))
    second = Beside(config, settings, level, first)
    assert level.settings.log == config.node.log == "info"
    assert second._reloading is first._reloading is not None
    without = attrs.evolve(config, admin=attrs.evolve(config.admin, enabled=False))
    assert Beside(without, settings, level)._reloading is None
