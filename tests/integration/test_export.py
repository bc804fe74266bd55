"""Exports of stored posts: each format holds what Cassandra holds, and a kill -9 changes no byte."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pyarrow.parquet as pq
import pytest

from app.domain.columns import ANNOTATED, EXPORTED
from app.domain.exports import Wish
from app.exporting.store import Store
from app.local.stack import Stack
from app.schema import ANNOTATION
from tests import builders
from tests.support import events, exporting, rows
from tests.support.chain import Chain, chain
from tests.support.patched import starling_with
from tests.support.rows import patient_session
from tests.support.topics import Raw
from tests.support.waiting import until

DAY_MS = 86_400_000
DAYS = 12  # as many buckets
NAME = "سيل 洪水 <script>alert(1)</script>"
TEXTS = ["flood =1+1", "=flood()", "flood سيل", "洪水 flood", 'flood "quoted", with\ncommas', "@mill flood", "dike <b>"]


def slow_manager(hold: Path) -> list[str]:
    """A manager whose exports are written slowly, and come no further than their fourth bucket while there is `hold`.

    The rows of that one are written by then, and not yet kept.
    """
    held = dedent(f"""
        import pathlib
        read = []
        def held(self, bucket):
            yield from slow(self, bucket)
            read.append(bucket)
            while len(read) == 4 and pathlib.Path({str(hold)!r}).exists():
                time.sleep(0.05)
        job.Chooser.pages = held
    """)
    child = dedent(exporting.SLOW) + held + "from app.exporting.__main__ import main\nmain()\n"
    return starling_with(f"""
        import sys
        from app.exporting import process
        process.COMMAND = (sys.executable, "-c", {child!r})
    """)


def posts() -> list[Raw]:
    """Posts of some days: every third a retweet, in two languages."""
    made = []
    for number in range(DAYS * len(TEXTS)):
        at = builders.POSTED_MS + number % DAYS * DAY_MS
        text = TEXTS[number % len(TEXTS)]
        rest: dict[str, Any] = {"lang": ("en", "pt-br")[number % 2], "id": builders.snowflake(at, number)}
        rest |= {"created_at": builders.v1_time(at), "timestamp_ms": str(at)}
        if number % 3:
            named = builders.entities(hashtags=("Flood", "dike"), mentions=("mill_watch",))
            body = builders.status(text, user=builders.user(f"ann_{number % 4}"), entities=named, **rest)
        else:
            body = builders.retweet_of(builders.status(text), **rest)
        made.append(Raw(builders.line(body), number % 4))
    return made


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hold") / "hold"


@pytest.fixture
def held(hold: Path) -> Iterator[Path]:
    """The file that holds exports back; it is there."""
    hold.touch()
    yield hold
    hold.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def running(stack: Stack, hold: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A worker with a stored event; its manager writes exports slowly."""
    slow = {"all": slow_manager(hold)}
    with chain(stack, "all", commands=slow, export_dir=tmp_path_factory.mktemp("x")) as made:
        definition = {"keywords": ("flood", "dike", "nothing"), "name": NAME}
        events.accepted(made.settings, events.create("flood", **definition))
        made.send(*posts())
        made.settle()
        annotate(made, every=5)
        assert len(stored(made)) == DAYS * len(TEXTS)
        yield made


def stored(running: Chain, code: str = "flood") -> dict[str, dict[str, Any]]:
    """Rows by post, with what people have written to it."""
    written = {
        row["t_id"]: {"tags": sorted(row["tags"]) if row["tags"] else None, "note": row["note"]}
        for row in rows.query(running.settings, rows.EVERYTHING + ANNOTATION)
        if row["event_name"] == code
    }
    nothing = dict.fromkeys(ANNOTATED)
    return {post: row | written.get(post, nothing) for (_, post), row in running.stored({code}).items()}


def annotate(running: Chain, *, every: int) -> None:
    """Tag and note some posts of the event, one that is not there too."""
    some = list(running.stored({"flood"}).values())[::every]
    with patient_session(running.settings) as cassandra:
        keyspace = running.settings.keyspace
        for row in [*some, some[0] | {"t_id": "1"}]:
            cassandra.execute(
                f"UPDATE {keyspace}.{ANNOTATION} SET tags = tags + {{'rumour', 'سيل'}}, note = %s "  # noqa: S608
                "WHERE event_name = 'flood' AND bucket = %s AND t_id = %s",
                ["=seen()", row["bucket"], row["t_id"]],
            )


def as_text(value: Any) -> str:
    """A value as CSV writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    return (
        json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, list | dict) else str(value)
    )


def test_csv_holds_what_is_stored(running: Chain, tmp_path: Path) -> None:
    manifest = exporting.exported(running.settings, tmp_path / "f.csv", "flood", "csv", "--bom")
    found = exporting.csv_rows(tmp_path / "f.csv")
    due = stored(running)
    assert len(found) == len(due) == manifest["file"]["rows"]
    for row in found:
        assert row == {name: as_text(due[row["t_id"]][name]) for name in EXPORTED}
    assert manifest["event"]["name"] == NAME
    assert [one["name"] for one in manifest["columns"]] == list(EXPORTED)
    assert {one["value"]: one["in_force"][0]["to"] for one in manifest["selectors"]["keywords"]} == {
        "flood": None,
        "dike": None,
        "nothing": None,
    }


def test_jsonl_and_parquet_hold_what_is_stored(running: Chain, tmp_path: Path) -> None:
    due = stored(running)
    exporting.exported(running.settings, tmp_path / "f.jsonl", "flood", "jsonl", "--column", "t_id,t_text,matched")
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert {line["t_id"]: line for line in lines} == {
        post: {"t_id": post, "t_text": row["t_text"], "matched": row["matched"]} for post, row in due.items()
    }
    exporting.exported(running.settings, tmp_path / "f.parquet", "flood", "parquet")
    table = pq.read_table(tmp_path / "f.parquet")
    assert table.column_names == list(EXPORTED)
    for row in table.to_pylist():
        plain = {name: dict(value) if name == "matched" else value for name, value in row.items()}
        given = due[row["t_id"]]
        for name, kind in EXPORTED.items():
            value = given[name]
            if kind == "timestamp" and value is not None:
                value = value.replace(tzinfo=UTC)
            assert plain[name] == (str(value) if kind == "uuid" else value), name


def test_raw_holds_each_post_as_it_came_and_ids_its_id(running: Chain, tmp_path: Path) -> None:
    due = {post: row["json"] for (code, post), row in rows.raw_json(running.settings).items() if code == "flood"}
    exporting.exported(running.settings, tmp_path / "raw", "flood", "raw")
    assert sorted((tmp_path / "raw").read_text().splitlines()) == sorted(due.values())
    exporting.exported(running.settings, tmp_path / "some", "flood", "raw", "--language", "pt")
    some = [row for row in stored(running).values() if row["t_lang"] == "pt-br"]
    assert sorted((tmp_path / "some").read_text().splitlines()) == sorted(due[row["t_id"]] for row in some)
    exporting.exported(running.settings, tmp_path / "ids", "flood", "ids")
    ids = (tmp_path / "ids").read_text().splitlines()
    buckets = [stored(running)[post]["bucket"] for post in ids]
    assert sorted(ids) == sorted(due)
    assert list(zip(buckets, ids, strict=True)) == sorted(zip(buckets, ids, strict=True)), "in order"


@pytest.mark.parametrize("network", ["mentions", "retweets", "hashtags"])
def test_gexf_holds_the_networks_of_what_is_stored(running: Chain, tmp_path: Path, network: str) -> None:
    manifest = exporting.exported(running.settings, tmp_path / "f.gexf", "flood", "gexf", "--network", network)
    root = ET.parse(tmp_path / "f.gexf").getroot()  # noqa: S314 -- our own
    names = {node.get("id"): node.get("label") for node in root.iter("{http://gexf.net/1.3}node")}
    edges = {
        (names[edge.get("source")], names[edge.get("target")]): int(edge.attrib["weight"])
        for edge in root.iter("{http://gexf.net/1.3}edge")
    }
    due: Counter[tuple[str, str]] = Counter()
    for row in stored(running).values():
        if network == "hashtags":
            due["dike", "Flood"] += bool(row["hashtags"])
        elif network == "mentions" or row["t_is_a_retweet"]:
            due[row["u_screen_name"], "mill_watch"] += 1
    assert edges == due
    assert manifest["file"]["network"]["edges"] == len(due)


FROM = datetime.fromtimestamp((builders.POSTED_MS + 2 * DAY_MS) / 1000, UTC).isoformat()
TO = datetime.fromtimestamp((builders.POSTED_MS + 4 * DAY_MS) / 1000, UTC).isoformat()
FILTERS: dict[str, tuple[list[str], Any]] = {
    "time": (["--from", FROM, "--to", TO], lambda row: FROM[:19] <= row["t_created_at"].isoformat() < TO[:19]),
    "language": (["--language", "EN"], lambda row: row["t_lang"] == "en"),
    "keyword": (["-k", "dike", "-k", "nothing"], lambda row: "dike" in row["matched"]),
    "account": (["--account", "@Ann_1,nobody"], lambda row: row["u_screen_name"] == "ann_1"),
    "origin": (["--origin", "replay"], lambda _: True),
    "tag": (["--tag", "Rumour,none"], lambda row: "rumour" in (row["tags"] or ())),
    "tag and language": (
        ["--tag", "سيل", "--language", "en"],
        lambda row: row["tags"] is not None and row["t_lang"] == "en",
    ),
    "none such": (["--origin", "search"], lambda _: False),
    "two": (["--language", "pt-br", "-k", "dike"], lambda row: row["t_lang"] == "pt-br" and "dike" in row["matched"]),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters(running: Chain, tmp_path: Path, name: str) -> None:
    arguments, passes = FILTERS[name]
    manifest = exporting.exported(running.settings, tmp_path / "ids", "flood", "ids", *arguments)
    due = sorted(post for post, row in stored(running).items() if passes(row))
    assert sorted((tmp_path / "ids").read_text().splitlines()) == due
    assert manifest["filters"], "the manifest names them"


WRONG = [
    (["nothing-of-the-kind", "--format", "csv"], "there is no event"),
    (["flood", "--format", "csv", "--column", "t_idd"], "no column 't_idd'"),
    (["flood", "--format", "csv", "-k", "flod"], "never had the keyword 'flod'"),
    (["flood", "--format", "csv", "--from", "yesterday"], "--from 'yesterday' is no time"),
    (["flood", "--format", "jsonl", "--bom"], "csv alone"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_wrong_input_gets_one_line(running: Chain, tmp_path: Path, arguments: list[str], words: str) -> None:
    status, out, err = exporting.run(running.settings, *arguments, "--out", str(tmp_path / "file"))
    assert (status, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_overwritten(running: Chain, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    status, _, err = exporting.run(running.settings, "flood", "--format", "ids", "--out", str(tmp_path / "file"))
    assert (status, (tmp_path / "file").read_text()) == (1, "mine")
    assert "exists" in err


@pytest.mark.parametrize("kind", ["csv", "parquet", "gexf"])
def test_a_killed_export_goes_on_and_has_the_same_bytes(running: Chain, tmp_path: Path, kind: str) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    exporting.exported(running.settings, whole, "flood", kind)
    arguments = ["flood", "--format", kind, "--out", str(broken), "--follow", "--from", "9000d"]
    for lines in (3, 4):
        process = exporting.start(running.settings, *arguments, command=starling_with(exporting.SLOW))
        assert process.stderr is not None
        begun = [process.stderr.readline() for _ in range(lines)]
        process.kill()
        process.communicate(timeout=30)
        assert begun[-1].endswith(" posts\n"), begun
        assert not broken.exists()
    assert not begun[0].startswith("0%"), "the second has gone on where the first was"
    other = exporting.run(running.settings, "flood", "--format", "ids", "--out", str(broken))
    assert other[0] == 1
    assert "of another export" in other[2]
    exporting.exported(running.settings, broken, "flood", kind, "--from", "9000d")
    assert broken.read_bytes() == whole.read_bytes()


# ---- in the background


def place(running: Chain) -> Store:
    return Store(running.settings)


def test_a_manager_writes_what_is_asked_for(running: Chain, tmp_path: Path) -> None:
    exporting.exported(running.settings, tmp_path / "f.csv", "flood", "csv")
    asked = exporting.ask(running.settings, "flood", Wish(format="csv"))
    done = exporting.wait(running.settings, asked, "done", "failed").progress
    assert done is not None
    assert done.why == ""
    store = place(running)
    assert store.data(asked.id).read_bytes() == (tmp_path / "f.csv").read_bytes()
    file = store.file(asked.id)
    assert file is not None
    assert (done.store, done.rows, done.sha256, done.file) == (store.id, file.rows, file.sha256, file.name)
    manifest = json.loads(store.manifest(asked.id).read_text())
    assert manifest["export"]["asked_by"] == "ann"
    assert manifest["export"]["id"] == asked.id
    assert {path.name for path in (store.root / asked.id).iterdir()} == {"data", "manifest.json"}
    exporting.withdraw(running.settings, asked)
    until(lambda: not (store.root / asked.id).exists(), "its file is removed")


@pytest.mark.usefixtures("held")
def test_an_export_that_runs_is_broken_off(running: Chain) -> None:
    asked = exporting.ask(running.settings, "flood", Wish(format="jsonl"))
    exporting.wait(running.settings, asked, "running")
    exporting.withdraw(running.settings, asked)
    cancelled = exporting.wait(running.settings, asked, "cancelled").progress
    assert cancelled is not None
    assert "ann" in cancelled.why
    until(lambda: not place(running).work(asked.id).exists(), "what it had written is removed")


def test_no_file_of_a_purged_event_stays(running: Chain) -> None:
    settings = running.settings
    events.accepted(settings, events.create("gone", keywords=("flood",)))
    running.send(*posts()[:8])
    running.settle()
    asked = exporting.ask(settings, "gone", Wish(format="ids"))
    exporting.wait(settings, asked, "done")
    events.accepted(settings, events.command("stop", "gone"), events.command("purge", "gone"))
    until(lambda: not (place(running).root / asked.id).exists(), "its file is removed")


def test_an_export_of_an_event_without_posts_is_a_file_too(running: Chain, tmp_path: Path) -> None:
    events.accepted(running.settings, events.create("empty", keywords=("emptiness",)))
    for kind in ("csv", "jsonl", "raw", "ids", "parquet", "gexf"):
        manifest = exporting.exported(running.settings, tmp_path / kind, "empty", kind)
        assert manifest["file"]["rows"] == 0
    assert pq.read_table(tmp_path / "parquet").num_rows == 0
    assert exporting.csv_rows(tmp_path / "csv") == []


def test_a_manager_that_is_killed_goes_on_with_its_exports(running: Chain, held: Path, tmp_path: Path) -> None:
    settings = running.settings
    exporting.exported(settings, tmp_path / "f.parquet", "flood", "parquet")
    asked = exporting.ask(settings, "flood", Wish(format="parquet"))
    part = place(running).work(asked.id)
    until((part / "part-000002.parquet").exists, "some of it is written", pause=0.02)
    manager = running.workers["all"]
    manager.kill()
    parts = {path.name: path.stat().st_ino for path in part.glob("part-*")}
    until(lambda: _unlocked(part), "its process has ended with it")
    held.unlink()
    manager.restart(manager.command)
    manager.wait_ready()
    exporting.wait(settings, asked, "done")
    assert "part-000001.parquet" in parts
    assert place(running).data(asked.id).read_bytes() == (tmp_path / "f.parquet").read_bytes()
    running.check_calm()


def _unlocked(directory: Path) -> bool:
    return subprocess.run(["flock", "-n", str(directory / "lock"), "true"], check=False).returncode == 0
