"""What `statuses/filter` (v1.1) is asked for: `track`, `follow` and `locations`, any of which selects a post."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from app.simulator.seen import Box, Seen
from app.simulator.tokens import folded, joined, tokens

Test = Callable[[Seen], bool]
_MOST = {"track": 400, "follow": 5000, "locations": 25}


class Unwanted(Exception):
    """The parameters are refused, with a status of HTTP."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Wanted:
    """The parameters of a connection. Raises Unwanted."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        given = {name: _split(parameters.get(name, "")) for name in _MOST}
        if not any(given.values()):
            raise Unwanted(406, "No filter parameters found. Expect at least one parameter: follow track locations")
        self._tests: list[tuple[str, Test]] = [(phrase, _tracked(phrase)) for phrase in given["track"]]
        self._tests += [(number, _followed(number)) for number in given["follow"]]
        self._tests += list(_located(given["locations"]))
        boxes = len(given["locations"]) // 4
        if len(given["track"]) > _MOST["track"] or len(given["follow"]) > _MOST["follow"] or boxes > _MOST["locations"]:
            raise Unwanted(413, "Too many parameters")

    def match(self, seen: Seen) -> tuple[str, ...]:
        """Which of the parameters select the post."""
        return tuple(name for name, test in self._tests if test(seen))


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _tracked(phrase: str) -> Test:
    """All words of the phrase, in any order; each in the text, an address, a tag or a name."""
    tests = [_word(word) for word in phrase.split()]
    return lambda seen: all(test(seen) for test in tests)


def _word(word: str) -> Test:
    bare = folded(word[1:])
    match word[0]:
        case "#":
            return lambda seen: bare in seen.hashtags
        case "@":
            return lambda seen: bare in seen.mentions
        case "$":
            return lambda seen: bare in seen.cashtags
    folded_word, wanted = folded(word), joined(tokens(word))
    return lambda seen: (
        (wanted.strip() != "" and (wanted in seen.text or any(wanted in url for url in seen.urls)))
        or folded_word in seen.hashtags
        or folded_word in seen.mentions
    )


def _followed(number: str) -> Test:
    if not number.isdecimal():
        raise Unwanted(406, f"Bad value for follow: {number}")
    return lambda seen: number in (seen.author[1], seen.reply_to[1], seen.retweet_of[1])


def _located(edges: list[str]) -> Iterator[tuple[str, Test]]:
    try:
        numbers = [float(edge) for edge in edges]
    except ValueError:
        raise Unwanted(406, "Location track items must be given as pairs of numbers") from None
    if len(numbers) % 4:
        raise Unwanted(406, "Location track must be expressed as pairs of comma separated lat/longs")
    for start in range(0, len(numbers), 4):
        west, south, east, north = numbers[start : start + 4]
        if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
            raise Unwanted(416, "Location out of range")
        yield "locations:" + ",".join(edges[start : start + 4]), _inside((west, south, east, north))


def _inside(box: Box) -> Test:
    """In v1.1 a place counts where it overlaps; a point, where there is one, decides."""
    west, south, east, north = box

    def test(seen: Seen) -> bool:
        if seen.point is not None:
            return west <= seen.point[0] <= east and south <= seen.point[1] <= north
        if seen.area is None:
            return False
        return seen.area[0] <= east and west <= seen.area[2] and seen.area[1] <= north and south <= seen.area[3]

    return test
