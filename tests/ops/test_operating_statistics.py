"""Commands of statistics on a node that serves."""

from pathlib import Path
from typing import Any

import attrs
import pytest

from admin.channel.errors import Refused
from admin.commands import statistics as commands
from admin.statistics.alarms import AlarmSettings
from admin.statistics.catalogue import CATALOGUE
from admin.statistics.figures import UNKNOWN
from admin.statistics.history import HistoryWriter
from admin.statistics.service import Statistics
from admin.statistics.settings import StatisticsSettings
from ops.sampling import parts_of
from tests.ops.operated import ALICE, BOB, Operated, operated


async def sampled(node: Operated) -> Statistics:
    """After a sample of its own."""
    statistics: Statistics = node.operating.services[Statistics]
    await statistics.look(0.0)
    return statistics


async def test_rates_and_queues_are_those_of_the_node(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        alice, _ = await node.node.login(ALICE), await node.node.login(BOB)
        await sampled(node)
        await alice.send(*(ALICE.send(BOB, n) for n in (1, 2, 3)))
        await node.node.settle()
        await sampled(node)
        (sends,) = await node.ask("rates mail.sends")
        assert sends["figure"] == "mail.sends"
        assert sends["100s"] > 0
        everything = await node.ask("rates --all")
        assert len(everything) > len(await node.ask("rates"))
        queues: list[dict[str, Any]] = await node.ask("queues")
        (mail,) = [queue for queue in queues if queue["queue"] == "mail"]
        assert mail["length"] == 3
        assert len(await node.ask("queues --all")) > len(queues)
        with pytest.raises(Refused, match="nothing is counted below 'nothing'"):
            await node.ask("rates nothing --all")


async def test_alarms_are_shown_by_their_command_and_in_stats(tmp_path: Path) -> None:
    quiet = AlarmSettings(raise_after_s=0, lag_s=0, disk_share=0, disk_bytes=0, loop_lag_ms=0, memory_share=0)
    async with operated(tmp_path) as node:
        statistics: Statistics = node.operating.services[Statistics]
        statistics.settings = StatisticsSettings(alarms=attrs.evolve(quiet, memory_share=1e-9))
        await sampled(node)
        (alarm,) = await node.ask("alarms")
        assert (alarm["name"], alarm["threshold"]) == ("memory", 1e-9)
        assert [one["name"] for one in await node.ask("stats alarms")] == ["memory"]
        assert await node.ask("stats statistics.alarms") in (0, 1)
        statistics.settings = StatisticsSettings(alarms=quiet)
        await sampled(node)
        assert await node.ask("alarms") == []
        (past,) = await node.ask("alarms --past")
        assert past["name"] == "memory"
        assert (await node.ask("stats system.memory.resident_bytes")) > 1 << 20


async def test_the_history_is_read_by_seconds_and_put_together(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        statistics: Statistics = node.operating.services[Statistics]
        kept: HistoryWriter | None = statistics.history
        assert kept is not None
        for second in range(1, 11):
            kept.keep(2e9 + second, 1.0, {"sessions": float(second), "hub.lag_us.p99": float(second)})
        rows = await node.ask("history sessions --last 5s")
        assert [row["sessions"] for row in rows] == [6, 7, 8, 9, 10]
        (row, *_) = rows = await node.ask("history sessions hub.lag_us.p99 --last 10s --every 5s")
        assert len(rows) == 2
        assert (row["sessions"], row["hub.lag_us.p99"]) == (3, 5)
        assert await node.ask("history sessions --last 2h") == [], "the first minute isn't over"
        with pytest.raises(Refused, match="there is no figure 'nothing'"):
            await node.ask("history nothing")
        with pytest.raises(Refused, match="too many"):
            await node.ask(f"history {'sessions ' * (commands.FIGURES_MAX + 1)}")


async def test_what_runs_beside_the_node_is_sampled_too_and_every_figure_of_it_is_known(
    tmp_path: Path,
) -> None:
    async with operated(tmp_path) as node:
        statistics: Statistics = node.operating.services[Statistics]
        statistics.parts.update(parts_of(node.operating.services))
        await node.ask("ping")
        with pytest.raises(Refused):
            await node.ask("nothing of the kind")
        await sampled(node)
        await sampled(node)
        found = statistics.figures()
        assert [path for path in found if CATALOGUE.of(path) is UNKNOWN] == []
        assert found["admin.requests"] == 2
        assert found["knobs.kept"] == found["reload.applied"] == 0


def test_an_answer_of_history_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "h"
    with HistoryWriter(path) as history:
        for second in range(3_600):
            history.keep(1e9 + second, 1.0, {"sessions": 1.0})
    rows = commands._read(path, ("sessions",), 3_600.0, None, kept=False)
    assert 500 <= len(rows) <= commands.ROWS_MAX


async def test_a_node_without_statistics_says_so(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        del node.operating.services[Statistics]
        with pytest.raises(Refused, match="runs without Statistics"):
            await node.ask("queues")
