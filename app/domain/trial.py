"""Tries a selection on records that are read, and makes a `Preview` of what comes out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from math import sqrt
from random import Random

from msgspec import Struct, field
from msgspec.structs import replace

from app.domain.events import Event
from app.domain.keywords import fold
from app.domain.matcher import Matcher
from app.domain.noise import Hit, Noise, copy_of, words_in
from app.domain.posts import Control, Malformed, Post, read
from app.domain.preview import Basis, Bin, Figure, Heard, Preview, Selection, Share, Stop, cannot_tell
from app.domain.records import RawRecord
from app.domain.rematch import X_SOURCES
from app.domain.sampling import Window
from app.domain.shown import Shown, account_of, shown, text_of
from app.domain.voices import languages_of

MOST_SAMPLES = 20
_SAMPLED = 100  # posts that are held for them, of all selectors together
_MOST_BINS = 48
_BINS_MS = tuple(minutes * 60_000 for minutes in (1, 5, 15, 60, 180, 360, 1440))
_HOUR_MS = 3_600_000
_SHORTEST_MS = 60_000  # of less time nothing is said by the hour
_TOP = 8


class _Stretch(Struct):
    """What was read of a stretch of the sample."""

    length: int
    records: int = 0
    posts: int = 0
    bins: dict[int, list[int]] = field(default_factory=dict)  # number -> posts and hits that came at their own pace


class Trial:
    """Tries an event, whatever its status. `since_ms` to `until_ms` is the time asked for."""

    def __init__(self, event: Event, since_ms: int, until_ms: int, *, bluesky_filtered: bool) -> None:
        self._matcher = Matcher([replace(event, status="active")])
        self._since_ms = since_ms
        self._bin_ms = next((ms for ms in _BINS_MS if (until_ms - since_ms) / ms <= _MOST_BINS), _BINS_MS[-1])
        self._filtered = bluesky_filtered
        self._selectors = _selectors(event)
        self._noise = Noise(self._selectors, event.languages)
        self._stretches: dict[tuple[int, int], _Stretch] = {}
        self._posts: Counter[tuple[str, Selection]] = Counter()
        self._hits: Counter[tuple[str, Selection]] = Counter()
        self._whole: Counter[str] = Counter()  # hits by selector, of streams from which nobody had chosen
        self._alone: Counter[str] = Counter()
        self._languages: Counter[str] = Counter()
        self._accounts: Counter[str] = Counter()
        self._held: dict[str, list[Shown]] = defaultdict(list)
        self._each = max(1, _SAMPLED // len(self._selectors))
        self._chance = Random(0)  # noqa: S311 -- of which posts are shown; the same for the same posts
        self._known: set[str] = set()
        self._all: list[int] = []  # first and last time
        self._timely: list[int] = []  # the same, of posts that came at their own pace
        self._duplicates = self._malformed = 0

    @property
    def posts(self) -> int:
        """Posts read so far, each once."""
        return self._posts.total()

    @property
    def hits(self) -> int:
        """Of these, how many are selected."""
        return self._hits.total()

    @property
    def _records(self) -> int:
        return sum(stretch.records for stretch in self._stretches.values())

    def take(self, window: Window, records: Iterable[RawRecord]) -> None:
        """Records of a window were read."""
        for record in records:
            stretch = self._stretches.setdefault((window.partition, window.stretch), _Stretch(window.length))
            stretch.records += 1
            selection = self._selection(record)
            for line in record.lines:
                try:
                    posts = read(line)
                except Malformed:
                    self._malformed += 1
                    continue
                for post in () if isinstance(posts, Control) else posts:
                    if post.id in self._known:
                        self._duplicates += 1
                    else:
                        self._known.add(post.id)
                        self._count(record, selection, stretch, hit=self._try(record, selection, post))

    def _count(self, record: RawRecord, selection: Selection, stretch: _Stretch, *, hit: bool) -> None:
        at = record.received_at
        stretch.posts += 1
        self._posts[record.source, selection] += 1
        self._all = [min([at, *self._all]), max([at, *self._all])]
        if selection != "file":
            self._timely = [min([at, *self._timely]), max([at, *self._timely])]
            count = stretch.bins.setdefault(at // self._bin_ms, [0, 0])
            count[0] += 1
            count[1] += hit

    def _try(self, record: RawRecord, selection: Selection, post: Post) -> bool:
        text = fold(text_of(post))
        words = words_in(text)
        self._noise.post(words)
        matches = self._matcher.match(post)
        if not matches:
            return False
        matched = matches[0].matched
        hit = Hit(tuple(matched), words, account_of(post), next(iter(languages_of(post)), ""), copy_of(text))
        self._noise.hit(hit)
        self._hits[record.source, selection] += 1
        self._languages[hit.language] += 1
        self._accounts[hit.account] += 1
        if selection == "whole":
            self._whole.update(hit.selectors)
        if len(hit.selectors) == 1:
            self._alone.update(hit.selectors)
        for selector in hit.selectors:
            held = self._held[selector]
            # However many come, each hit of a selector is held with the same chance.
            place = len(held) if len(held) < self._each else self._chance.randrange(self._noise.matched[selector])
            if place < self._each:
                held[place : place + 1] = [shown(post, matched, source=record.source, received_at=record.received_at)]
        return True

    def _selection(self, record: RawRecord) -> Selection:
        if record.origin in ("replay", "import"):
            return "file"
        if record.source in X_SOURCES:
            return "rules"
        chosen = record.filtered or record.event or (self._filtered and record.source == "bluesky")
        return "filter" if chosen else "whole"

    def result(self, records_kept: int, stopped_by: Stop) -> Preview:
        """What comes of it, of so many records that there were to read."""
        if self._records >= records_kept:
            stopped_by = ""  # a limit was met by the last of them, and nothing was left out
        hours = (self._timely[1] - self._timely[0]) / _HOUR_MS if self._timely else 0.0
        bins = self._bins(records_kept)
        basis = self._basis(records_kept, stopped_by)
        rates: tuple[float, float, float] | None = None
        if hours >= _SHORTEST_MS / _HOUR_MS:
            low, about, high = self._estimated([hits for _, hits in bins.values()], stopped_by, records_kept)
            rates = low / hours, about / hours, high / hours
        return Preview(
            hits=self.hits,
            per_hour=rates[1] if rates else None,
            per_hour_low=rates[0] if rates else None,
            per_hour_high=rates[2] if rates else None,
            bin_ms=self._bin_ms,
            bins=tuple(
                Bin(number * self._bin_ms, round(posts), round(hits)) for number, (posts, hits) in sorted(bins.items())
            )[-_MOST_BINS:],
            keywords=self._figures(rates[1] if rates else None),
            languages=_top(self._languages),
            accounts=_top(self._accounts),
            hints=tuple(
                self._noise.hints(
                    whole=self._whole,
                    whole_posts=sum(posts for (_, selection), posts in self._posts.items() if selection == "whole"),
                )
            ),
            samples=self._samples(),
            basis=basis,
            cannot_tell=tuple(cannot_tell(basis)),
        )

    def _scale(self, records_kept: int) -> float:
        """Records of all stretches for one of those of which something was read."""
        return records_kept / max(1, sum(stretch.length for stretch in self._stretches.values()))

    def _bins(self, records_kept: int) -> dict[int, tuple[float, float]]:
        """Posts and hits by time, as they would be if all had been read."""
        bins: dict[int, tuple[float, float]] = {}
        for stretch in self._stretches.values():
            weight = self._scale(records_kept) * stretch.length / stretch.records
            for number, (posts, hits) in stretch.bins.items():
                before = bins.get(number, (0.0, 0.0))
                bins[number] = before[0] + posts * weight, before[1] + hits * weight
        return bins

    def _estimated(self, hits: Iterable[float], stopped_by: Stop, records_kept: int) -> tuple[float, float, float]:
        """Low, best and high estimate of hits: the bounds of a Poisson count at 95 %, where not all was read."""
        about = sum(hits)
        if not stopped_by:
            return about, about, about
        read = self.hits
        each = self._posts_about(records_kept) / max(1, self.posts)
        spread, shift = 1.96 * sqrt(read + 0.96), 1.92
        return max(0.0, about + (shift - spread) * each), about, about + (shift + spread) * each

    def _posts_about(self, records_kept: int) -> float:
        scale = self._scale(records_kept)
        return sum(scale * one.posts * one.length / one.records for one in self._stretches.values())

    def _figures(self, rate: float | None) -> tuple[Figure, ...]:
        counts = self._noise.matched
        return tuple(
            Figure(
                selector,
                counts[selector],
                counts[selector] / self.hits if self.hits else 0.0,
                self._alone[selector],
                rate * counts[selector] / self.hits if rate is not None and self.hits else rate,
            )
            for selector in sorted(self._selectors, key=lambda selector: -counts[selector])
        )

    def _samples(self) -> tuple[Shown, ...]:
        """Of each selector one, the rarest first, then of each a second, …; the newest first, no text twice."""
        order = sorted(self._held, key=lambda selector: self._noise.matched[selector])
        chosen: dict[int, Shown] = {}
        for place in range(self._each):
            for selector in order:
                if place < len(self._held[selector]) and len(chosen) < MOST_SAMPLES:
                    post = self._held[selector][place]
                    chosen.setdefault(copy_of(fold("".join(piece.text for piece in post.text))), post)
        return tuple(sorted(chosen.values(), key=lambda post: -post.received_at))

    def _basis(self, records_kept: int, stopped_by: Stop) -> Basis:
        return Basis(
            asked_since=self._since_ms,
            since=self._all[0] if self._all else None,
            until=self._all[1] if self._all else None,
            posts=self.posts,
            posts_about=round(self._posts_about(records_kept)),
            records=self._records,
            records_kept=records_kept,
            stopped_by=stopped_by,
            duplicates=self._duplicates,
            malformed=self._malformed,
            sources=tuple(
                Heard(source, selection, posts, self._hits[source, selection])
                for (source, selection), posts in self._posts.most_common()
            ),
        )


def _selectors(event: Event) -> tuple[str, ...]:
    """As the matcher names them."""
    accounts = [f"from:{account}" for account in event.accounts]
    boxes = ["box:" + ",".join(f"{edge:.9g}" for edge in box) for box in event.boxes]
    return (*event.keywords, *accounts, *boxes)


def _top(counts: Counter[str]) -> tuple[Share, ...]:
    return tuple(Share(name, hits) for name, hits in counts.most_common(_TOP))
