"""`starling import`: an archive comes into an event once, however often and from wherever it is sent."""

from __future__ import annotations

import gzip
import json
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

from app.errors import UserError
from app.local.stack import Stack
from app.replay.lines import Place
from app.replay.tables import open_lines
from app.topics import RAW
from tests import builders
from tests.support import commands, events, topics
from tests.support.chain import Chain, chain
from tests.support.topics import Raw
from tests.support.waiting import until

KEYS = {"AWS_ACCESS_KEY_ID": "made", "AWS_SECRET_ACCESS_KEY": "up", "AWS_EC2_METADATA_DISABLED": "true"}
HEADER = "id,time,created_at,from_user_name,text,lang,from_user_id"


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    with chain(stack, "all") as made:
        yield made


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """Address of a bucket at a server that speaks S3; the SDK finds it by the environment, as a user's would."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_REGION": "us-east-1"}.items():
            patch.setenv(name, value)
        store().create_dir("archives")
        yield "s3://archives"
    server.stop()


def store() -> fs.S3FileSystem:
    return fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], allow_bucket_creation=True)


def put(address: str, data: bytes) -> str:
    with store().open_output_stream(address.removeprefix("s3://"), compression=None) as stream:
        stream.write(data)
    return address


def line(number: int, text: str) -> bytes:
    return builders.line(builders.status(text, id=builders.snowflake(sequence=number)))


def bring(running: Chain, state: Path, *args: str) -> commands.Ran:
    ran = commands.run(running.settings, state, "import", *args)
    running.settle()
    return ran


def sent(ran: commands.Ran) -> dict[str, Any]:
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_an_event_that_ended_takes_what_it_matches_of_all_forms_and_no_other_does(
    running: Chain, tmp_path: Path, bucket: str
) -> None:
    events.accepted(
        running.settings,
        events.create("ended", keywords=("mill",)),
        events.command("stop", "ended"),
        events.create("drafted", keywords=("mill",), draft=True),
        events.create("collects", keywords=("mill",)),
    )
    plain = tmp_path / "v1.jsonl"
    plain.write_bytes(b"\n".join([line(1, "the mill stands"), line(2, "nothing of it"), line(1, "the mill stands")]))
    table = tmp_path / "tcat.csv"
    rows = [f'{builders.snowflake(sequence=3)},1,2012-10-29 00:00:00,ada,"the mill, ""again""",en,7', "1,2"]
    table.write_text("\n".join([HEADER, *rows]) + "\n", "utf-8-sig")
    packed = put(f"{bucket}/twarc/v2.jsonl.gz", gzip.compress(builders.line(builders.v2_payload("a mill at night"))))
    ran = bring(running, tmp_path, str(plain), str(table), packed, "--event", "ended", "--json")
    assert sent(ran)["lines"] == 6
    stored = running.stored({"ended", "drafted", "collects"})
    assert sorted(row["t_text"] for row in stored.values()) == [
        "a mill at night",
        "the mill stands",
        'the mill, "again"',
    ]
    assert {code for (code, _) in stored} == {"ended"}
    assert {row["origin"] for row in stored.values()} == {"import"}
    assert running.counted()["ended"] == 3
    (letter,) = [one for one in topics.dead_letters(running.settings).values() if one.value == b"1,2"]
    assert "not JSON" in letter.reason
    running.check_calm()


def test_what_an_event_has_stays_and_counts_once(running: Chain, tmp_path: Path) -> None:
    events.accepted(running.settings, events.create("twice", keywords=("weir",)))
    running.send(Raw(line(10, "the weir holds")))
    running.settle()
    archive = tmp_path / "posts.jsonl"
    archive.write_bytes(b"\n".join(line(number, "the weir holds") for number in (10, 11)))
    for options in ((), ("--fresh",)):
        assert sent(bring(running, tmp_path, str(archive), "--event", "twice", "--json", *options))["lines"] == 2
    assert sorted(row["origin"] for row in running.stored({"twice"}).values()) == ["import", "replay"]
    assert running.counted()["twice"] == 2
    again = bring(running, tmp_path, str(archive), "--event", "twice", "--json")
    assert sent(again)["lines"] == 0
    assert "sent already" in again.err
    running.check_calm()


def test_what_was_imported_and_is_heard_afterwards_counts_once(running: Chain, tmp_path: Path) -> None:
    events.accepted(running.settings, events.create("later", keywords=("quay",)))
    archive = tmp_path / "posts.jsonl"
    archive.write_bytes(b"\n".join(line(number, "the quay floods") for number in (30, 31)))
    assert sent(bring(running, tmp_path, str(archive), "--event", "later", "--json"))["lines"] == 2
    for number in (30, 32):
        running.send(Raw(line(number, "the quay floods")))
    running.settle()
    assert sorted(row["origin"] for row in running.stored({"later"}).values()) == ["import", "import", "replay"]
    assert running.counted()["later"] == 3
    running.check_calm()


def test_a_new_event_of_a_purged_ones_code_has_nothing_yet(running: Chain, tmp_path: Path) -> None:
    archive = tmp_path / "posts.jsonl"
    archive.write_bytes(line(20, "the lock opens"))
    for life in range(2):
        events.accepted(running.settings, events.create("reborn", keywords=("lock",)))
        assert sent(bring(running, tmp_path, str(archive), "--event", "reborn", "--json"))["lines"] == 1
        assert [row["origin"] for row in running.stored({"reborn"}).values()] == ["import"]
        if life == 0:
            events.accepted(running.settings, events.command("stop", "reborn"), events.command("purge", "reborn"))
            until(lambda: "reborn" not in events.events(running.settings), "the event is still there")
    running.check_calm()


def test_an_object_that_is_replaced_while_it_is_read_is_told(bucket: str) -> None:
    """Each piece is asked for by the key, so lines of both objects may have been read."""
    address = put(f"{bucket}/replaced.jsonl", b'{"old":1}\n' * 1_000_000)
    with pytest.raises(UserError, match="was replaced while it was read"), open_lines(address) as file:
        rows = file.read(Place())
        next(rows)
        put(address, b'{"new":1}\n' * 1_000_000)
        deque(rows, maxlen=0)


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("posts.jsonl", "--event", "nobody"), 1, "there is no event 'nobody'"),
        (("posts.jsonl",), 2, "--event"),
        (("posts.jsonl", "--event", "gone"), 1, "gone: nothing is imported into an event that is archived"),
        (("none.jsonl", "--event", "plain"), 1, "none.jsonl: no such file"),
        (("s3://archives/none", "--event", "plain"), 1, "s3://archives/none: no such object"),
        (("s3://elsewhere/none", "--event", "plain"), 1, "s3://elsewhere/none: "),
        (("s3://", "--event", "plain"), 1, "s3://: "),
        (("--url", "http://127.0.0.1:1", "posts.jsonl", "--event", "plain"), 2, "--url"),
    ],
)
def test_wrong_things_are_one_line(
    running: Chain, tmp_path: Path, bucket: str, arguments: tuple[str, ...], status: int, error: str
) -> None:
    known = events.events(running.settings)
    if "plain" not in known:
        events.accepted(
            running.settings,
            events.create("plain", keywords=("sluice",)),
            events.create("gone", keywords=("sluice",)),
            events.command("stop", "gone"),
            events.command("archive", "gone"),
        )
    (tmp_path / "posts.jsonl").write_bytes(line(1, "nothing"))
    here = [str(tmp_path / one) if one.endswith(".jsonl") else one for one in arguments]
    before = len(topics.read(running.settings, RAW))
    ran = commands.run(running.settings, tmp_path, "import", *here)
    assert ran.status == status, ran
    assert error in ran.error
    assert len(topics.read(running.settings, RAW)) == before


def test_a_store_that_does_not_answer_is_one_line(
    running: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (KEYS | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)
    events.accepted(running.settings, events.create("away", keywords=("sluice",)))
    ran = commands.run(running.settings, tmp_path, "import", "s3://archives/posts.jsonl", "--event", "away")
    assert ran.status == 1
    assert ran.error.startswith("s3://archives/posts.jsonl: ")
    assert os.environ["AWS_ENDPOINT_URL"] not in ran.out
