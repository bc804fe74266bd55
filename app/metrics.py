"""Every metric of Starling, with its meaning. Faust's own (lag, events, commits) stand beside them on `/metrics`."""

from __future__ import annotations

from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from app.domain.counting import Fate
from app.domain.records import Cause

POSTS_READ = Counter("starling_posts_read", "Posts read from raw_tweets by this process")
POSTS_MATCHED = Counter("starling_posts_matched", "Posts that matched at least one event")
POSTS_PLATFORM_ONLY = Counter(
    "starling_posts_platform_only", "Posts that X sent for an event and that no keyword of it matches here"
)
CONTROL_MESSAGES = Counter("starling_control_messages", "Control messages of the streams", ["kind"])
DEAD_LETTERS = Counter("starling_dead_letters", "Records and lines sent to dead_letters", ["reason"])
for _cause in get_args(Cause):
    DEAD_LETTERS.labels(_cause)  # from the start on: of a series that begins with 1, Prometheus sees no increase
ROWS_WRITTEN = Counter("starling_rows_written", "Rows that Cassandra acknowledged")
POSTS_INDEXED = Counter("starling_posts_indexed", "Posts that this process has put into the text index")
POSTS_TAKEN_BACK = Counter(
    "starling_posts_taken_back", "Stored posts that their source took back, by what became of them", ["fate"]
)
for _fate in get_args(Fate):
    POSTS_TAKEN_BACK.labels(_fate)
ROWS_OF_PURGED = Counter("starling_rows_of_purged", "Rows not written because their event was purged meanwhile")
WRITE_RETRIES = Counter("starling_write_retries", "Writes tried again because Cassandra did not answer")
WRITE_SECONDS = Histogram(
    "starling_write_seconds",
    "Seconds from taking a batch of classified records until Cassandra acknowledged all of it",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
POST_AGE_SECONDS = Histogram(
    "starling_post_age_seconds",
    "Seconds from received_at until the row was acknowledged",
    buckets=(0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600),
)
EVENTS_IN_FORCE = Gauge("starling_events_in_force", "Active events that this process classifies for")
VIEW_RECORDS = Gauge("starling_view_records", "Entries of a followed topic", ["topic"])
OFFSET_GAPS = Counter("starling_offset_gaps", "Times that records were passed over and the consumer went back to them")
COMMIT_STALLED = Gauge("starling_commit_stalled", "Partitions whose commits stand still while there is more to read")
POSTS_HEARD = Counter("starling_posts_heard", "Posts that live sources delivered to this tracker", ["source"])
POSTS_TWICE = Counter("starling_posts_twice", "Posts dropped by this tracker because they had come before", ["source"])
SOURCE_STATE = Gauge("starling_source_state", "1 for the state that a live source is in", ["source", "state"])
CONNECTIONS = Counter("starling_connections", "Connections that were made to live sources", ["source"])
READS_MONTH = Gauge(
    "starling_reads_month", "Posts read this month (UTC) from a source that charges for them; 0 on stand-by", ["source"]
)
READS_FORECAST = Gauge(
    "starling_reads_forecast",
    "Those to be expected by its end if it goes on so; before its second day as read",
    ["source"],
)
READS_LIMIT = Gauge(
    "starling_reads_limit",
    "Posts a month that the settings allow: soft, beyond which it is told, and hard",
    ["source", "limit"],
)
SPOOL_BYTES = Gauge("starling_spool_bytes", "Posts kept on disk while Kafka is away")
SPOOL_LIMIT_BYTES = Gauge("starling_spool_limit_bytes", "Those that are kept at most")
EVENTS_COLLECTING = Gauge("starling_events_collecting", "Events that collect, as a manager knows them")
LAG_RECORDS = Gauge(
    "starling_lag_records",
    "Records (of up to 64 posts) before a role, as a manager sees them; nothing while Kafka does not say",
    ["role", "topic"],
)
LAG_SECONDS = Gauge("starling_lag_seconds", "Seconds that the oldest of these has waited", ["role", "topic"])
GAP_SECONDS = Gauge(
    "starling_gap_seconds",
    "Seconds for which a source is not heard though events collect; with an event, for which it was not asked for that",
    ["source", "event"],
)
LEASE_WANTED = Gauge("starling_lease_wanted", "1 while an event collects and there is a live source to listen to")
LEASE_HOLDERS = Gauge("starling_lease_holders", "Trackers that have the lease, as a manager knows them")
REPLICAS_LEAST = Gauge(
    "starling_replicas_least",
    "Replicas that a role shall have at least, as the manager that provisions wants it; 0 while nothing is to do",
    ["role"],
)
SERVER_UP = Gauge("starling_server_up", "1 while a server answers a manager, else 0", ["server"])
NOTICES = Counter("starling_notices", "Notices made by this process", ["kind"])
NOTICE_MESSAGES = Counter(
    "starling_notice_messages",
    "Messages with notices, by what became of a try: told, failed, given up",
    ["receiver", "outcome"],
)
NOTICES_PENDING = Gauge("starling_notices_pending", "Notices that a receiver has not been told of", ["receiver"])
RECEIVER_FAILING = Gauge("starling_receiver_failing", "1 while a receiver of notices does not take them", ["receiver"])
EXPORTS = Counter("starling_exports", "Exports that this manager ended: done, failed, cancelled", ["format", "outcome"])
