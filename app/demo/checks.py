"""Something that must agree."""

from __future__ import annotations

from msgspec import Struct


class Check(Struct, frozen=True):
    """Something that was planted, and what became of it."""

    name: str
    planted: int
    found: int
    agrees: bool
