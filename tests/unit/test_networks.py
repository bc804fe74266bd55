"""Networks: what is a node and an edge, and that the GEXF of it opens."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import networks
from app.domain.exports import Network
from app.domain.networks import Part
from app.exporting.gexf import Gexf
from tests import builders
from tests.support.stored_rows import EPOCH, rows

NAMESPACE = "{http://gexf.net/1.3}"
# Of the schema what we use: what stands in an element, and which attributes it has.
GRAMMAR: dict[str, tuple[set[str], list[str]]] = {
    "gexf": ({"meta", "graph"}, ["{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", "version"]),
    "meta": ({"creator", "description"}, ["lastmodifieddate"]),
    "creator": (set(), []),
    "description": (set(), []),
    "graph": ({"attributes", "nodes", "edges"}, ["defaultedgetype", "mode"]),
    "attributes": ({"attribute"}, ["class"]),
    "attribute": (set(), ["id", "title", "type"]),
    "nodes": ({"node"}, []),
    "node": ({"attvalues"}, ["id", "label"]),
    "edges": ({"edge"}, []),
    "edge": ({"attvalues"}, ["id", "source", "target", "weight"]),
    "attvalues": ({"attvalue"}, []),
    "attvalue": (set(), ["for", "value"]),
}
MADE = datetime(2024, 5, 1, tzinfo=UTC)


def post(body: Any, at: int = 0) -> tuple[Any, ...]:
    """A post's values of networks.COLUMNS; the time in ms."""
    values = builders.columns(body) | {"t_created_at": at}
    return tuple(values[name] for name in networks.COLUMNS)


def part(network: Network, *posts: tuple[Any, ...]) -> Part:
    made = Part(network)
    for one in posts:
        made.add(one, one[0])
    return made


def mention(author: str, *others: str) -> Any:
    return builders.status(user=builders.user(author), entities=builders.entities(mentions=others))


def number(name: str) -> str:
    return builders.user(name)["id_str"]


def test_who_mentions_whom() -> None:
    posts = [post(mention("ann", "bob", "eve"), 10), post(mention("ann", "bob"), 30), post(mention("bob"))]
    made = part("mentions", *posts)
    assert {edge: (one.posts, one.first, one.last) for edge, one in made.edges.items()} == {
        (number("ann"), number("bob")): (2, 10, 30),
        (number("ann"), number("eve")): (1, 10, 10),
    }
    assert {one.label: one.posts for one in made.nodes.values()} == {"ann": 2, "bob": 1, "eve": 0}


def test_the_newest_name_of_an_account_is_its_label() -> None:
    names = {10: "old", 20: "new", 5: "older"}
    posts = [post(builders.status(user=builders.user(name, id=7, id_str="7")), at) for at, name in names.items()]
    assert [one.label for one in part("mentions", *posts).nodes.values()] == ["new"]


def test_who_retweets_whom() -> None:
    original = builders.status(user=builders.user("mill_watch"))
    made = part("retweets", post(builders.retweet_of(original), 50), post(original, 10))
    assert list(made.edges) == [(number("repeater"), number("mill_watch"))]
    assert {one.label: one.posts for one in made.nodes.values()} == {"repeater": 1, "mill_watch": 1}


def test_a_retweeted_account_of_which_only_the_name_is_known() -> None:
    body = builders.retweet_of(builders.status(user=builders.user("Mill_Watch")), entities=builders.entities())
    assert list(part("retweets", post(body)).edges) == [(number("repeater"), "@mill_watch")]


def test_hashtags_occur_together_whatever_their_case() -> None:
    def tagged(*tags: str) -> tuple[Any, ...]:
        return post(builders.status(entities=builders.entities(hashtags=tags)))

    made = part("hashtags", tagged("Flood", "dike", "flood"), tagged("FLOOD", "dike"), tagged("flood"))
    assert {edge: one.posts for edge, one in made.edges.items()} == {("dike", "flood"): 2}
    assert {node: one.posts for node, one in made.nodes.items()} == {"flood": 3, "dike": 2}


def test_bluesky_names_accounts_by_their_did() -> None:
    assert all(
        node.startswith("did:") for node in part("mentions", post(builders.jetstream(builders.bluesky_post()))).nodes
    )


def written(network: Network, pages: Iterable[Sequence[Any]], most: int = 1000) -> tuple[ET.Element, dict[str, Any]]:
    """The file, and what is said of it."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name, "data")
        sink = Gexf(out, network, "a <script> & سيل", MADE, most)
        sink.begin()
        for page in pages:
            sink.add(page)
        sink.keep(1, 0)
        notes = sink.finish()
        sink.close()
        return ET.fromstring(out.read_bytes()), notes["network"]  # noqa: S314 -- our own


def check(root: ET.Element) -> None:
    """What the schema of GEXF 1.3 asks of the elements that we write, and a reader of a graph."""
    for element in root.iter():
        inside, attributes = GRAMMAR[element.tag.removeprefix(NAMESPACE)]
        assert {one.tag.removeprefix(NAMESPACE) for one in element} <= inside
        assert element.keys() == attributes
    assert (root.tag, root.get("version")) == (f"{NAMESPACE}gexf", "1.3")
    meta, graph = root
    assert [one.tag.removeprefix(NAMESPACE) for one in meta] == ["creator", "description"]
    assert datetime.fromisoformat(meta.attrib["lastmodifieddate"])
    assert graph.get("defaultedgetype") in ("directed", "undirected")
    assert graph.get("mode") == "static"
    *declared, nodes, edges = graph
    attributes = {one.get("class"): {a.get("id"): a.get("type") for a in one} for one in declared}
    assert attributes.keys() == {"node", "edge"}
    ids = [node.get("id") for node in nodes]
    assert len(set(ids)) == len(ids)
    assert all(node.get("id") and node.get("label") for node in nodes)
    assert len({edge.get("id") for edge in edges}) == len(edges)
    for edge in edges:
        assert {edge.get("source"), edge.get("target")} <= set(ids)
        assert int(edge.attrib["weight"]) > 0
    for kind, elements in (("node", nodes), ("edge", edges)):
        for element in elements:
            (values,) = element
            for value in values:
                if attributes[kind][value.get("for")] == "integer":
                    assert int(value.attrib["value"]) >= 0
                else:
                    assert datetime.fromisoformat(value.attrib["value"]).tzinfo is not None


@pytest.mark.parametrize("network", ["mentions", "retweets", "hashtags"])
@settings(max_examples=40)
@given(pages=st.lists(st.lists(rows(networks.COLUMNS), max_size=4), max_size=3))
def test_whatever_is_stored_the_file_is_well_formed_and_a_graph(network: Network, pages: list[list[Any]]) -> None:
    root, notes = written(network, pages)
    check(root)
    whole = Part(network)
    for page in pages:
        for one in page:
            whole.add(one, 0)
    assert notes["edges"] == notes["edges_found"] == len(whole.edges)
    weights = Counter(edge.get("weight") for edge in root.iter(f"{NAMESPACE}edge"))
    assert weights == Counter(str(one.posts) for one in whole.edges.values())


def named(author: str, *others: str, second: int = 0) -> tuple[Any, ...]:
    """A post as it is stored."""
    at = EPOCH + timedelta(seconds=second)
    return (at, False, "", None, author, author.upper(), ", ".join(others), ", ".join(others))


def test_pages_add_up() -> None:
    root, _ = written("mentions", [[named("a", "b", second=20)], [named("a", "b", "c", second=5)]])
    check(root)
    edges = {(edge.get("source"), edge.get("target")): edge for edge in root.iter(f"{NAMESPACE}edge")}
    assert {ends: edge.get("weight") for ends, edge in edges.items()} == {("a", "b"): "2", ("a", "c"): "1"}
    values = [value.get("value") for value in edges["a", "b"].iter(f"{NAMESPACE}attvalue")]
    assert values == ["2", "1970-01-01T00:00:05.000Z", "1970-01-01T00:00:20.000Z"]


def test_beyond_the_limit_the_heaviest_edges_are_kept_and_it_is_said() -> None:
    posts = [named("a", "b"), named("a", "b"), named("a", "c"), named("lonely"), named("d", "e"), named("d", "e")]
    root, notes = written("mentions", [posts], most=2)
    check(root)
    assert [edge.get("target") for edge in root.iter(f"{NAMESPACE}edge")] == ["b", "e"]
    assert [node.get("id") for node in root.iter(f"{NAMESPACE}node")] == ["a", "b", "d", "e"]
    assert (notes["edges"], notes["edges_found"], notes["edges_at_most"]) == (2, 3, 2)


NAMES = ["<script>alert(1)</script>", 'say "x" & y', "سيل", "洪水", "nul\x00bell\x07", "line\nbreak"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_script_are_escaped(name: str) -> None:
    root, _ = written("mentions", [[named(name, "b")]])
    check(root)
    (label,) = [node.get("label") for node in root.iter(f"{NAMESPACE}node") if node.get("id") != "b"]
    assert label == name.upper().replace("\x00", "\ufffd").replace("\x07", "\ufffd")
