"""One consumer of one event, as in the thesis: any keyword anywhere in `text`, one INSERT … JSON a row, 36 columns.

Kinder than the original where that would only have been slow: orjson in place of json, offsets committed once what was
read is written. Mode: the number of the event.
"""

from __future__ import annotations

from datetime import datetime
from threading import Semaphore
from typing import Any
from uuid import uuid4

import orjson
from confluent_kafka import Consumer

from app.clients.cassandra import connect
from app.domain.columns import THESIS_COLUMNS
from benchmarks.contestants.job import job, tune

IN_FLIGHT = 256
COMMIT_RECORDS = 50  # of 64 posts


def table(keyspace: str) -> str:
    """CQL of its table: a random id is the key."""
    columns = ", ".join(f"{name} {kind}" for name, kind in THESIS_COLUMNS.items())
    return f"CREATE TABLE IF NOT EXISTS {keyspace}.thesis ({columns}, PRIMARY KEY (id))"


def main() -> None:
    given = job()
    tune()
    event = given.events[int(given.mode)]
    keywords = [keyword.lower() for keyword in event.keywords]
    together = ", ".join(keywords)
    session = connect(given.settings)
    insert = session.prepare(f"INSERT INTO {given.keyspace}.thesis JSON ?")
    consumer = Consumer(
        {
            "bootstrap.servers": given.kafka,
            "group.id": f"{given.group}-{given.mode}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "queued.max.messages.kbytes": 65536,
        }
    )
    consumer.subscribe([given.raw_topic])
    slots = Semaphore(IN_FLIGHT)

    def done(_: object) -> None:
        slots.release()

    while True:
        records = consumer.consume(COMMIT_RECORDS, timeout=0.5)
        if not records:
            continue
        for record in records:
            for line in record.value().split(b"\n"):
                post = orjson.loads(line)
                text = post.get("text", "").lower()
                if any(keyword in text for keyword in keywords):
                    row = orjson.dumps(_row(post, event.code, together)).decode()
                    slots.acquire()
                    session.execute_async(insert, [row]).add_callbacks(done, done)
        for _ in range(IN_FLIGHT):
            slots.acquire()
        slots.release(IN_FLIGHT)
        consumer.commit(asynchronous=False)


def _row(post: dict[str, Any], code: str, keywords: str) -> dict[str, Any]:
    user = post["user"]
    entities = post.get("entities") or {}
    mentions = entities.get("user_mentions") or []
    media = entities.get("media") or []
    return {
        "id": str(uuid4()),
        "event_name": code,
        "t_id": post.get("id_str"),
        "event_kw": keywords,
        "hashtags": [tag["text"] for tag in entities.get("hashtags") or []],
        "media_url": media[0].get("media_url") if media else None,
        "t_coordinates": str(post.get("coordinates")),
        "t_created_at": _moment(post["created_at"]),
        "t_favorite_count": post.get("favorite_count"),
        "t_favorited": post.get("favorited"),
        "t_geo": str(post.get("geo")),
        "t_is_a_retweet": "retweeted_status" in post,
        "t_lang": post.get("lang"),
        "t_retweet_count": post.get("retweet_count"),
        "t_retweeted": post.get("retweeted"),
        "t_text": post.get("text"),
        "u_created_at": _moment(user["created_at"]),
        "u_description": user.get("description"),
        "u_favourites_count": user.get("favourites_count"),
        "u_followers_count": user.get("followers_count"),
        "u_friends_count": user.get("friends_count"),
        "u_geo_enabled": user.get("geo_enabled"),
        "u_id": user.get("id_str"),
        "u_lang": user.get("lang"),
        "u_listed_count": user.get("listed_count"),
        "u_location": user.get("location"),
        "u_name": user.get("name"),
        "u_screen_name": user.get("screen_name"),
        "u_statuses_count": user.get("statuses_count"),
        "u_time_zone": user.get("time_zone"),
        "u_url": user.get("url"),
        "u_utc_offset": user.get("utc_offset"),
        "um_id": ",".join(mention["id_str"] for mention in mentions),
        "um_name": ",".join(mention["name"] for mention in mentions),
        "um_screen_name": ",".join(mention["screen_name"] for mention in mentions),
        "urls": [url["expanded_url"] or url["url"] for url in entities.get("urls") or []],
    }


def _moment(value: str) -> str:
    return datetime.strptime(value, "%a %b %d %H:%M:%S %z %Y").strftime("%Y-%m-%d %H:%M:%S%z")


if __name__ == "__main__":
    main()
