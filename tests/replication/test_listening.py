"""What a replica reports is logged a few times and always counted."""

from structlog.testing import capture_logs

from replication.listening import LOGGED_MAX, LOGGED_S, GroupListener


def test_a_flood_of_reports_is_counted_and_not_logged_one_by_one() -> None:
    now = [0.0]
    reports: dict[str, int] = {}
    listener = GroupListener("users", reports, lambda *_: None, lambda: now[0])
    with capture_logs() as logs:
        for partition in range(100):
            listener.report("takeover", {"partition": partition, "from": b"\x01"})
        listener.report("another", {})
    assert reports == {"takeover": 100, "another": 1}
    assert [one["event"] for one in logs].count("takeover") == LOGGED_MAX
    assert (logs[0]["partition"], logs[0]["from"]) == ("0", "01")
    assert logs[LOGGED_MAX]["kind"] == "takeover", "that there were more is said once"
    assert len(logs) == LOGGED_MAX + 2
    now[0] = LOGGED_S + 1
    with capture_logs() as logs:
        listener.report("takeover", {"partition": 7})
    assert logs[0]["partition"] == "7", "later ones are news again"
