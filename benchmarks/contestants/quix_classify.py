"""Classification by Quix Streams: raw records in, the matched posts of each event out, as one message a record and
event.

Less than Starling does: no record of what matched where, no dead letters, no counts, no spreading of a hot event.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.posts import Control, read
from benchmarks.contestants.job import job, tune
from benchmarks.contestants.quix import Second, application, raw_stream


def main() -> None:
    given = job()
    tune()
    match = given.matcher().match
    app = application(given)

    def classify(value: bytes) -> Iterable[tuple[str, bytes]]:
        found: dict[str, list[bytes]] = {}
        for line in value.split(b"\n"):
            posts = read(line)
            if isinstance(posts, Control):
                continue
            for post in posts:
                for matched in match(post):
                    found.setdefault(matched.event.code, []).append(post.raw)
        return [(code, b"\n".join(posts)) for code, posts in found.items()]

    classified = app.topic(given.classified_topic, key_serializer="str", value_serializer=Second())
    raw_stream(app, given).apply(classify, expand=True).to_topic(classified, key=lambda value: value[0])
    app.run()


if __name__ == "__main__":
    main()
