"""Classification of raw records: each line is accounted for, each matched post knows where it came from."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import pytest

from app.domain import classify as classify_module
from app.domain.classify import Classified, Intake, classify
from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.partitioning import kafka_partition
from app.domain.posts import Json
from app.domain.records import Line, RawRecord
from tests.builders import line, snowflake, status, v2_list, v2_post

FLOOD = Event(code="flood", name="Flood", status="active", keywords=("flood", "water"))
STORM = Event(code="storm", name="Storm", status="active", keywords=("storm",))
MATCHER = Matcher([FLOOD, STORM])


def record(*lines: bytes, offset: int = 10, partition: int = 2, **more: Any) -> RawRecord:
    return RawRecord("raw", partition, offset, b"\n".join(lines), 1234, **more)


def classified(*records: RawRecord, partitions: int = 1) -> Classified:
    return classify(records, MATCHER, partitions)


def numbered(text: str, number: int) -> Json:
    return status(text, id=snowflake(sequence=number))


def only_intake(found: Classified) -> Intake:
    ((intake,),) = found.intake.values()
    return intake


def test_a_post_goes_to_each_event_that_it_belongs_to() -> None:
    raw = line(status("a flood after the storm"))
    found = classified(record(raw, source="x", origin="replay"))
    assert {bundle.event.code: bundle.posts for bundle in found.bundles} == {"flood": [raw], "storm": [raw]}
    origin = Line(2, 10, 0, 0, 1234, "x", "replay", {"flood": "text"})
    assert found.bundles[0].lines == [origin]
    assert only_intake(found) == Intake(offset=10, lines=1, posts=1, matched=1, classified=2)


def test_a_post_that_belongs_to_none_goes_nowhere() -> None:
    found = classified(record(line(status("sun"))))
    assert (found.bundles, found.dead) == ([], [])
    assert only_intake(found) == Intake(offset=10, lines=1, posts=1)


def test_a_control_message_is_counted_by_its_kind_and_never_a_post() -> None:
    found = classified(record(b'{"limit":{"track":5}}', b'{"delete":{}}', b'{"limit":{"track":6}}'))
    assert found.bundles == []
    assert only_intake(found) == Intake(offset=10, lines=3, control={"limit": 2, "delete": 1})


@pytest.mark.parametrize("value", [b"", b"\n", b"\r\n"])
def test_a_record_of_a_blank_line_is_a_keep_alive(value: bytes) -> None:
    found = classified(RawRecord("raw", 0, 3, value, 1))
    assert found.dead == []
    assert only_intake(found) == Intake(offset=3, lines=1, control={"keep_alive": 1})


def test_blank_lines_between_posts_shift_no_position() -> None:
    found = classified(record(b"", line(status("flood")), b"\r", line(numbered("flood", 1)), b""))
    assert [origin.line for origin in found.bundles[0].lines] == [1, 3]
    assert only_intake(found).control == {"keep_alive": 2}  # the last newline only ends the record


def test_a_bad_line_is_buried_with_its_reason_and_stops_nothing() -> None:
    good = line(status("flood"))
    found = classified(record(b"{", good, b"5", b'{"id": 1}'))
    assert [(dead.id, dead.value) for dead in found.dead] == [
        ("raw:2:10:0", b"{"),
        ("raw:2:10:2", b"5"),
        ("raw:2:10:3", b'{"id": 1}'),
    ]
    assert all(dead.reason for dead in found.dead)
    assert found.bundles[0].posts == [good]
    assert only_intake(found) == Intake(offset=10, lines=4, posts=1, matched=1, classified=1, malformed=3)


@pytest.mark.parametrize("wrap", [lambda posts: posts, lambda posts: {"statuses": posts}])
def test_a_line_of_several_posts_is_cut_into_parts(wrap: Any) -> None:
    posts = [numbered("flood", 1), numbered("sun", 2), numbered("flood", 3)]
    found = classified(record(b"", line(wrap(posts))))
    (bundle,) = found.bundles
    assert [(origin.line, origin.part) for origin in bundle.lines] == [(1, 0), (1, 2)]
    assert bundle.posts == [line(posts[0]), line(posts[2])]
    intake = only_intake(found)
    assert (intake.lines, intake.posts, intake.matched) == (2, 3, 2)


def test_a_v2_list_is_cut_into_payloads_of_one_post() -> None:
    found = classified(record(line(v2_list(v2_post("flood", id="1"), v2_post("flood", id="2")))))
    again = classified(record(*found.bundles[0].posts))
    assert [origin.part for origin in found.bundles[0].lines] == [0, 1]
    assert again.bundles[0].posts == found.bundles[0].posts


def test_an_answer_without_posts_is_a_line_without_posts() -> None:
    assert only_intake(classified(record(b'{"statuses": []}', b'{"data": []}'))) == Intake(offset=10, lines=2)


def test_posts_of_an_event_are_spread_by_their_ids_and_stay_in_order() -> None:
    lines = [line(numbered("flood", number)) for number in range(100)]
    found = classified(record(*lines[:50]), record(*lines[50:], offset=11), partitions=4)
    assert len(found.bundles) == 4
    for bundle in found.bundles:
        positions = [origin.position for origin in bundle.lines]
        assert positions == sorted(positions)
        for origin in bundle.lines:
            number = origin.line + 50 * (origin.offset - 10)
            assert kafka_partition(str(snowflake(sequence=number)), 4) == bundle.partition
            assert lines[number] == bundle.posts[bundle.lines.index(origin)]


def test_a_bundle_is_cut_at_so_many_posts() -> None:
    most = classify_module.MAX_POSTS
    lines = [line(numbered("flood", number)) for number in range(2 * most + 5)]
    found = classified(record(*lines))
    assert [len(bundle.posts) for bundle in found.bundles] == [most, most, 5]
    assert list(chain(*(bundle.posts for bundle in found.bundles))) == lines


def test_a_bundle_is_cut_at_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line(numbered("flood " + "x" * size, size)) for size in (100, 200, 5000, 100, 200)]
    monkeypatch.setattr(classify_module, "MAX_BYTES", 2 * len(lines[1]) + 200)
    found = classified(record(*lines))
    assert [len(bundle.posts) for bundle in found.bundles] == [2, 1, 2]
    assert list(chain(*(bundle.posts for bundle in found.bundles))) == lines


def test_what_matched_counts_as_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    words = tuple(f"word{number}" for number in range(100))
    matcher = Matcher([Event(code="all", name="all", status="active", keywords=words)])
    monkeypatch.setattr(classify_module, "MAX_BYTES", 10_000)
    found = classify([record(*[line(numbered(" ".join(words), number)) for number in range(3)])], matcher, 1)
    assert [len(bundle.posts) for bundle in found.bundles] == [1, 1, 1]


def test_intake_adds_up_by_record_and_partition() -> None:
    bad, note, post = b"{", b'{"limit":{}}', line(status("flood"))
    records = [
        record(bad, note, post, post, offset=1, partition=0),
        record(post, offset=7, partition=1),
        record(note, b"", post, offset=2, partition=0),
    ]
    found = classified(*records)
    assert {partition: [entry.offset for entry in entries] for partition, entries in found.intake.items()} == {
        0: [1, 2],
        1: [7],
    }
    entries = list(chain(*found.intake.values()))
    assert all(entry.lines == entry.posts + sum(entry.control.values()) + entry.malformed for entry in entries)
    assert sum(entry.classified for entry in entries) == sum(len(bundle.posts) for bundle in found.bundles)
    assert sum(entry.malformed for entry in entries) == len(found.dead)


def test_intake_of_several_records_is_their_sum() -> None:
    total = Intake()
    for entry in (
        Intake(offset=5, lines=3, posts=1, matched=1, classified=2, malformed=1, control={"limit": 1}),
        Intake(offset=4, lines=2, posts=0, control={"limit": 1, "delete": 1}),
    ):
        total.add(entry)
    control = {"limit": 2, "delete": 1}
    assert total == Intake(offset=5, lines=5, posts=1, matched=1, classified=2, malformed=1, control=control)


def test_nothing_comes_of_nothing() -> None:
    assert classified() == Classified([], [], {})


def test_the_same_records_give_the_same_bundles() -> None:
    records = [record(*[line(numbered("flood storm", number)) for number in range(20)])]
    first, second = (classified(*records, partitions=3) for _ in range(2))
    assert first == second
    assert Counter(bundle.event.code for bundle in first.bundles) == {"flood": 3, "storm": 3}


def test_a_record_that_a_batch_holds_twice_is_counted_once() -> None:
    total = Intake()
    records = [Intake(offset=offset, lines=12, posts=12) for offset in (4, 5, 5, 4, 6, 6)]
    assert [total.count(record) for record in records] == [True, True, False, False, True, False]
    assert total == Intake(offset=6, lines=36, posts=36)


@pytest.mark.parametrize(
    ("origin", "times"), [("import", 1), ("rematch", 1), ("search", 1), ("live", 2), ("replay", 2)]
)
def test_of_the_copies_in_a_record_of_the_past_the_first_that_matches_goes(origin: str, times: int) -> None:
    flood = line(status("a flood"))
    found = classified(record(line(status("sun")), flood, line(numbered("water", 1)), flood, origin=origin))
    assert [one.line for bundle in found.bundles for one in bundle.lines] == [1, 2, 3][: times + 1]
    assert only_intake(found).posts == 4
    assert only_intake(found).matched == only_intake(found).classified == times + 1
