"""Invariants of classification, buckets and decisions, on generated input."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.classify import classify
from app.domain.codes import CODE_LENGTH, check_code, code_of
from app.domain.decisions import Action, Command, Refused, decide
from app.domain.events import Definition, Event
from app.domain.matcher import Matcher
from app.domain.partitioning import BucketRule, bucket_of, kafka_partition, next_rule, rule_for, time_in_id
from app.domain.posts import Control, Malformed, read
from app.domain.records import Line, RawRecord, classified_headers, classified_record
from tests.builders import line, snowflake, status, v2_list, v2_post

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)

# A loaded machine is no fault.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# ---- classification

EVENTS = [
    Event(code="flood", name="e", status="active", keywords=("flood",)),
    Event(code="both", name="e", status="active", keywords=("flood", "storm"), buckets=(rule_for(1),)),
    Event(code="idle", name="e", status="paused", keywords=("flood",)),
]
MATCHER = Matcher(EVENTS)
texts = st.sampled_from(["flood", "a storm", "flood, storm", "sun", "firefox"])
ids = st.integers(0, 5000).map(lambda number: str(snowflake(sequence=number)))
v1_posts = st.builds(lambda text, post_id: status(text, id=int(post_id)), texts, ids)
lines = st.one_of(
    v1_posts.map(line),
    st.lists(v1_posts, max_size=3).map(line),
    st.lists(st.builds(lambda text, post_id: v2_post(text, id=post_id), texts, ids), max_size=3).map(
        lambda posts: line(v2_list(*posts))
    ),
    st.sampled_from(
        [b"", b" ", b"{", b"5", b"null", b"[]", b'{"delete":{}}', b'{"limit":{"track":1}}', b'{"text":"flood"}']
    ),
    st.binary(max_size=8).filter(lambda some: b"\n" not in some),
)
records = st.lists(st.tuples(st.integers(0, 2), st.lists(lines, max_size=5)), max_size=5).map(
    lambda several: [
        RawRecord("raw", partition, offset, b"\n".join(some), 1) for offset, (partition, some) in enumerate(several)
    ]
)


def kinds_of(record: RawRecord) -> list[str | int]:
    """What each line is: its number of posts, or what else."""
    kinds: list[str | int] = []
    for one in record.lines:
        try:
            found = read(one)
        except Malformed:
            kinds.append("malformed")
            continue
        kinds.append("control" if isinstance(found, Control) else len(found))
    return kinds


@settings(CALM, max_examples=150)
@given(records, st.integers(1, 8))
def test_every_line_is_accounted_for(given_records: list[RawRecord], partitions: int) -> None:
    found = classify(given_records, MATCHER, partitions)
    entries = {(partition, entry.offset): entry for partition, some in found.intake.items() for entry in some}
    assert len(entries) == len(given_records)
    for record in given_records:
        entry, kinds = entries[record.partition, record.offset], kinds_of(record)
        assert entry.lines == len(record.lines) == len(kinds)
        assert entry.malformed == kinds.count("malformed")
        assert sum(entry.control.values()) == kinds.count("control")
        assert entry.posts == sum(kind for kind in kinds if isinstance(kind, int))
        assert entry.matched <= entry.posts
    dead = {(letter.partition, letter.offset, letter.line): letter.value for letter in found.dead}
    assert len(dead) == len(found.dead) == sum(entry.malformed for entry in entries.values())
    by_offset = {record.offset: record for record in given_records}
    assert all(by_offset[offset].lines[number] == value for (_, offset, number), value in dead.items())
    assert sum(len(bundle.posts) for bundle in found.bundles) == sum(entry.classified for entry in entries.values())
    for bundle in found.bundles:
        assert len(bundle.posts) == len(bundle.lines) > 0
        for raw, origin in zip(bundle.posts, bundle.lines, strict=True):
            (post,) = read(raw)  # type: ignore[misc]  # a payload of one post
            whole = read(by_offset[origin.offset].lines[origin.line])
            assert isinstance(whole, list)
            assert whole[origin.part].id == post.id
            assert kafka_partition(post.id, partitions) == bundle.partition
            assert {match.event.code: match.matched for match in MATCHER.match(post)}[
                bundle.event.code
            ] == origin.matched
    for partition in range(partitions):
        for code in ("flood", "both"):
            some = [bundle for bundle in found.bundles if (bundle.event.code, bundle.partition) == (code, partition)]
            for raw_partition in range(3):
                positions = [o.position for bundle in some for o in bundle.lines if o.partition == raw_partition]
                assert positions == sorted(set(positions))


positions = st.builds(
    Line,
    st.integers(0, 100),
    st.integers(0, 1 << 60),
    st.integers(0, 1000),
    st.integers(0, 100),
    st.integers(0, 1 << 50),
    st.text(max_size=10),
    st.sampled_from(["live", "replay"]),
    st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3),
)


@CALM
@given(
    st.integers(1, 1 << 40),
    st.lists(st.tuples(positions, st.binary(min_size=1).filter(lambda b: b"\n" not in b)), min_size=1),
)
def test_a_classified_record_comes_back(version: int, rows: list[tuple[Line, bytes]]) -> None:
    origins, posts = [origin for origin, _ in rows], [raw for _, raw in rows]
    record = classified_record(b"e", b"\n".join(posts), dict(classified_headers(version, origins)))
    assert (record.version, record.lines, record.posts) == (version, origins, posts)


# ---- buckets

rates = st.floats(0.001, 100_000)


def schedule(steps: list[tuple[float, int]]) -> tuple[BucketRule, ...]:
    """Rules of these rates, each so many seconds after the one before."""
    since, rules = NOW_MS, [rule_for(1)]
    for rate, seconds in steps:
        since += 1000 * seconds
        rules.append(rule_for(rate, since))
    return tuple(rules)


schedules = st.lists(st.tuples(rates, st.integers(1, 1 << 22)), max_size=6).map(schedule)
moments = st.integers(0, 4_000_000_000_000)
post_ids = st.one_of(
    st.integers(-(10**7), 10**8).map(lambda seconds: str(snowflake(NOW_MS + 1000 * seconds))),
    st.integers(0, 1 << 63).map(str),
    st.text("234567abcdefghijklmnopqrstuvwxyz", min_size=13, max_size=13),
    st.text(max_size=20),
)


@CALM
@given(schedules, post_ids, st.none() | moments, rates, st.integers(1, 1 << 22))
def test_a_post_keeps_its_bucket_when_a_later_rule_is_appended(
    rules: tuple[BucketRule, ...], post_id: str, created: int | None, rate: float, later: int
) -> None:
    name, start, seconds = bucket_of(rules, post_id, created)
    assert bucket_of(rules, post_id, created) == (name, start, seconds)
    moment = time_in_id(post_id)
    moment = created if moment is None else moment
    if moment is None:
        assert (start, seconds) == (0, 0)
        return
    assert start <= moment < start + seconds * 1000
    appended = rule_for(rate, max(rules[-1].since, NOW_MS) + 1000 * later)
    after = bucket_of((*rules, appended), post_id, created)
    assert after == (name, start, seconds) or moment >= appended.since


@CALM
@given(schedules, st.integers(-(10**7), 10**8), st.integers(-(10**7), 10**8))
def test_a_bucket_is_of_one_rule(rules: tuple[BucketRule, ...], one: int, other: int) -> None:
    def rule_at(seconds: int) -> int:
        return sum(rule.since <= NOW_MS + 1000 * seconds for rule in rules[1:])

    names = [bucket_of(rules, str(snowflake(NOW_MS + 1000 * seconds)), None)[0] for seconds in (one, other)]
    assert names[0] != names[1] or rule_at(one) == rule_at(other)


@CALM
@given(rates, st.dictionaries(st.integers(-70, 0), st.integers(0, 10**6)), st.integers(0, 59))
def test_a_new_rule_begins_after_now_and_holds_the_rate(rate: float, counts: dict[int, int], second: int) -> None:
    now = NOW_MS + 1000 * second
    minutes = {now // 60_000 + back: count for back, count in counts.items()}
    rules: tuple[BucketRule, ...] = (rule_for(rate),)
    rule = next_rule(rules, minutes, now)
    if rule is None:
        return
    assert rule.since > now
    last_minute = minutes.get(now // 60_000 - 1, 0) / 60
    assert last_minute * rule.seconds / rule.shards <= 10_000
    assert next_rule((*rules, rule), minutes, now) is None


@CALM
@given(st.text(max_size=100))
def test_a_code_is_made_safe_or_refused(name: str) -> None:
    try:
        code = code_of(name)
    except ValueError:
        return
    assert check_code(code) == code == code_of(code)
    assert len(code) <= CODE_LENGTH


# ---- decisions

definitions = st.builds(
    Definition,
    name=st.just(msgspec.UNSET) | st.sampled_from(["Flood", " "]),
    keywords=st.just(msgspec.UNSET)
    | st.lists(st.sampled_from(["flood", "storm", "a b", "", "x,y"]), max_size=3).map(tuple),
    start=st.sampled_from([msgspec.UNSET, None, NOW + timedelta(hours=1)]),
    end=st.sampled_from([msgspec.UNSET, None, NOW + timedelta(hours=2)]),
)
rules_typed = st.builds(
    BucketRule,
    since=st.integers(0, 2 * NOW_MS),
    seconds=st.sampled_from([0, 60, 3600]),
    shards=st.integers(0, 9),
)
commands = st.builds(
    Command,
    id=st.just("1"),
    action=st.sampled_from(get_args(Action)),
    code=st.just("flood"),
    at=st.integers(0, 10_000).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    who=st.just("ann"),
    expected_version=st.none() | st.integers(0, 8),
    definition=definitions,
    draft=st.booleans(),
    rule=st.none() | rules_typed,
)
creation = Command(
    id="0", action="create", code="flood", at=NOW, who="ann", definition=Definition(name="F", keywords=("flood",))
)


@settings(CALM, max_examples=300)
@given(st.lists(commands, max_size=25))
def test_versions_never_go_back_and_history_tells_all(several: list[Command]) -> None:
    event: Event | None = None
    version, told = 0, 0
    for command in [creation, *several]:
        try:
            after = decide(command, event, version)
        except Refused as refused:
            assert str(refused)
            continue
        assert after == decide(command, event, version)  # a command that is read again is decided the same
        assert after.version == version + 1
        told = 1 if command.action == "create" else told + 1
        assert [change.version for change in after.history] == list(range(after.version - told + 1, after.version + 1))
        assert after.history[-1].action == command.action
        assert after.keywords
        assert after.buckets[: len(event.buckets) if event else 0] == (event.buckets if event else ())
        event, version = after, after.version
        if event.status == "purging" and command.draft:  # the manager has removed its rows
            event, told = None, 0


@settings(CALM, max_examples=100)
@given(commands, st.sampled_from(["draft", "active", "deleted"]), st.integers(1, 9))
def test_an_older_expectation_changes_nothing(command: Command, state: Any, version: int) -> None:
    current = Event(code="flood", name="F", keywords=("flood",), status=state, version=version)
    try:
        after = decide(command, current)
    except Refused:
        return
    assert command.expected_version in (None, version)
    assert after.version == version + 1
