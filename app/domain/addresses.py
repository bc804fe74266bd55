"""Where a post, or a thing that it names, can be seen on the web."""

from __future__ import annotations

import re

_BLUESKY = re.compile(r"at://(did:[a-z]+:[\w.:%-]+)/app\.bsky\.feed\.post/([\w.~:-]+)")
_WEB = re.compile(r"https?://[^\s\x00-\x1f<>\"'`]+", re.IGNORECASE)


def post_address(post_id: str) -> str | None:
    """Page of a post at the platform that it comes from, by its id; None for an id of neither X nor Bluesky."""
    if post_id.isascii() and post_id.isdigit():
        return f"https://x.com/i/web/status/{post_id}"
    found = _BLUESKY.fullmatch(post_id)
    return f"https://bsky.app/profile/{found[1]}/post/{found[2]}" if found else None


def web_address(text: str | None) -> str | None:
    """The text, if a browser may be sent there: of strangers' links only http and https ones."""
    return text if text and _WEB.fullmatch(text) else None
