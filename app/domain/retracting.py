"""What a source takes back of what it has sent, and what becomes of the stored posts by their event's policy.

A deleted post, one whose place is to be forgotten, one that is withheld in some country, and the same of all posts of
an account. Sources of the messages: X, "Streaming message types" (delete, scrub_geo, status_withheld,
user_withheld); Bluesky, the lexicons of Jetstream (a commit that deletes, `#account`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias, TypeVar
from zlib import crc32

import msgspec
import orjson
from msgspec import Struct
from msgspec.structs import replace

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.counting import Fate
from app.domain.events import Policy
from app.domain.fields import identity, record, text
from app.domain.moments import in_range
from app.domain.partitioning import kafka_partition, time_in_id
from app.domain.posts_bluesky import POSTS
from app.domain.records import Headers
from app.domain.rows import Key, Row
from app.domain.standing import Standing, unrivalled
from app.domain.wires import MAX_ID, Control, Json

Kind: TypeAlias = Literal["delete", "geo", "withheld", "account", "restored"]
T = TypeVar("T")

HEADER = "retractions"  # of a record of `classified_tweets` that holds these and no posts
MOST_LINES = 64  # of such a record
# Of a post that is redacted: what counts it stays, what it said and who said it goes.
KEPT_OF_REDACTED = frozenset({"t_id", "t_created_at", "t_is_a_retweet", "t_lang"})
GEO = ("t_coordinates", "t_geo", "place")
_NAMES = tuple(POST_COLUMNS | OUR_POST_COLUMNS)
_TEXT = "t_text"  # which no row is without: of a redacted post it is empty
REDACTED = tuple(name for name in _NAMES if name not in KEPT_OF_REDACTED and name != _TEXT)
_ACCOUNT = _NAMES.index("u_id")
_ACCOUNT_PARTS = 16  # of the table: a batch of posts has about a thousand accounts, and each part is asked for its own
_UNDATED_PARTS = 1024
_MOST_WHY = 200  # characters
_BACK_MS = 60_000  # clocks of sources and ours may differ by as much
# Of an account of Bluesky that is not active; "desynchronized" and "throttled" are troubles of its server.
_GONE = ("deleted", "takendown", "suspended", "deactivated")
# From the weakest: of several that a post meets, the last says what becomes of it.
_STRENGTH: tuple[Fate, ...] = ("held", "scrubbed", "redacted", "removed")


class Retraction(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A source's word that a post, or all posts of an account, are to be held no longer as they were."""

    kind: Kind
    at: int  # when it was said, milliseconds since 1970
    post: str = ""  # id; none: all of the account
    account: str = ""  # id of X, DID of Bluesky; may be unknown where there is a post
    up_to: str = ""  # geo: of posts with ids up to this one
    why: str = ""  # in a word or two
    source: str = ""
    event: str = ""  # code of the only event that it is for: an archive imported for it has told it
    sweep: bool = False  # the account's, on its way to the owners of all partitions; it stands in the table by then

    @property
    def subject(self) -> str:
        """The id by which it is looked up."""
        return self.post or self.account

    @property
    def part(self) -> str:
        """Partition of table `retraction`."""
        return part_of_post(self.post) if self.post else part_of_account(self.account)

    def home(self, partitions: int) -> int:
        """The partition of `classified_tweets` whose owner takes it: a post's own, so that both come in order."""
        return kafka_partition(self.subject, partitions)

    def concerns(self, code: str, post_id: str, created_ms: int | None = None) -> bool:
        """Whether it is about this post of an event, where it is about the post or its account at all.

        An account that was gone and has posted since is there again, though who lags may not have heard of that yet.
        """
        if self.event not in ("", code):
            return False
        if self.kind == "account" and not self.post and created_ms is not None and created_ms > self.at + _BACK_MS:
            return False
        return not self.up_to or (_number(post_id) or 0) <= (_number(self.up_to) or 0)

    @property
    def line(self) -> bytes:
        """As a control message, which a source could have sent."""
        return msgspec.json.encode({"compliance": self})


Reader: TypeAlias = Callable[[Json, int], Retraction | None]


def part_of_post(post_id: str) -> str:
    """By the hour of the post: those of a batch lie together, and no part grows for ever."""
    moment = time_in_id(post_id)
    return f"post ~{crc32(post_id.encode()) % _UNDATED_PARTS}" if moment is None else f"post {moment // 3_600_000}"


def part_of_account(account: str) -> str:
    """One of a few."""
    return f"account {crc32(account.encode()) % _ACCOUNT_PARTS}"


def retraction_of(control: Control, received_at: int, source: str = "", event: str = "") -> Retraction | None:
    """What a control message takes back; None where it is about something else or does not say what it is about."""
    reader = _READERS.get(control.kind)
    found = reader(control.body, received_at) if reader else None
    if found is None:
        return None
    found = replace(found, source=found.source or source, event=event or found.event, why=found.why[:_MOST_WHY])
    return found if _is_sound(found) else None


def headers() -> Headers:
    """Headers of a record that holds such lines."""
    return [(HEADER, b"1")]


def read_retraction(line: bytes) -> Retraction | None:
    """The one of a `Retraction.line`; None where it is none."""
    try:
        found: Retraction = _decode(line).compliance
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found if _is_sound(found) else None


def _is_sound(one: Retraction) -> bool:
    """Whether Kafka and Cassandra can hold it: whoever carries it out cannot pass it over."""
    texts = one.post, one.account, one.up_to, one.source, one.event, one.why
    short = all(len(text) <= MAX_ID for text in texts)
    return bool(one.subject) and short and in_range(one.at) is not None


class _Line(Struct):
    compliance: Retraction


_decode = msgspec.json.Decoder(_Line).decode


def _told(body: Json, received_at: int) -> int:
    stamp = body.get("timestamp_ms")
    if type(stamp) is str and stamp.isascii() and stamp.isdigit() and len(stamp) < 16:
        stamp = int(stamp)
    at = in_range(stamp) if type(stamp) is int else None
    return received_at if at is None else at


def _delete(body: Json, received_at: int) -> Retraction | None:
    if "delete" not in body:  # Bluesky's commit
        did, key = text(body.get("did")), text(body.get("rkey"))
        if not did or not key:
            return None
        return Retraction(kind="delete", at=received_at, post=f"at://{did}/{POSTS}/{key}", account=did, why="deleted")
    told = record(body["delete"])
    status = record(told.get("status"))
    post = identity(status.get("id_str"), status.get("id")) or ""
    account = identity(status.get("user_id_str"), status.get("user_id")) or ""
    at = _told(told, received_at)
    return Retraction(kind="delete", at=at, post=post, account=account, why="deleted") if post else None


def _scrub_geo(body: Json, received_at: int) -> Retraction | None:
    told = record(body.get("scrub_geo"))
    account = identity(told.get("user_id_str"), told.get("user_id")) or ""
    up_to = identity(told.get("up_to_status_id_str"), told.get("up_to_status_id")) or ""
    if _number(up_to) is None:
        return None
    at = _told(told, received_at)
    return Retraction(kind="geo", at=at, account=account, up_to=up_to, why="its place is to be forgotten")


def _withheld(name: str, account: str, post: str) -> Reader:
    def read(body: Json, received_at: int) -> Retraction | None:
        told = record(body.get(name))
        named = told.get("withheld_in_countries")
        countries = [land for one in (named if type(named) is list else [named]) if (land := text(one))]
        if not countries:
            return None
        return Retraction(
            kind="withheld",
            at=_told(told, received_at),
            post=(identity(told.get(f"{post}_str"), told.get(post)) or "") if post else "",
            account=identity(told.get(f"{account}_str"), told.get(account)) or "",
            why=f"withheld in {', '.join(countries)}",
        )

    return read


def _account(body: Json, received_at: int) -> Retraction | None:
    """`account` of either wire of Jetstream."""
    told = record(body.get("payload")) or record(body.get("account"))
    did, status = text(told.get("did")) or text(body.get("did")) or "", text(told.get("status"))
    if told.get("active") is True:
        return Retraction(kind="restored", at=received_at, account=did)
    if told.get("active") is not False or status not in _GONE:
        return None
    return Retraction(kind="account", at=received_at, account=did, why=f"account {status}")


def _compliance(body: Json, received_at: int) -> Retraction | None:
    """One of ours, which anybody may have put into an archive."""
    try:
        found = msgspec.convert(body.get("compliance"), Retraction)
    except msgspec.ValidationError:
        return None
    if found.kind == "restored" and found.post:
        return None
    at = in_range(found.at)
    return replace(found, at=received_at if at is None else at, sweep=False)


_READERS: dict[str, Reader] = {
    "delete": _delete,
    "scrub_geo": _scrub_geo,
    "status_withheld": _withheld("status_withheld", "user_id", "id"),
    "user_withheld": _withheld("user_withheld", "id", ""),
    "account": _account,
    "compliance": _compliance,
}


def fate_of(kind: Kind, policy: Policy) -> Fate:
    """What becomes of a post. A place is forgotten by the same word whether posts are dropped or redacted."""
    if policy == "hold":
        return "held"
    if kind == "geo":
        return "scrubbed"
    return "removed" if policy == "drop" else "redacted"


def stronger(one: Retraction, other: Retraction | None) -> Retraction:
    """The one that says what becomes of a post that both are about."""
    if other is None or (one.kind != "geo" and other.kind == "geo"):
        return one
    return other


def mark_of(fate: Fate, retraction: Retraction) -> str:
    """What column `retracted` says of a post that stays."""
    return f"{fate}: {retraction.why or retraction.kind}"


def fate_in(mark: str | None) -> Fate | None:
    """What a row has met, by its mark; None where it bears none, or another program's."""
    before = (mark or "").partition(":")[0]
    return next((fate for fate in _STRENGTH if fate == before), None)


def is_news(fate: Fate, mark: str | None) -> bool:
    """Whether a row that bears a mark (None or "": none) is still to meet that fate."""
    before = fate_in(mark)
    return before is None or _STRENGTH.index(fate) > _STRENGTH.index(before)


def account_of(row: Row) -> str:
    """Id of who wrote the post, or "" where its source does not say."""
    value = row.post.values[_ACCOUNT]
    return value if isinstance(value, str) else ""


def treated(row: Row, retraction: Retraction, fate: Fate) -> Row:
    """The row as it may be written, with its fate; one that is removed may not be written at all."""
    post = row.post
    if fate == "redacted":
        values = [
            "" if name == _TEXT else value if name in KEPT_OF_REDACTED else None
            for name, value in zip(_NAMES, post.values, strict=True)
        ]
        post = replace(post, values=values, raw=b"", encoded=None)
    elif fate == "scrubbed":
        values = [None if name in GEO else value for name, value in zip(_NAMES, post.values, strict=True)]
        post = replace(post, values=values, raw=scrubbed(post.raw), encoded=None)
    way = [*row.way_values[:-1], None if fate == "removed" else mark_of(fate, retraction)]
    return replace(row, post=post, way_values=way, fate=fate)


def scrubbed(raw: bytes) -> bytes:
    """A post's JSON without where it was written; posts inside it are other people's, and stay."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw
    if type(body) is not dict:
        return raw
    for holder in (body, record(body.get("data"))):
        for name in ("geo", "coordinates", "place"):
            if holder.get(name) is not None:
                holder[name] = None
    if type(includes := body.get("includes")) is dict:
        includes.pop("places", None)
    return orjson.dumps(body)


def again(row: Row, retraction: Retraction, before: Standing, mark: str) -> Row | None:
    """What is to be written and counted (anew, where it was) of a row that stands.

    Another copy changes nothing. The row itself is read again after a kill: without a mark, what takes it back comes
    after it, and will find it as it was counted; with one, it was here already, and stays what it was made, whatever
    the policy is by now.
    """
    if not _is_own(row, before):
        return None
    fate = fate_in(mark)
    return treated(row, retraction, fate) if fate else row


def _is_own(row: Row, before: Standing) -> bool:
    return (before.origin, before.received_at) == (row.line.origin, row.line.received_at)


def first_of(rows: Iterable[tuple[T, Row]], entered: Mapping[Key, Standing]) -> list[tuple[T, Row]]:
    """Of rows that are kept out, those whose post was not kept out or removed before, by another way."""
    return unrivalled(rows, entered, _is_own)


def _number(post_id: str) -> int | None:
    return int(post_id) if post_id.isascii() and post_id.isdigit() and len(post_id) < 20 else None
