"""What stands in `raw_tweets` is not sent there again: posts by their id, other lines by how they came."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from app.domain.records import Origin, raw_headers
from app.settings import Settings
from app.sources.source import Fact
from app.sources.x import X
from app.topics import RAW
from app.tracking.known import Known
from app.tracking.parcel import Parcel
from tests.support.spooled import line

NOTICE = b'{"limit":{"track":7}}'


def heard(*lines: bytes, connection: str = "c0ffee", at: int = 1000) -> Parcel:
    """Heard live."""
    made = asked(*lines, connection=connection, at=at, origin="live", event="")
    return msgspec.structs.replace(made, source="x")


def asked(
    *lines: bytes, connection: str = "wish-1", at: int = 1000, origin: Origin = "search", event: str = "flood"
) -> Parcel:
    """Asked for of the past: of no source, as the ledger of what is heard live has nothing of it."""
    headers = raw_headers("x", "v2", at, origin, connection, None, event)
    return Parcel(RAW.name, b"\n".join(lines), headers, None, "", at, len(lines))


def left(parcel: Parcel, *standing: Parcel) -> list[bytes]:
    """The lines of a parcel that are still to be sent where others stand."""
    known = Known(X(Settings()).fact)
    for one in standing:
        known.add(one.headers, one.value)
    found = known.without(parcel)
    return [] if found is None else found.value.split(b"\n")


@pytest.mark.parametrize("origin", ["search", "rematch"])
@pytest.mark.parametrize("event", ["", "flood"], ids=["gap", "wish"])
def test_what_was_asked_for_is_sent_once(origin: Origin, event: str) -> None:
    """Its lines may be posts, as of Bluesky, or pages of many, as of X."""
    page = orjson.dumps({"data": [{"id": "1"}, {"id": "2"}]})
    parcel = asked(line(0), page, origin=origin, event=event)
    assert left(parcel) == parcel.value.split(b"\n")
    assert left(parcel, parcel) == []


def test_what_was_asked_for_comes_though_its_posts_came_by_another_way() -> None:
    post = line(0)
    for other in (heard(post), asked(post, at=1001), asked(post, connection="wish-2")):
        assert left(asked(post), other) == [post]


def test_what_was_asked_for_by_a_wish_is_heard_for_all_others() -> None:
    post = line(0)
    assert left(heard(post), asked(post)) == [post]
    assert left(heard(post), asked(post, event="")) == [], "a gap is filled for all"


def test_of_what_was_sent_line_by_line_the_rest_is_sent() -> None:
    one, two, three = (line(number) for number in range(3))
    assert left(asked(one, two, three), asked(one), asked(two)) == [three]


def test_a_line_without_an_id_is_sent_once_for_each_time_that_it_came() -> None:
    post = line(0)
    assert left(heard(post, NOTICE), heard(post, NOTICE)) == []
    assert left(heard(NOTICE), heard(NOTICE, at=1001), heard(NOTICE, connection="beef")) == [NOTICE]
    assert left(heard(post, NOTICE), heard(post, connection="beef")) == [NOTICE]
    assert left(heard(post, NOTICE), heard(post, connection="beef"), heard(NOTICE)) == [], "its post went before it"


def test_lines_of_a_source_that_nobody_can_read_any_more_are_sent_once() -> None:
    known = Known(lambda _: Fact())
    parcel = heard(line(0), line(1))
    assert known.without(parcel) is parcel
    known.add(parcel.headers, parcel.value)
    assert known.without(parcel) is None
