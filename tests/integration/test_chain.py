"""The whole chain with real parts: raw records in, rows, counts and dead letters out, and nothing else.

What is expected follows from the pure functions, tried elsewhere: here they run in workers, behind topics, headers,
batches and the binary form of the driver.
"""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from app.local.stack import Stack
from tests import builders
from tests.support import events, rows, topics
from tests.support.chain import Chain, chain
from tests.support.topics import Raw

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "tweets"
FILES = sorted(SHARED.glob("*.jsonl.gz"))

# Lines that nobody can read, and a part of the reason that their dead letter must give.
MALFORMED = {
    b"{": "not JSON",
    b'{"id_str": "1", "text": "cut of': "not JSON",
    b"\xff\xfe\x00": "not JSON",
    b'{"some": "object"}': "neither a post nor a known control message",
    b'"a text"': "str where an object should be",
    b"[]": "a list that holds no posts",
    b'{"text": "a text of nobody"}': "a post without an id",
    b'{"id_str": "12", "text": 12}': "without a text",
    b'{"data": [1], "includes": {}}': "v2 data that holds other things than posts",
}
EVENTS = (
    events.create("shops", keywords=("walmart", "target", '"star wars"', "black friday")),
    events.create("politics", keywords=("trump", '"white house"', "#maga"), languages=("en",)),
    events.create("disaster", keywords=("flood", "earthquake", "fire", "hurricane harvey", "地震")),
    events.create("tags", keywords=("#jobs", "#nowplaying", "#cdnpoli")),
    events.create("accounts", accounts=("@realDonaldTrump", "youtube")),
    events.create("from-a-box", boxes=((-125.0, 24.0, -66.0, 49.0),)),
    events.create("spanish", keywords=("de", "la", "el"), languages=("es",)),
    events.create("asleep", keywords=("trump", "de"), draft=True),
)
SYNTHETIC = (
    events.create("mill", keywords=("rotwasser", '"lower street"', "#water")),
    events.create("german", keywords=("rotwasser",), languages=("de",)),
    events.create("watchers", accounts=("mill_watch",)),
    events.create("talheim", boxes=((7.5, 46.5, 9.0, 48.0),)),
    events.create("unseen", keywords=('"nobody writes this"',)),
    events.create("draft", keywords=("water",), draft=True),
)


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    """One process with all roles."""
    with chain(stack, "all") as made:
        yield made


def packed(lines: Sequence[bytes], dice: random.Random, partitions: int) -> list[Raw]:
    """Records of 1 to 64 lines, on any partition."""
    records = []
    at = 0
    while at < len(lines):
        size = dice.choice((1, 2, dice.randint(3, 64), 64))
        records.append(Raw(b"\n".join(lines[at : at + size]), dice.randrange(partitions)))
        at += size
    return records


def plant(lines: list[bytes], dice: random.Random, count: int) -> Counter[bytes]:
    """Put malformed lines between the others; says which."""
    planted: Counter[bytes] = Counter()
    for _ in range(count):
        bad = dice.choice(list(MALFORMED))
        planted[bad] += 1
        lines.insert(dice.randrange(len(lines)), bad)
    return planted


def check_letters(running: Chain, planted: Counter[bytes], sent: Sequence[Raw]) -> None:
    """Each planted line is in dead_letters: its bytes, its reason, and the place where it stands."""
    letters = topics.dead_letters(running.settings)
    assert Counter(letter.value for letter in letters.values()) == planted
    places = Counter(
        number for record in sent for number, line in enumerate((record.value or b"").split(b"\n")) if line in MALFORMED
    )
    assert Counter(int(key.rpartition(":")[2]) for key in letters) == places
    assert not [key for key, letter in letters.items() if MALFORMED[letter.value] not in letter.reason]


def wire_forms(count: int) -> Iterator[bytes]:
    """Posts in every wire form, with ids of their own, and control messages between."""
    number = builders.snowflake()
    for at in range(count):
        number += 1_000_000_000
        original = builders.status("Water in the lower street", id=number, place=builders.place())
        long = builders.extended_status(id=number + 1)
        yield from map(
            builders.line,
            (
                original,
                long,
                builders.rest_status(id=number + 2, lang="de", user=builders.user("someone_else")),
                builders.retweet_of(long, id=number + 3),
                builders.quote_of(original, id=number + 4),
                builders.v2_payload("The #Water is rising", id=str(number + 5)),
                builders.v2_list(
                    builders.v2_post("in a list: rotwasser", id=str(number + 6)),
                    builders.v2_post("nothing of it", id=str(number + 7)),
                ),
                {"delete": {"status": {"id": number, "id_str": str(number), "user_id": at, "user_id_str": str(at)}}},
                {"limit": {"track": at}},
            ),
        )


def test_every_wire_form_goes_through_the_whole_chain(running: Chain) -> None:
    dice = random.Random(2)
    events.accepted(running.settings, *SYNTHETIC)
    lines = list(wire_forms(40))
    planted = plant(lines, dice, 50)
    sent = running.send(*packed(lines, dice, running.settings.partitions))
    running.settle()

    wanted = running.check(sent, {command.code for command in SYNTHETIC})
    assert running.intake() == wanted.intake
    assert wanted.intake.lines == len(lines) == 40 * 9 + 50
    assert wanted.intake.posts == 40 * 8
    assert wanted.intake.control == {"delete": 40, "limit": 40}
    assert wanted.intake.malformed == 50
    check_letters(running, planted, [raw for raw, _ in sent])
    found = Counter(code for code, _ in wanted.rows)
    # Known without asking the matcher: which of the eight posts of a round are each event's.
    # The first one, the only one from the box, is deleted.
    assert found == {"mill": 40 * 6, "german": 40, "watchers": 40 * 5}
    assert Counter(code for code, _ in wanted.removed) == {"mill": 40, "watchers": 40, "talheim": 40}


@pytest.mark.skipif(not FILES, reason="the shared real posts (../shared/tweets) are not on this machine")
def test_all_real_posts_go_through_the_whole_chain(stack: Stack) -> None:
    dice = random.Random(1)
    lines: list[bytes] = []
    for path in FILES:
        with gzip.open(path) as file:
            lines += [line.rstrip(b"\n") for line in file]
    control = Counter(
        kind for line in lines for kind in ("delete", "limit") if isinstance(orjson.loads(line).get(kind), dict)
    )
    planted = plant(lines, dice, 300)
    with chain(stack, "manager", "classifier", "normalizer") as split:
        events.accepted(split.settings, *EVENTS)
        sent = split.send(*packed(lines, dice, split.settings.partitions))
        split.settle()
        wanted = split.check(sent, {command.code for command in EVENTS})
        intake = split.intake()
        check_letters(split, planted, [raw for raw, _ in sent])

    assert intake == wanted.intake
    assert intake.lines == len(lines)
    assert intake.control == control
    assert intake.malformed == 300
    found = Counter(code for code, _ in wanted.rows)
    assert found.keys() == {command.code for command in EVENTS} - {"asleep"}, "else the test says little"
    assert min(found.values()) > 20


def test_the_query_of_the_thesis_answers(running: Chain) -> None:
    code = "asked-for"
    events.accepted(running.settings, events.create(code, keywords=("askedfor",)))
    running.send(
        *(Raw(builders.line(builders.status(f"askedfor {n}", id=builders.snowflake(sequence=n)))) for n in range(3))
    )
    running.settle()
    found = rows.query(running.settings, "SELECT t_id, t_text FROM {keyspace}.tweet WHERE event_name = %s", code)
    assert sorted(row["t_text"] for row in found) == [f"askedfor {n}" for n in range(3)]
    assert rows.query(running.settings, "SELECT t_id FROM {keyspace}.tweet WHERE event_name = %s", "nobody") == []


def test_a_post_delivered_three_times_is_one_row(running: Chain) -> None:
    """The prototype gave each delivery a random id, so a redelivery doubled the row."""
    events.accepted(running.settings, events.create("thrice", keywords=("thrice",)))
    line = builders.line(builders.status("thrice", id=builders.snowflake(sequence=33)))
    running.send(Raw(line + b"\n" + line, 0), Raw(line, 0), Raw(line, 1))
    running.settle()
    assert len(running.stored({"thrice"})) == 1
    assert running.counted()["thrice"] == 4, "each delivery is a post of the stream"


def test_a_record_without_headers_is_a_plain_post(running: Chain) -> None:
    events.accepted(running.settings, events.create("plain", keywords=("plainly",)))
    (sent,) = running.send(
        Raw(builders.line(builders.status("plainly", id=builders.snowflake(sequence=44))), headers=())
    )
    running.settle()
    running.check([sent], {"plain"})
    (row,) = running.stored({"plain"}).values()
    assert (row["source"], row["origin"]) == ("unknown", "live")
    assert row["received_at"] == rows.moment(sent[1].timestamp), "when Kafka got it"


def test_each_post_of_a_v2_list_is_stored_with_its_own_json(running: Chain) -> None:
    events.accepted(running.settings, events.create("listed", keywords=("listed",)))
    ids = [str(builders.snowflake(sequence=50 + n)) for n in range(3)]
    users = [builders.v2_user("first_one", id="71"), builders.v2_user("second_one", id="72")]
    posts = [
        builders.v2_post("listed one", id=ids[0], author_id="71"),
        builders.v2_post("listed two", id=ids[1], author_id="72"),
        builders.v2_post("another", id=ids[2], author_id="72"),
    ]
    sent = running.send(Raw(builders.line(builders.v2_list(*posts, includes={"users": users}))))
    running.settle()
    running.check(sent, {"listed"})
    stored = {
        key[1]: orjson.loads(row["json"]) for key, row in rows.raw_json(running.settings).items() if key[0] == "listed"
    }
    assert stored == {
        ids[0]: {"data": posts[0], "includes": {"users": [users[0]]}},
        ids[1]: {"data": posts[1], "includes": {"users": [users[1]]}},
    }
    assert {key[1]: row["u_screen_name"] for key, row in running.stored({"listed"}).items()} == {
        ids[0]: "first_one",
        ids[1]: "second_one",
    }
