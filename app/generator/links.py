"""Links and pictures, in the forms that both wire forms share."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec import Struct

from app.generator.parts import IN_URL, MEDIA, URL, Hits, Part, Taboo
from app.generator.words import SLUGS

_HOSTS = ("news.example", "www.blog.example", "shop.example.org", "videos.example")
_KINDS = ("photo", "photo", "photo", "video", "animated_gif")
_DISPLAYED = 27  # characters of an address that are shown


class Link(Struct, frozen=True):
    """A shortened address: as it stands in the text, where it leads, as it is shown."""

    short: str
    expanded: str
    display: str


class Medium(Struct, frozen=True):
    """A picture or video and its address in the text."""

    number: int
    kind: str
    address: str  # without scheme
    short: str
    display: str

    @property
    def url(self) -> str:
        """Its address, as both forms give it."""
        return f"https://{self.address}"


def link(rng: Random, address: str, hits: Hits = (), cut: int = _DISPLAYED) -> Part:
    """A link to an address (without https://), of which no more than `cut` characters are shown."""
    display = address.removeprefix("www.")
    if len(display) > cut:
        display = display[:cut] + "…"
    value = Link(f"https://t.co/L{rng.randrange(10**9):09}", f"https://{address}", display)
    return Part(value.short, value.short, URL, value, hits)


def link_with(rng: Random, text: str, hits: Hits) -> Part:
    """A link whose address holds the text as words of its own."""
    address = f"{rng.choice(_HOSTS)}/2026/{text}-{rng.randrange(1000)}"
    return link(rng, address, tuple((selector, IN_URL) for selector, _ in hits))


def common_links(rng: Random, taboo: Taboo, count: int) -> list[Part]:
    """Links whose addresses hold no keyword."""
    found: list[Part] = []
    slugs = [slug for slug in SLUGS if taboo.clean(slug)] or ["1"]
    while len(found) < count:
        found.append(link(rng, f"{rng.choice(_HOSTS)}/{rng.choice(slugs)}-{rng.randrange(10**6)}"))
    return found


def pictures(rng: Random, count: int) -> list[Part]:
    """Pictures and videos, as parts of a text."""
    found: list[Part] = []
    for _ in range(count):
        number = rng.randrange(2**59, 2**60)
        short = f"https://t.co/M{rng.randrange(10**9):09}"
        kind = rng.choice(_KINDS)
        medium = Medium(number, kind, f"img.example/media/{number}.jpg", short, f"pic.twitter.com/{number:x}")
        found.append(Part(short, short, MEDIA, medium))
    return found


def v1_medium(medium: Medium, indices: list[int]) -> dict[str, Any]:
    """A medium as v1.1's entities list it."""
    return {
        "id": medium.number,
        "id_str": str(medium.number),
        "indices": indices,
        "media_url": f"http://{medium.address}",
        "media_url_https": medium.url,
        "url": medium.short,
        "display_url": medium.display,
        "expanded_url": f"https://twitter.com/i/web/status/1/photo/{medium.number}",
        "type": medium.kind,
    }


def v2_medium(medium: Medium) -> dict[str, Any]:
    """A medium as v2's includes list it."""
    item = {"media_key": f"3_{medium.number}", "type": medium.kind, "width": 1200, "height": 800}
    return item | ({"url": medium.url} if medium.kind == "photo" else {"preview_image_url": medium.url})
