"""What may be exported, what has become of an export, and who may ask for more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from app.clients.exports import decode_entry, key_of
from app.domain.activity import Activity
from app.domain.column_words import MEANING
from app.domain.columns import EXPORTED
from app.domain.decisions import Command, decide
from app.domain.events import Definition
from app.domain.exports import (
    FORGOTTEN_AFTER,
    MAX_FILTERS,
    Asked,
    Export,
    Filters,
    Progress,
    Wish,
    Withdrawn,
    beyond_quota,
    checked,
    exports_of,
    file_name,
)
from app.exporting.manifest import File, about, manifest

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
EVENT = decide(
    Command(
        id="1",
        action="create",
        code="flood",
        at=NOW - timedelta(hours=2),
        who="ann",
        definition=Definition(name="سيل <script>", keywords=("flood", "dike")),
    ),
    None,
)


def asked(number: int = 1, who: str = "ann", at: datetime = NOW, **rest: Any) -> Asked:
    return Asked(id=f"{number:032x}", code="flood", born=1, wish=Wish(format="csv"), at=at, who=who, **rest)


def progress(state: Any, number: int = 1, **rest: Any) -> Progress:
    return Progress(id=f"{number:032x}", code="flood", state=state, at=NOW, **rest)


WITHDRAWN = Withdrawn(NOW, "ann")


@pytest.mark.parametrize(
    ("export", "state"),
    [
        (Export(asked()), "waiting"),
        (Export(asked(withdrawn=WITHDRAWN)), "cancelled"),
        (Export(asked(), progress("running")), "running"),
        (Export(asked(withdrawn=WITHDRAWN), progress("running")), "cancelled"),
        (Export(asked(), progress("failed")), "failed"),
        (Export(asked(withdrawn=WITHDRAWN), progress("failed")), "failed"),
        (Export(asked(), progress("done", expires=LATER)), "done"),
        (Export(asked(withdrawn=WITHDRAWN), progress("done", expires=LATER)), "removed"),
        (Export(asked(), progress("done", expires=NOW)), "expired"),
    ],
)
def test_what_has_become_of_an_export(export: Export, state: str) -> None:
    assert export.state(NOW) == state


def test_an_export_is_forgotten_when_it_is_long_over() -> None:
    done = Export(asked(), progress("done", expires=LATER))
    assert not done.forgotten(LATER)
    assert done.forgotten(LATER + FORGOTTEN_AFTER)
    assert Export(asked(), progress("failed")).forgotten(NOW + FORGOTTEN_AFTER)
    assert not Export(asked(), progress("running")).forgotten(NOW + 2 * FORGOTTEN_AFTER)
    assert not Export(asked()).forgotten(NOW + 2 * FORGOTTEN_AFTER)


def test_entries_are_read_back_as_they_were_written() -> None:
    entries = [asked(1), progress("running", 1, rows=5), asked(2, withdrawn=WITHDRAWN), progress("done", 3)]
    assert [decode_entry(msgspec.json.encode(one)) for one in entries] == entries
    assert len({key_of(one) for one in entries}) == 4
    found = exports_of(entries)
    assert [one.asked for one in found.values()] == [entries[0], entries[2]], "what nobody asked for is left out"
    assert found[entries[0].id].progress == entries[1]


WRONG: list[tuple[Wish, str]] = [
    (Wish(format="csv", columns=("t_id", "nothing")), "no column 'nothing'"),
    (Wish(format="ids", columns=("t_id",)), "columns can be chosen for"),
    (Wish(format="jsonl", bom=True), "csv alone"),
    (Wish(format="csv", network="hashtags"), "gexf alone"),
    (Wish(format="csv", filters=Filters(since=NOW, until=NOW)), "ends before it begins"),
    (Wish(format="csv", filters=Filters(since=datetime(2024, 5, 1))), "no time zone"),
    (Wish(format="csv", filters=Filters(keywords=("flod",))), "never had the keyword 'flod'"),
    (Wish(format="csv", filters=Filters(languages=("en", " "))), "empty value"),
    (Wish(format="csv", filters=Filters(accounts=("@",))), "empty value"),
    (Wish(format="csv", filters=Filters(accounts=tuple(map(str, range(MAX_FILTERS + 1))))), "more than"),
]


@pytest.mark.parametrize(("wish", "words"), WRONG)
def test_what_cannot_be_exported_is_said_in_words(wish: Wish, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked(wish, EVENT)


def test_a_wish_has_one_form() -> None:
    filters = Filters(
        languages=("EN", "en "),
        accounts=("@Mill_Watch",),
        keywords=("dike", "from:mill", "dike"),
        tags=("Eye  Witness",),
    )
    wish = checked(Wish(format="csv", columns=("t_text", "t_id", "t_id"), filters=filters), EVENT)
    assert wish.filters == Filters(
        languages=("en",), accounts=("mill_watch",), keywords=("dike", "from:mill"), tags=("eye witness",)
    )
    assert wish.columns_wanted == ("t_id", "t_text"), "in the order of the table"
    assert checked(wish, EVENT) == wish


def test_a_keyword_of_a_history_that_was_cut_is_taken() -> None:
    event = replace(EVENT, history=())
    assert checked(Wish(format="csv", filters=Filters(keywords=("gone",))), event).filters.keywords == ("gone",)


def test_a_person_has_so_many_exports_in_hand_and_a_day() -> None:
    def why(*exports: Export, who: str = "ann") -> str | None:
        return beyond_quota(exports, who, NOW, in_hand=2, a_day=3)

    pending = [Export(asked(1)), Export(asked(2), progress("running", 2))]
    assert "2 exports of yours are not finished" in str(why(*pending))
    assert why(*pending, who="eve") is None
    done = [Export(asked(n, at=NOW - timedelta(hours=n)), progress("done", n, expires=LATER)) for n in range(3)]
    assert "3 exports in the last 24 hours" in str(why(*done))
    old = [Export(asked(n, at=NOW - timedelta(hours=25)), progress("done", n, expires=LATER)) for n in range(3)]
    assert why(*old, Export(asked(9), progress("failed", 9))) is None


def test_the_name_of_the_file_says_what_it_is() -> None:
    gexf = replace(asked(255), wish=Wish(format="gexf", network="hashtags"))
    assert file_name(gexf) == "flood-hashtags-20240501T120000Z-000000.gexf"
    assert file_name(asked()).endswith(".csv")


def test_every_column_has_a_meaning() -> None:
    assert list(MEANING) == list(EXPORTED)


def test_a_manifest_says_what_the_file_is() -> None:
    counted = Activity(posts=7, retracted={"removed": 2, "held": 1})
    wish = Wish(format="csv", columns=("t_id", "t_text"), filters=Filters(since=NOW - timedelta(hours=1)))
    file = File(name="flood.csv", rows=3, bytes=99, sha256="ab")
    made = manifest(
        file,
        wish,
        {"asked_by": "ann"},
        about(EVENT, [], counted, wish, NOW),
        {"extra": 1},
    )
    plain = msgspec.json.decode(msgspec.json.encode(made))
    assert plain["event"]["name"] == "سيل <script>"
    assert plain["file"] | {"note": ""} == {
        "name": "flood.csv",
        "rows": 3,
        "bytes": 99,
        "sha256": "ab",
        "format": "csv",
        "media_type": "text/csv; charset=utf-8",
        "order": "by bucket of the table, oldest first, then by id as text; each post once",
        "note": "",
        "extra": 1,
    }
    assert [one["name"] for one in plain["columns"]] == ["t_id", "t_text"]
    del plain["posts"]["as_of"]
    balance = {"collected": 9, "stored": 7, "removed": 2, "redacted": 0, "scrubbed": 0, "held": 1}
    assert plain["posts"] == {**balance, "deletions": "drop"}
    assert plain["selectors"]["keywords"][0]["value"] == "flood"
    assert plain["coverage"]["active"] == [
        {"from": "2024-05-01T11:00:00+00:00", "to": "2024-05-01T12:00:00+00:00"},
    ], "of the time that was asked for"
    assert plain["export"] == {"asked_by": "ann"}
    assert plain["filters"] == {"since": "2024-05-01T11:00:00Z"}
