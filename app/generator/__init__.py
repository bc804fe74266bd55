"""Synthetic posts whose fate is known because they were made so: the source of the demo and of simulated streams.

    words     what people write about, in 13 languages
    parts     pieces of a post, each knowing which keywords it holds and where
    planting  the ways to plant a keyword, and decoys that look like one
    people, spots, links   authors, places, links and pictures
    v1, v2, bluesky   the wire forms, and the columns that must come of them
    noise     control messages and malformed lines
    stream    `Generator`: all of it mixed, one line after the other

Nothing here asks the matcher or the normalizer: what is expected follows from what was put in. The contract is held
by import-linter.
"""

from app.generator.expected import Expected, Planted
from app.generator.stream import Generator, Mix

__all__ = ["Expected", "Generator", "Mix", "Planted"]
