"""GEXF 1.3: a network, added up in a database on disk, so that memory stays small whatever its size."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import quoteattr

import msgspec

from app.clients.cassandra import ms_of
from app.domain.exports import Network
from app.domain.networks import DIRECTED, Edge, Part, Seen
from app.exporting.sink import Checkpoint, RowValues, sync

MOST_EDGES = 1_000_000  # what Gephi opens on a large laptop; beyond it the heaviest are written
_DATA = "network.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS node (id TEXT PRIMARY KEY, label TEXT, posts INT, first INT, last INT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS edge (source TEXT, target TEXT, posts INT, first INT, last INT, PRIMARY KEY (source, target))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (checkpoint TEXT);
"""
# `first` and `last` are 0 where no post tells a time; of several labels the newest holds.
_ADD_UP = """posts = posts + excluded.posts, last = max(last, excluded.last),
    first = CASE WHEN first = 0 OR (excluded.first > 0 AND excluded.first < first) THEN excluded.first ELSE first END"""
_ADD_NODE = f"""INSERT INTO node VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    label = CASE WHEN excluded.last >= last THEN excluded.label ELSE label END, {_ADD_UP}"""  # noqa: S608 -- constants
_ADD_EDGE = f"INSERT INTO edge VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, target) DO UPDATE SET {_ADD_UP}"  # noqa: S608
_HEAVIEST = "CREATE TEMP TABLE chosen AS SELECT * FROM edge ORDER BY posts DESC, source, target LIMIT ?"
_NODES = """SELECT id, label, posts, first, last FROM node
    WHERE id IN (SELECT source FROM chosen UNION SELECT target FROM chosen) ORDER BY id"""
_EDGES = "SELECT source, target, posts, first, last FROM chosen ORDER BY source, target"
# What XML 1.0 cannot hold at all, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Gexf:
    """A sink that adds up a network. Nodes without an edge are left out."""

    def __init__(self, out: Path, network: Network, title: str, made: datetime, most_edges: int = MOST_EDGES) -> None:
        self._out = out
        self._network: Network = network
        self._title = title
        self._made = made
        self._most_edges = most_edges
        self._database: sqlite3.Connection | None = None

    def begin(self) -> Checkpoint:
        """Open the database, which forgets what was not committed."""
        self._database = database = sqlite3.connect(self._out.parent / _DATA)
        database.executescript(_SCHEMA)
        kept = database.execute("SELECT checkpoint FROM kept").fetchone()
        return msgspec.json.decode(kept[0], type=Checkpoint) if kept else Checkpoint()

    def add(self, rows: Sequence[RowValues]) -> None:
        """Add posts: values of `networks.COLUMNS`."""
        part = Part(self._network)
        for row in rows:
            part.add(row, ms_of(row[0]))
        self._open.executemany(_ADD_NODE, _sorted(part.nodes))
        self._open.executemany(_ADD_EDGE, [(*edge, one.posts, one.first, one.last) for edge, one in _edges(part.edges)])

    def keep(self, bucket: int, rows: int) -> None:
        """Commit, with the place to go on from."""
        self._open.execute("DELETE FROM kept")
        self._open.execute("INSERT INTO kept VALUES (?)", [msgspec.json.encode(Checkpoint(bucket, rows)).decode()])
        self._open.commit()

    def finish(self) -> dict[str, Any]:
        """Write the file, nodes and edges in the order of their ids."""
        database = self._open
        (found,) = database.execute("SELECT count(*) FROM edge").fetchone()
        database.execute("DROP TABLE IF EXISTS temp.chosen")
        database.execute(_HEAVIEST, [self._most_edges])
        with self._out.open("w", encoding="utf-8", newline="\n") as file:
            nodes, edges = self._write(file, database)
            file.flush()
            sync(file.fileno())
        notes = {"kind": self._network, "directed": DIRECTED[self._network], "nodes": nodes, "edges": edges}
        return {"network": notes | {"edges_found": found, "edges_at_most": self._most_edges}}

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _write(self, file: IO[str], database: sqlite3.Connection) -> tuple[int, int]:
        kind = "directed" if DIRECTED[self._network] else "undirected"
        file.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<gexf xmlns="http://gexf.net/1.3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            ' xsi:schemaLocation="http://gexf.net/1.3 http://gexf.net/1.3/gexf.xsd" version="1.3">\n'
            f'<meta lastmodifieddate="{self._made:%Y-%m-%d}"><creator>Starling</creator>'
            f"<description>{_text(self._title)}</description></meta>\n"
            f'<graph defaultedgetype="{kind}" mode="static">\n{_attributes("node")}{_attributes("edge")}<nodes>\n'
        )
        nodes = edges = 0
        for node, label, *counts in database.execute(_NODES):
            file.write(f"<node id={_quoted(node)} label={_quoted(label)}>{_values(*counts)}</node>\n")
            nodes += 1
        file.write("</nodes>\n<edges>\n")
        for source, target, posts, first, last in database.execute(_EDGES):
            ends = f"source={_quoted(source)} target={_quoted(target)}"
            file.write(f'<edge id="{edges}" {ends} weight="{posts}">{_values(posts, first, last)}</edge>\n')
            edges += 1
        file.write("</edges>\n</graph>\n</gexf>\n")
        return nodes, edges

    @property
    def _open(self) -> sqlite3.Connection:
        assert self._database is not None  # noqa: S101 -- `begin` comes first
        return self._database


def _sorted(nodes: dict[str, Seen]) -> Iterator[tuple[str, str, int, int, int]]:
    for node, one in nodes.items():
        yield node, one.label, one.posts, one.first, one.last


def _edges(edges: dict[Edge, Seen]) -> Iterator[tuple[Edge, Seen]]:
    yield from edges.items()


def _attributes(of: str) -> str:
    return (
        f'<attributes class="{of}">'
        '<attribute id="0" title="posts" type="integer"/>'
        '<attribute id="1" title="first_seen" type="string"/>'
        '<attribute id="2" title="last_seen" type="string"/>'
        "</attributes>\n"
    )


def _values(posts: int, first: int, last: int) -> str:
    times = "".join(f'<attvalue for="{number}" value="{_moment(at)}"/>' for number, at in ((1, first), (2, last)) if at)
    return f'<attvalues><attvalue for="0" value="{posts}"/>{times}</attvalues>'


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def _quoted(text: str) -> str:
    return quoteattr(_clean(text))


def _text(text: str) -> str:
    return _clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
