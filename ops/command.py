"""`waystation`: the composition root. Commands live in modules of their own, loaded when they are called.

What the list of commands says of each is written here, for the list loads none of them.
"""

from importlib.metadata import version

from cyclopts import App

app = App(
    name="waystation",
    help="The server side of a phone messenger.",
    version=lambda: version("waystation"),
)
app.command("ops.run:run", name="run", help="Run a node in the foreground.")
app.command(
    "ops.systemd.install:install_service",
    name="install-service",
    help="Write systemd units, user and directories for nodes of this server.",
)
app.command(
    "ops.chat:chat",
    name="chat",
    help="Talk in the terminal as one phone number.\n\n"
    "The first time, a PIN is asked for, which the node prints (or sends by its SMS gateway)."
    " Without --ca and --fingerprint the server's certificate is trusted when it is first seen,"
    " and must then stay the same.",
)
app.command(
    "ops.admin:app", name="admin", help="Ask a running node for one command, or tell it to do something."
)
app.command("ops.admin_key:app", name="admin-key", help="Who may operate a node: make, allow, revoke, list.")
app.command(
    "ops.wsar:wsar",
    name="wsar",
    help="What nodes did, second by second, as sar prints it: from their histories, or live.",
)
app.command(
    "ops.shell:shell", name="shell", help="Operate running nodes from a prompt, with completion and history."
)
app.command(
    "ops.top:top",
    name="top",
    help="Rates, queues, latency, memory and alarms of running nodes, every second.",
)
app.command(
    "ops.scraping:prometheus",
    name="prometheus",
    help="Which endpoints of nodes Prometheus is to scrape, as a file that it reads.",
)
app.command("ops.cluster:app", name="cluster", help="Several nodes as one: begin, join, look, change.")
app.command(
    "ops.doctor.command:doctor",
    name="doctor",
    help="Look at what could be wrong with a node, and say what to do.\n\n"
    "Exit status: 0 if there is nothing to do, 1 if there is something to look at, 2 if something is wrong.",
)
app.command("ops.accounts:app", name="accounts", help="Accounts of a stopped node: import.")
app.command(
    "ops.storage:app", name="store", help="Tables of a node: info, verify, backup, restore, dump, load."
)
app.command(
    "ops.storage:restore",
    name="restore",
    help="Make a data directory from a backup, of a stopped node or a running one.",
)
app.command(
    "ops.history.command:check_history",
    name="check-history",
    help="Check histories against the promises.\n\nExit status 0 if all held, 1 if one was broken, 2 if unreadable.",
)
app.command("ops.bench.command:app", name="bench", help="Measure a node, and a peer in the same run.")
app.command(
    "ops.soak:soak",
    name="soak",
    help="Load a node, make everything go wrong that can, and check the promises.\n\n"
    "Exit status: 0 if every promise held and memory was flat, 1 if not.",
)
app.command(
    "ops.simulation.command:simulate",
    name="simulate",
    help="Run several nodes' cores on a virtual network, disk and clock, a seed to a run.\n\n"
    "Exit status 0 if every promise held, 1 if not, 2 if the command makes no sense.",
)
app.command(
    "ops.tables.command:app",
    name="drill",
    help="Real processes of a cluster under faults, judged afterwards.",
)


def main() -> None:
    """The entry point of the `waystation` command."""
    app()


if __name__ == "__main__":
    main()
