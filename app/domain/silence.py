"""When and what to tell somebody who waits for posts and sees none: that nothing comes, or that nothing matches."""

from __future__ import annotations

NOTHING_SECONDS = 10.0
UNMATCHED_SECONDS = 30.0
AGAIN_SECONDS = 60.0  # until the same is told once more


class Silence:
    """Of one who listens. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._heard = self._since = now  # when a post came; since when nothing was seen that matches, nor told of it
        self._posts = 0  # that came since then
        self._told_at: float | None = None  # that nothing comes, while nothing does
        self._patience = UNMATCHED_SECONDS

    def heard(self, posts: int, matched: int, now: float) -> None:
        """So many posts came, of which so many match."""
        if posts:
            self._heard = now
            self._posts += posts
        if matched:
            self._since, self._posts, self._patience = now, 0, UNMATCHED_SECONDS

    @property
    def nothing_comes(self) -> bool:
        """Whether it was told that nothing comes, and nothing has come since."""
        return self._told_at is not None

    def word(self, now: float) -> str | None:
        """What is to be told now, if anything."""
        if self._told_at is not None and self._heard > self._told_at:
            self._told_at = None
            return "posts come again"
        quiet = now - self._heard
        if quiet >= NOTHING_SECONDS and (self._told_at is None or now - self._told_at >= AGAIN_SECONDS):
            self._told_at = now
            return f"nothing comes at all, for {quiet:.0f} s"
        if self._posts and self._told_at is None and now - self._since >= self._patience:
            word = f"{self._posts:,} posts came in {now - self._since:.0f} s, and none matches"
            self._since, self._posts, self._patience = now, 0, AGAIN_SECONDS
            return word
        return None
