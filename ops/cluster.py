"""`waystation cluster`: a cluster is begun and joined with nodes that are stopped, and operated through one that runs.

What a running node is asked goes over its admin channel, as `waystation admin` does it; rights are those of its keys.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
from cyclopts import App, Parameter
from cyclopts.validators import Number

from admin.channel.errors import ChannelError
from node.founding import FoundingError, found, join
from ops.admin import admin, ask
from ops.clusterglance import glance
from ops.clusterhere import NODES_MAX, PORT, HereError, run_here
from ops.clustering import place_of
from ops.config import Config, ConfigError, read_config
from ops.failures import told
from replication.core.errors import ReplicationError
from replication.identity import DamagedIdentity
from replication.zeromq.errors import LinkError
from replication.zeromq.keys import ensure_keys, is_public_key
from store.directory import make_directory
from store.errors import StoreError

app = App(name="cluster", help="Several nodes as one: begin, join, look, change.")

File = Annotated[Path | None, Parameter(name="--config", help="The node's configuration file (TOML).")]
Data = Annotated[Path | None, Parameter(help="Data directory, instead of the file's node.data.")]
AsJson = Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")]

ERRORS: Final = (
    ConfigError,
    FoundingError,
    ReplicationError,
    StoreError,
    DamagedIdentity,
    LinkError,
    OSError,
)


def _config(file: Path | None, data: Path | None) -> Config:
    read = read_config(file)
    if data is not None:
        read = attrs.evolve(read, node=attrs.evolve(read.node, data=str(data.absolute())))
    return read


def _member(file: Path | None, data: Path | None) -> Config:
    read = _config(file, data)
    if not read.cluster.listen:
        raise ConfigError(
            "cluster.listen isn't set: name a configuration file (--config) that says in [cluster] where this node"
            " listens for others"
        )
    return read


def _say(as_json: bool, text: str, **facts: Any) -> None:
    sys.stdout.write((json.dumps(facts) if as_json else text) + "\n")


@app.command
def key(*, config: File = None, data: Data = None, as_json: AsJson = False) -> None:
    """Print the public key by which other nodes know this one, made if there is none: what `invite` wants."""
    with told(*ERRORS):
        directory = _config(config, data).data
        make_directory(directory)
        public = ensure_keys(directory).public
        _say(as_json, public, key=public, data=str(directory))


@app.command
def init(
    name: Annotated[str, Parameter(help="What the cluster is called.")],
    *,
    config: File = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Begin a cluster with this node, which must be stopped. If it stood alone, its users stay."""
    with told(*ERRORS):
        read = _member(config, data)
        founded = found(read.data, name, place_of(read.cluster))
        place = f"{founded.key}@{read.cluster.reached_at}"
        _say(
            as_json,
            _BEGUN.format(name=name, node=founded.node.hex(), place=place, data=read.data),
            name=name,
            node=founded.node.hex(),
            key=founded.key,
            place=place,
            partitions_kept=founded.kept,
        )


_BEGUN: Final = """\
The cluster {name!r} has one member, {node}. Start it with `waystation run`. For each further node:

    there    waystation cluster key                     prints its key
    here     waystation cluster invite KEY {data}
             --server NAME                              while this node runs; what the new one stands on
    there    waystation cluster join '{place}'
    there    waystation run

`there` with --config, as here."""


def named_member(text: str) -> tuple[str, str]:
    """(public key, address) of KEY@HOST:PORT. Keys may hold an @ themselves, addresses never do.

    Raises:
        ConfigError
    """
    public, _, address = text.rpartition("@")
    if not is_public_key(public) or not address:
        raise ConfigError(
            "the member is named by its key and its address, KEY@HOST:PORT, as `cluster init` and `cluster status`"
            " print them"
        )
    return public, address


@app.command(name="join")
def join_(
    member: Annotated[
        str, Parameter(help="KEY@HOST:PORT of any member that runs.", allow_leading_hyphen=True)
    ],
    *,
    config: File = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let this node, stopped and with an empty data directory, join a cluster whose members invited its key."""
    with told(*ERRORS):
        read = _member(config, data)
        public, address = named_member(member)
        joined = join(read.data, public, address, place_of(read.cluster))
        _say(
            as_json,
            f"This node is {joined.node.hex()} of the cluster {joined.name!r}. Start it with `waystation run`.",
            name=joined.name,
            node=joined.node.hex(),
            members=len(joined.rows),
        )


@app.command
def here(
    directory: Annotated[Path, Parameter(help="Where their configurations and data go; kept.")] = Path(
        "cluster"
    ),
    *,
    nodes: Annotated[int, Parameter(help="How many.")] = 3,
    port: Annotated[
        int, Parameter(help="For phones, of the first one.", validator=Number(gte=1_024, lte=60_000))
    ] = PORT,
) -> None:
    """Run a cluster on this machine, to try it out: talk over several nodes, kill one. Ctrl-C ends all."""
    with told(HereError, ChannelError, *ERRORS):
        if not 2 <= nodes <= NODES_MAX:
            raise HereError(f"{nodes} nodes: choose 2 to {NODES_MAX}")
        run_here(directory.absolute(), nodes, port)


# ---- through a node that runs ------------------------------------------------------------------------------

Node = Annotated[
    str, Parameter(help="A running member: its data directory, host:port, or a name of the list of nodes.")
]
Key = Annotated[str, Parameter(help="The secret key to ask with; else as `waystation admin`.")]


def _ask(node: str, key: str, as_json: bool, *words: str) -> None:
    admin(*_line(node, key, as_json, *words))


def _line(node: str, key: str, as_json: bool, *words: str) -> list[str]:
    options = [*(["--json"] if as_json else []), *([f"--key={key}"] if key else [])]
    return [node, *options, "cluster", *words]


def _options(**given: Any) -> list[str]:
    return [
        word for name, value in given.items() if value not in (None, "") for word in (f"--{name}", str(value))
    ]


@app.command
def status(node: Node = "data", *, key: Key = "", as_json: AsJson = False) -> None:
    """Show members, partitions, those at one copy and since when, links and versions."""
    ask(_line(node, key, as_json, "status"), glance)


@app.command(
    name="invite",
    help="Let a node join, whose public key this is.",
    help_flags=[],
    end_of_options_delimiter="",
)
def invite_(*tokens: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]) -> None:
    """A key may look like an option: what stands behind a `--` is none, but options may stand behind it."""
    inviting(unlike_options(tokens), result_action="return_value")


def unlike_options(tokens: Sequence[str]) -> list[str]:
    """With the key, and the node, behind a `--`, after all options. The key is what is one, or what the `--` names."""
    before, after = list(tokens), list[str]()
    if "--" in before:
        at = before.index("--")
        before, after = before[:at], before[at + 1 :]
    else:
        found = [n for n, word in enumerate(before) if is_public_key(word)]
        if found:
            before, after = before[: found[0]], before[found[0] :]
    named, options = after[:1], after[1:]
    if options and not options[0].startswith("-"):
        named.append(options.pop(0))
    return [*before, *options, "--", *named] if after else before


inviting = App(name="waystation cluster invite", version_flags=[])


@inviting.default
def invite(
    public_key: Annotated[str, Parameter(help="As `cluster key` printed it.", allow_leading_hyphen=True)],
    node: Node = "data",
    *,
    server: Annotated[str, Parameter(help="What the new node stands on.")] = "",
    rack: Annotated[str, Parameter(help="What that server stands in.")] = "",
    weight: Annotated[int, Parameter(help="Its share of the partitions.")] = 100,
    cluster: Annotated[str, Parameter(help="The label of another cluster that it belongs to.")] = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Let a node join, whose public key this is. A key that looks like an option stands behind a `--`."""
    if is_public_key(node) and not is_public_key(public_key):
        public_key, node = node, public_key  # NODE -- KEY
    options = _options(server=server, rack=rack, weight=weight, cluster=cluster)
    _ask(node, key, as_json, "invite", *options, "--", public_key)


@app.command
def change(
    member: Annotated[str, Parameter(help="Its id, or the first digits of it.")],
    node: Node = "data",
    *,
    weight: Annotated[int | None, Parameter(help="Its share of the partitions.")] = None,
    server: Annotated[str, Parameter(help="What it stands on.")] = "",
    rack: Annotated[str, Parameter(help="What its server stands in.")] = "",
    address: Annotated[str, Parameter(help="Where other nodes reach it, host:port.")] = "",
    public: Annotated[
        str, Parameter(help="Where phones find it and no other, host:port; none: nowhere.")
    ] = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Give a member another weight, other labels, or other addresses."""
    options = _options(weight=weight, server=server, rack=rack, address=address, public=public)
    _ask(node, key, as_json, "change", member, *options)


@app.command
def leave(
    node: Node = "data",
    *,
    yes: Annotated[bool, Parameter(negative="", help="Yes, this is meant.")] = False,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Let a node hand over everything, and be a member no more. Waits until it has."""
    _ask(node, key, as_json, "leave", *(["--yes"] if yes else []))


@app.command
def stay(node: Node = "data", *, key: Key = "", as_json: AsJson = False) -> None:
    """Let a node stay a member that was about to leave."""
    _ask(node, key, as_json, "stay")


@app.command
def remove(
    member: Annotated[str, Parameter(help="Its id, or the first digits of it.")],
    node: Node = "data",
    *,
    yes: Annotated[
        bool, Parameter(negative="", help="Yes, this is meant. Without: show what may be lost.")
    ] = False,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Remove a member that never returns."""
    _ask(node, key, as_json, "remove", member, *(["--yes"] if yes else []))


@app.command
def move(
    partition: Annotated[int, Parameter(help="Its number.")],
    target: Annotated[str, Parameter(help="The member's id, or the first digits of it.")],
    node: Node = "data",
    *,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Move a partition to another member."""
    _ask(node, key, as_json, "move", str(partition), target)


@app.command
def assign(
    first: Annotated[int, Parameter(help="The first partition.")],
    last: Annotated[int, Parameter(help="The last one.")],
    cluster: Annotated[str, Parameter(help="The label of the cluster.")],
    node: Node = "data",
    *,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Let another cluster own some partitions; planned moves bring them there."""
    _ask(node, key, as_json, "assign", str(first), str(last), cluster)


@app.command
def rebalance(node: Node = "data", *, key: Key = "", as_json: AsJson = False) -> None:
    """Bring what a node serves to where it is wanted, now."""
    _ask(node, key, as_json, "rebalance")
