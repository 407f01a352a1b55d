"""Which nodes are meant: files and directories, and the mistakes in them."""

from pathlib import Path

import pytest

from admin.channel.errors import RosterUnusable
from admin.channel.roster import NODES_MAX, Entry, list_nodes, place_of_nodes


def a_node(path: Path) -> Path:
    (path / "admin").mkdir(parents=True)
    return path


def test_a_file_names_nodes_here_and_elsewhere(tmp_path: Path) -> None:
    a_node(tmp_path / "here")
    place = tmp_path / "nodes.toml"
    place.write_text(
        'key = "anna.key"\n[nodes.b]\nat = "10.0.0.5:7444"\nnode_key = "k"\n'
        '[nodes.a]\nat = "here"\nkey = "/etc/a.key"\n'
    )
    assert list_nodes(place) == (
        Entry("a", str(tmp_path / "here"), Path("/etc/a.key")),
        Entry("b", "10.0.0.5:7444", tmp_path / "anna.key", "k"),
    )


def test_a_directory_is_a_node_or_holds_some(tmp_path: Path) -> None:
    for name in ("n2", "n1"):
        a_node(tmp_path / name)
    (tmp_path / "something else").mkdir()
    assert [entry.name for entry in list_nodes(tmp_path)] == ["n1", "n2"]
    assert list_nodes(tmp_path / "n1") == (Entry("n1", str(tmp_path / "n1")),)


def test_a_nodes_directory_is_also_the_one_around_it(tmp_path: Path) -> None:
    for name in ("n1", "n2"):
        a_node(tmp_path / name / "data")
    both = (Entry("n1", str(tmp_path / "n1/data")), Entry("n2", str(tmp_path / "n2/data")))
    assert list_nodes(tmp_path) == both
    assert list_nodes(tmp_path / "n1") == both[:1]
    assert Entry.alone(str(tmp_path / "n1")).directory == tmp_path / "n1/data"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes", "nodes.toml: "),
        ("[nodes.a]\n", "missing required field `at`"),
        ('[nodes.a]\nat = "x"\nprot = 1\n', "unknown field `prot`"),
        ("key = 'k'\n[nodes]\n", "has no node in it"),
        ("\n".join(f"[nodes.n{n}]\nat = 'h:{n + 1}'" for n in range(NODES_MAX + 1)), "257 nodes; 256 can be"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    place = tmp_path / "nodes.toml"
    place.write_text(text)
    with pytest.raises(RosterUnusable, match=said):
        list_nodes(place)


def test_no_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RosterUnusable, match="--nodes"):
        list_nodes(tmp_path / "nowhere")
    monkeypatch.setattr("admin.channel.roster.PLACES", (tmp_path / "x", tmp_path))
    assert place_of_nodes("", {}) == tmp_path
    assert place_of_nodes("", {"WAYSTATION_NODES": "y"}) == Path("y")
    assert place_of_nodes("z", {"WAYSTATION_NODES": "y"}) == Path("z")
    monkeypatch.setattr("admin.channel.roster.PLACES", (tmp_path / "x",))
    with pytest.raises(RosterUnusable, match="is there"):
        place_of_nodes("", {})
