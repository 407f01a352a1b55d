"""`waystation`: the composition root. Commands live in modules of their own, loaded when they are called."""

from importlib.metadata import version

from cyclopts import App

app = App(
    name="waystation",
    help="The server side of a phone messenger.",
    version=lambda: version("waystation"),
)
app.command("ops.run:run", name="run")
app.command("ops.chat:chat", name="chat")
app.command("ops.accounts:app", name="accounts")
app.command("ops.storage:app", name="store")
app.command("ops.history.command:check_history", name="check-history")
app.command("ops.bench.command:app", name="bench")
app.command("ops.soak:soak", name="soak")


def main() -> None:
    """The entry point of the `waystation` command."""
    app()


if __name__ == "__main__":
    main()
