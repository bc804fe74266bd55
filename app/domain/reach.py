"""Whether a server answers, and since when it does or does not."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace


class Reach(Struct, frozen=True):
    """As it was when it was last asked. Times are milliseconds since 1970; `up` is None before the first answer."""

    up: bool | None = None
    since: int = 0
    at: int = 0
    why: str = ""  # it does not answer

    def asked(self, at: int, why: str = "") -> Reach:
        """The same after another question, with why it was not answered."""
        up = not why
        return replace(self, up=up, since=self.since if up == self.up else at, at=at, why=why)
