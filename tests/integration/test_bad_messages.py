"""What nobody should have sent stops nothing, and nothing of it is lost without a word.

In the prototype one bad message killed the controller, and a missing field killed the pod.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from app.domain.decisions import Answer
from app.domain.records import Line, classified_headers
from app.local.stack import Stack
from app.topics import CLASSIFIED, EVENT_COMMANDS, EVENT_RESULTS, EVENTS, RAW, Topic, full_name
from tests import builders
from tests.support import events, topics
from tests.support.chain import Chain, chain
from tests.support.topics import Letter, Raw
from tests.support.waiting import until

POST = builders.line(builders.status("watermark", id=builders.snowflake(sequence=1)))
LINE = Line(0, 0, 0, 0, topics.RECEIVED_MS, "test", "replay", {"watermark": "text"})


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    with chain(stack, "all") as made:
        events.accepted(made.settings, events.create("watermark", keywords=("watermark",)))
        yield made


def works(running: Chain, sequence: int) -> None:
    """A good post on each partition, sent after the bad ones, is stored; nobody died."""
    posts = [
        builders.line(builders.status("watermark", id=builders.snowflake(sequence=1000 + 10 * sequence + partition)))
        for partition in range(running.settings.partitions)
    ]
    before = len(running.stored({"watermark"}))
    running.send(*(Raw(post, partition) for partition, post in enumerate(posts)))
    running.settle()
    assert len(running.stored({"watermark"})) == before + len(posts)
    assert running.workers["all"].alive()


def letters_of(running: Chain, topic: Topic) -> list[Letter]:
    """Dead letters of a topic."""
    prefix = full_name(topic, running.settings) + ":"
    return [letter for key, letter in topics.dead_letters(running.settings).items() if key.startswith(prefix)]


def test_bad_raw_records(running: Chain) -> None:
    before = running.intake()
    bad = [
        Raw(None, 0, b"a key"),
        Raw(b"", 1),
        Raw(b"\n\n", 2),
        Raw(b"no JSON", 3, headers=[]),
        Raw(b"\x00" * 1000, 0),
        Raw(b'{"text": "watermark"}', 1),
        Raw(b"[" * 100_000, 2),
    ]
    running.send(*bad)
    works(running, 1)
    letters = letters_of(running, RAW)
    assert sorted(letter.value for letter in letters) == sorted(record.value or b"" for record in bad[3:])
    assert all(letter.reason for letter in letters)
    now = running.intake()
    # A record without bytes, and blank lines, are what a stream sends to keep its connection alive.
    assert now.control["keep_alive"] - before.control.get("keep_alive", 0) == 4
    assert now.malformed - before.malformed == 4


def test_odd_headers_of_a_raw_record_cost_only_themselves(running: Chain) -> None:
    before = len(running.stored({"watermark"}))
    odd: list[list[tuple[str, bytes]]] = [
        [("received_at", b"yesterday"), ("origin", b"nowhere"), ("source", b"\xff\xfe")],
        [("received_at", b"9" * 400)],
        [("received_at", b"-5"), ("origin", b"")],
        [("source", b"first"), ("source", b"second"), ("", b"")],
    ]
    posts = [builders.status("watermark", id=builders.snowflake(sequence=500 + n)) for n in range(len(odd))]
    sent = running.send(*(Raw(builders.line(post), headers=given) for post, given in zip(posts, odd, strict=True)))
    running.settle()
    stored = running.stored({"watermark"})
    assert len(stored) == before + len(odd)
    assert {row["origin"] for row in stored.values()} <= {"live", "replay"}
    assert [raw for raw, _ in sent]
    running.check_calm()


def test_bad_classified_records(running: Chain) -> None:
    good = classified_headers(1, [LINE])
    bad = [
        Raw(None, 0, b"watermark", good),
        Raw(POST, 1, None, good),
        Raw(POST, 2, b"watermark", []),
        Raw(POST, 3, b"watermark", [("event_version", b"one"), ("lines", b"[]")]),
        Raw(POST, 0, b"watermark", [good[0], ("lines", b'{"not": "lines"}')]),
        Raw(POST + b"\n" + POST, 1, b"watermark", good),
        Raw(b"no JSON", 2, b"watermark", good),
        Raw(b'{"delete": {}}', 3, b"watermark", good),
    ]
    running_before = len(running.stored({"watermark"}))
    topics.send(running.settings, bad, CLASSIFIED)
    works(running, 2)
    assert sorted(letter.value for letter in letters_of(running, CLASSIFIED)) == sorted(raw.value or b"" for raw in bad)
    assert len(running.stored({"watermark"})) == running_before + running.settings.partitions


def test_posts_of_an_event_that_nobody_knows_are_not_stored(running: Chain) -> None:
    topics.send(running.settings, [Raw(POST, 0, b"unheard-of", classified_headers(1, [LINE]))], CLASSIFIED)
    works(running, 3)
    assert running.stored({"unheard-of"}) == {}


def test_bad_commands(running: Chain) -> None:
    good = events.create("well-formed", keywords=("wellformed",))
    command = msgspec.to_builtins(good)
    incomplete = {name: value for name, value in command.items() if name != "who"}
    bad = [
        Raw(b"no JSON", 0, b"x", ()),
        Raw(None, 1, b"x", ()),
        Raw(b"", 2, None, ()),
        Raw(b"[]", 3, b"x", ()),
        Raw(msgspec.json.encode(incomplete), 0, b"well-formed", ()),
        Raw(msgspec.json.encode(command | {"action": "explode"}), 1, b"well-formed", ()),
        Raw(msgspec.json.encode(command | {"definition": {"keyword": ["typo"]}}), 2, b"well-formed", ()),
        Raw(b"\xff\xfe", 3, b"\xff\xfe", ()),
    ]
    topics.send(running.settings, bad, EVENT_COMMANDS)
    assert events.told(running.settings, good).accepted, "the controller lives"
    running.settle()
    letters = letters_of(running, EVENT_COMMANDS)
    assert sorted(letter.value for letter in letters) == sorted(raw.value or b"" for raw in bad)
    assert all(letter.reason.startswith("no command: ") for letter in letters)
    assert events.events(running.settings)["well-formed"].version == 1


def test_a_command_that_went_to_another_writers_partition_is_refused(running: Chain) -> None:
    """Only the owner of the code's partition may decide on it: two managers would both be right otherwise."""
    wrong = events.create("astray", keywords=("astray",))
    partitions = {
        sent.partition
        for sent in topics.send(
            running.settings,
            [Raw(msgspec.json.encode(wrong), number, b"astray", ()) for number in range(4)],
            EVENT_COMMANDS,
        )
    }
    assert partitions == {0, 1, 2, 3}
    running.settle()
    assert events.events(running.settings)["astray"].version == 1
    assert len([letter for letter in letters_of(running, EVENT_COMMANDS) if b"astray" in letter.value]) == 3
    answers = [
        record.value for record in topics.read(running.settings, EVENT_RESULTS) if record.key == wrong.id.encode()
    ]
    assert sorted(msgspec.json.decode(answer, type=Answer).accepted for answer in answers) == [False] * 3 + [True]


def test_what_others_write_into_events_is_passed_over(running: Chain) -> None:
    bad = [Raw(b"no JSON", None, b"garbage", ()), Raw(b"{}", None, b"watermark", ()), Raw(b"null", None, b"", ())]
    topics.send(running.settings, bad, EVENTS)
    # Readable, but no command would have let its keywords pass.
    events.put_events(
        running.settings, [events.active("poison", "", 'a "quote', "antidote", boxes=((9e9, -9e9, 0, 0),))]
    )
    works(running, 4)
    said = until(
        lambda: [entry for entry in running.workers["all"].complaints() if "unreadable" in entry["event"]], "a warning"
    )
    assert len(said) == len(bad)
