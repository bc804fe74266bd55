"""Counts that stay exact when records come again, in pieces, or in another order."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from app.domain.activity import DAYS, HOURS, MINUTES, TENS, TOP, Activity, merge
from app.domain.counting import MINUTE_MS, Seen

DAY_MS = 86_400_000
BASE_MS = 20_000 * DAY_MS


def seen(offset: int, line: int = 0, part: int = 0, raw: int = 0, **more: Any) -> Seen:
    given = {
        "created_ms": BASE_MS,
        "keywords": ("flood",),
        "language": "de",
        "hashtags": (),
        "account": "ann",
        "source": "x",
    }
    return Seen(raw_partition=raw, position=(offset, line, part), **given | more)


def counted(posts: Iterable[Seen], activity: Activity | None = None) -> Activity:
    activity = Activity() if activity is None else activity
    for post in posts:
        activity.count(post)
    return activity


def reloaded(activity: Activity) -> Activity:
    """As it comes back from the changelog."""
    return msgspec.json.decode(msgspec.json.encode(activity), type=Activity)


def test_what_is_counted_of_a_post() -> None:
    post = seen(1, keywords=("flood", "#storm"), hashtags=("Flut", "flut", "Damm"))
    assert counted([post]) == Activity(
        positions={"0": (1, 0, 0)},
        posts=1,
        minutes={20_000 * 1440: 1},
        tens={20_000 * 144: 1},
        hours={20_000 * 24: 1},
        days={20_000: 1},
        keywords={"flood": 1, "#storm": 1},
        languages={"de": 1},
        sources={"x": 1},
        hashtags={"flut": 1, "damm": 1},
        accounts={"ann": 1},
    )


def test_a_post_without_time_language_or_account_is_counted_still() -> None:
    activity = counted([seen(1, created_ms=None, language=None, account=None)])
    assert (activity.posts, activity.minutes, activity.languages, activity.accounts) == (1, {}, {"": 1}, {})


@pytest.mark.parametrize(
    ("again", "new"),
    [
        (seen(5, 3, 1), False),
        (seen(5, 3, 0), False),
        (seen(5, 2, 9), False),
        (seen(4, 9, 9), False),
        (seen(5, 3, 2), True),
        (seen(5, 4, 0), True),
        (seen(6, 0, 0), True),
        (seen(0, 0, 0, raw=1), True),
    ],
)
def test_a_position_is_counted_once(again: Seen, new: bool) -> None:
    for activity in (counted([seen(5, 3, 1)]), reloaded(counted([seen(5, 3, 1)]))):
        before = msgspec.json.encode(activity)
        assert activity.count(again) is new
        assert (msgspec.json.encode(activity) != before) is new


def posts(count: int = 60) -> list[Seen]:
    return [
        seen(
            number // 4,
            number % 4,
            created_ms=BASE_MS + number * 20_000,
            hashtags=(f"tag{number % 5}",),
            keywords=(f"word{number % 3}",),
        )
        for number in range(count)
    ]


def test_records_that_are_read_again_change_nothing() -> None:
    whole = counted(posts())
    assert counted(posts(), counted(posts())) == whole
    for restart in range(0, 60, 7):
        assert counted(posts()[restart // 2 :], reloaded(counted(posts()[:restart]))) == whole


def test_a_worker_that_was_thought_dead_and_its_heir_count_once() -> None:
    rng = random.Random(3)
    whole = counted(posts())
    for _ in range(50):
        # Both go on from a committed position, one behind the other, and their records arrive interleaved.
        zombie, heir = posts()[: rng.randrange(60)], posts()
        activity = counted(posts()[: rng.randrange(30)])
        while zombie or heir:
            lane = rng.choice([lane for lane in (zombie, heir) if lane])
            for _ in range(rng.randrange(1, 9)):
                if lane:
                    activity.count(lane.pop(0))
        assert activity == whole


def test_raw_partitions_are_counted_apart() -> None:
    activity = counted([seen(9, raw=1), seen(3, raw=2), seen(9, raw=1), seen(4, raw=2)])
    assert activity.posts == 3
    assert activity.positions == {"1": (9, 0, 0), "2": (4, 0, 0)}


def test_a_rematch_counts_old_positions_once() -> None:
    live = counted(seen(offset) for offset in (5, 9))
    again = [seen(offset, rematch=7) for offset in (3, 4, 9)]
    for activity in (live, reloaded(live)):
        assert [activity.count(post) for post in again] == [True, True, True]
        assert [reloaded(activity).count(post) for post in again] == [False, False, False]
        assert (activity.posts, activity.rematch) == (5, 7)
        assert activity.count(seen(10))


def test_a_newer_rematch_forgets_the_positions_of_the_older_and_what_it_is_still_sent() -> None:
    activity = counted([seen(5), seen(3, rematch=7), seen(4, raw=1, rematch=7), seen(2, rematch=9)])
    assert activity.positions == {"0": (5, 0, 0), "0~9": (2, 0, 0)}
    before = msgspec.json.encode(activity)
    assert not activity.count(seen(4, rematch=7)), "it was counted, or is sent again by the newer one"
    assert msgspec.json.encode(activity) == before


def test_it_is_known_where_a_rematch_has_been() -> None:
    activity = counted([seen(5), seen(3, 2, rematch=7)])
    assert activity.rematched(0, (3, 2, 0))
    assert activity.rematched(0, (1, 9, 9))
    assert not activity.rematched(0, (3, 3, 0))
    assert not activity.rematched(1, (0, 0, 0))
    assert not counted([seen(5)]).rematched(0, (1, 0, 0))


def test_it_is_known_of_which_time_an_import_has_brought_posts() -> None:
    heard = BASE_MS + DAY_MS

    def brought(*made: int | None) -> Activity:
        posts = (seen(at, created_ms=one, received_ms=heard, past=True) for at, one in enumerate(made))
        return reloaded(counted([*posts, seen(90, created_ms=0)]))

    archive = brought(BASE_MS + 5, BASE_MS, BASE_MS + 9)
    asked = [BASE_MS - 1, BASE_MS, BASE_MS + 9, BASE_MS + 10]
    assert [archive.brought(at, heard) for at in asked] == [False, True, True, False]
    assert archive.brought(None, heard)
    assert archive.brought(heard + 1, heard), "by a clock that is wrong"
    # One wrong clock of an archive does not have all that is heard later looked up.
    assert not brought(BASE_MS, heard + 10**12).brought(heard + 1, heard + 1)
    assert not brought(None).brought(BASE_MS, heard)
    assert brought(None).brought(None, heard + 1)
    assert not counted([seen(5)]).brought(None, heard)


SPANS = {
    "minutes": (MINUTE_MS, MINUTES),
    "tens": (10 * MINUTE_MS, TENS),
    "hours": (60 * MINUTE_MS, HOURS),
    "days": (DAY_MS, DAYS),
}


@pytest.mark.parametrize("name", SPANS)
def test_of_times_the_newest_are_kept(name: str) -> None:
    step, most = SPANS[name]
    activity = counted(seen(number, created_ms=BASE_MS + number * step) for number in range(most + 50))
    times = getattr(activity, name)
    assert len(times) == most
    assert sorted(map(int, times)) == [BASE_MS // step + number for number in range(50, most + 50)]
    assert activity.posts == most + 50


@pytest.mark.parametrize("name", SPANS)
def test_the_order_in_which_posts_come_makes_no_difference(name: str) -> None:
    step, most = SPANS[name]
    times = [BASE_MS + number * step for number in range(2 * most)] * 2
    rng = random.Random(1)
    found = []
    for _ in range(3):
        rng.shuffle(times)
        found.append(getattr(counted(seen(number, created_ms=at) for number, at in enumerate(times)), name))
    assert found[0] == found[1] == found[2]
    assert set(found[0].values()) == {2}


def test_a_post_from_the_future_takes_one_place_and_not_all() -> None:
    at = [BASE_MS * 3, *(BASE_MS + number * MINUTE_MS for number in range(MINUTES + 20))]
    activity = counted(seen(number, created_ms=moment) for number, moment in enumerate(at))
    assert len(activity.minutes) == MINUTES
    assert (BASE_MS + MINUTE_MS * (MINUTES + 19)) // MINUTE_MS in activity.minutes


@pytest.mark.parametrize(
    ("name", "field"), [("hashtags", "hashtags"), ("accounts", "account"), ("languages", "language")]
)
def test_of_many_the_frequent_are_kept(name: str, field: str) -> None:
    rare = [f"rare{number:04}" for number in range(1000)]
    values = [value for one in rare for value in (one, "often")]
    activity = counted(seen(n, **{field: (value,) if name == "hashtags" else value}) for n, value in enumerate(values))
    counts = getattr(activity, name)
    assert counts["often"] == 1000
    assert len(counts) <= 2 * TOP


def test_an_entry_stays_small() -> None:
    rng = random.Random(2)
    activity = counted(
        seen(
            number,
            created_ms=BASE_MS - rng.randrange(4000 * DAY_MS),
            hashtags=(f"tag{rng.randrange(10**6)}",),
            account=f"account{rng.randrange(10**6)}",
            language=f"x-{rng.randrange(10**6)}",
        )
        for number in range(2000)
    )
    assert len(msgspec.json.encode(activity)) < 50_000


def test_the_sum_of_partitions() -> None:
    one, two = counted(posts()[:20]), counted(posts()[20:])
    total = merge([one, two])
    assert total == msgspec.structs.replace(counted(posts()), positions={})
    assert merge([]) == Activity()


def test_the_sum_holds_no_time_that_is_not_whole() -> None:
    busy = counted(seen(number, created_ms=BASE_MS + number * MINUTE_MS) for number in range(2 * MINUTES))
    quiet = counted(seen(number, created_ms=BASE_MS + number * 10 * MINUTE_MS) for number in range(MINUTES // 5))
    total = merge([busy, quiet]).minutes
    assert len(total) == MINUTES
    first = BASE_MS // MINUTE_MS
    for minute, count in total.items():
        assert count == 1 + ((int(minute) - first) % 10 == 0)
