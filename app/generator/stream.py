"""`Generator`: lines of a stream, one after the other, each with what must become of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, count
from random import Random

import msgspec
from msgspec import Struct

from app.domain.events import Event
from app.generator import bluesky, noise, times, v1, v2
from app.generator.composing import Composer
from app.generator.drafts import Copy, Draft, belongs_to, copy_of
from app.generator.expected import Expected, Planted
from app.generator.selectors import selectors_of

_REMEMBERED = 2000  # lines that may come again
_V1_FORMS: tuple[v1.Form, ...] = (*("stream",) * 12, *("rest",) * 4, "old", "undated", "tool", "tool")
# In the JSON of a text a character that nothing else uses, to be replaced by half of a surrogate pair.
_MARK, _HALF, _READ_AS = "\ue000", b"\\ud83d", "\ufffd"


class Mix(Struct, frozen=True):
    """Shares of a stream, of 1."""

    planted: float = 0.45  # of posts: carry something of an event
    twice: float = 0.08  # of these: carry a second thing, mostly of another event
    decoy: float = 0.12  # of posts: carry a decoy
    retweet: float = 0.3  # of posts
    quote: float = 0.12  # of posts that are none
    v2: float = 0.12  # of lines with posts
    v2_list: float = 0.25  # of these: hold several posts
    bluesky: float = 0.0  # of lines with posts: are Bluesky's
    late: float = 0.02  # of posts: are older than the others
    late_seconds: float = 1200  # by this much at most
    half: float = 0.002  # of v1.1 posts: end in half a character
    control: float = 0.03  # of lines
    malformed: float = 0.006  # of lines
    again: float = 0.01  # of lines: came before, byte for byte
    grown: float = 0.01  # of lines: a post that came before, with higher counts


class Generator:
    """Lines for the given events. The same events, seed and moments give the same lines.

    Raises ValueError for events whose keywords or boxes cannot be told apart in what is planted.
    """

    def __init__(self, events: Sequence[Event], seed: int = 0, mix: Mix | None = None) -> None:
        self._rng = Random(seed)  # noqa: S311 -- nothing here is secret
        self._mix = mix or Mix()
        self._selectors = selectors_of(events)
        self._composer = Composer(events, self._selectors, self._rng, self._mix)
        self._languages = {event.code: event.languages for event in events if event.languages}
        self._makers = self._shares()
        self._sequence = 0
        self._recent: deque[tuple[Planted, Draft | None, v1.Form]] = deque(maxlen=_REMEMBERED)

    def line(self, at_ms: int) -> Planted:
        """The next line, sent at this moment."""
        drawn = self._rng.random()
        for upto, make in self._makers:
            if drawn < upto:
                return make(at_ms) or self._v1(at_ms)
        return self._v1(at_ms)

    def lines(self, start_ms: int, rate: float) -> Iterator[Planted]:
        """Lines without end, evenly spread in time."""
        for number in count():
            yield self.line(start_ms + int(number * 1000 / rate))

    def _shares(self) -> list[tuple[float, Callable[[int], Planted | None]]]:
        mix = self._mix
        others = mix.control + mix.malformed + mix.again + mix.grown
        makers: list[tuple[float, Callable[[int], Planted | None]]] = [
            (mix.control, self._control),
            (mix.malformed, self._malformed),
            (mix.again, self._again),
            (mix.grown, self._grown),
            ((1 - others) * mix.v2, self._v2),
            ((1 - others) * mix.bluesky, self._bluesky),
        ]
        return list(zip(accumulate(share for share, _ in makers), (make for _, make in makers), strict=True))

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _draft(self, at_ms: int) -> tuple[Draft, Copy | None]:
        rng = self._rng
        if rng.random() < self._mix.late:
            at_ms -= int(rng.random() * self._mix.late_seconds * 1000)
        draft = self._composer.post(at_ms, self._next)
        return draft, copy_of(draft.retweeted) if draft.retweeted else None

    def _v1(self, at_ms: int) -> Planted:
        draft, copy = self._draft(at_ms)
        form = self._rng.choice(_V1_FORMS)
        half = copy is None and self._rng.random() < self._mix.half
        if half:
            draft.parts = (*draft.parts, self._composer.text(f"→{_MARK}"))
        planted = self._of_v1(draft, copy, form)
        if half:
            post = planted.posts[0]
            values = tuple(v.replace(_MARK, _READ_AS) if isinstance(v, str) else v for v in post.values)
            posts = (msgspec.structs.replace(post, values=values),)
            line = planted.line.replace(_MARK.encode(), _HALF)
            planted = Planted(line, "posts", "v1.1 half a character", posts)
        self._recent.append((planted, None if half else draft, form))
        return planted

    def _of_v1(self, draft: Draft, copy: Copy | None, form: v1.Form) -> Planted:
        lang = None if form == "old" else draft.lang
        events = belongs_to(draft, copy, self._selectors, self._languages, lang=lang)
        post = Expected(str(draft.id), events, v1.columns(draft, form))
        kind = "retweet" if copy else "quote" if draft.quoted else "reply" if draft.reply_to else "post"
        return Planted(v1.line(draft, copy, form), "posts", f"v1.1 {form} {kind}", (post,))

    def _v2(self, at_ms: int) -> Planted:
        rng = self._rng
        as_list = rng.random() < self._mix.v2_list
        made = [self._draft(at_ms) for _ in range(rng.randrange(1, 5) if as_list else 1)]
        drafts = [draft for draft, _ in made]
        if not as_list and drafts[0].is_plain and rng.random() < 0.3:
            post = Expected(str(drafts[0].id), {}, v2.bare_columns(drafts[0]))
            return self._remembered(Planted(v2.bare_line(drafts[0]), "posts", "v2 bare", (post,)))
        posts = tuple(
            Expected(
                str(draft.id),
                belongs_to(draft, copy, self._selectors, self._languages, lang=draft.lang),
                v2.columns(draft),
            )
            for draft, copy in made
        )
        shape = "v2 list" if as_list else "v2 single"
        return self._remembered(Planted(v2.line(drafts, as_list=as_list), "posts", shape, posts, listed=as_list))

    def _bluesky(self, at_ms: int) -> Planted:
        draft, _ = self._draft(at_ms)
        while not bluesky.fits(draft):
            draft, _ = self._draft(at_ms)
        wire = self._jetstream()
        operation = "update" if self._rng.random() < 0.02 else "create"
        post = Expected(
            bluesky.address(draft.author, draft.id),
            bluesky.events_of(draft, self._selectors, self._languages),
            bluesky.columns(draft, at_ms),
        )
        line = bluesky.line(draft, at_ms, wire, self._sequence, operation)
        return self._remembered(Planted(line, "posts", f"bluesky {wire} {operation}", (post,)))

    def _jetstream(self) -> bluesky.Wire:
        return self._rng.choice(("v1", "v2"))

    def _remembered(self, planted: Planted) -> Planted:
        self._recent.append((planted, None, "stream"))
        return planted

    def _control(self, at_ms: int) -> Planted:
        if self._mix.bluesky and self._rng.random() < self._mix.bluesky:
            return self._bluesky_control(at_ms)
        kind, line = noise.control(self._rng, at_ms, self._next())
        return Planted(line, "control", kind, control=kind)

    def _bluesky_control(self, at_ms: int) -> Planted:
        kind = "account" if self._rng.random() < 0.1 else "delete"
        number = times.snowflake(at_ms - self._rng.randrange(10**9), self._next())
        line = bluesky.control(kind, self._composer.anyone(), number, at_ms, self._jetstream(), self._sequence)
        return Planted(line, "control", kind, control=kind)

    def _malformed(self, at_ms: int) -> Planted:
        draft = self._composer.plain_post(at_ms, self._next)
        wrong, line = noise.malformed(self._rng, v1.line(draft, None, "stream"))
        return Planted(line, "malformed", wrong)

    def _again(self, _at_ms: int) -> Planted | None:
        """A line that came before: a source reconnected, or sent it twice."""
        if not self._recent:
            return None
        line = self._rng.choice(self._recent)[0]
        return msgspec.structs.replace(line, repeats=True)

    def _grown(self, _at_ms: int) -> Planted | None:
        """A post that came before, retweeted and liked more often meanwhile."""
        if not self._recent:
            return None
        at = self._rng.randrange(len(self._recent))
        draft, form = self._recent[at][1:]
        if draft is None:
            return None
        draft.likes += 1 + self._rng.randrange(50)
        draft.retweets += self._rng.randrange(50)
        planted = self._of_v1(draft, copy_of(draft.retweeted) if draft.retweeted else None, form)
        self._recent[at] = (planted, draft, form)
        return msgspec.structs.replace(planted, shape=f"{planted.shape} again", repeats=True)
