"""What `make bench-full` makes its rows of, and how it reads nodetool."""

from __future__ import annotations

from app.clients.encoding import encode_row
from app.domain.columns import COLUMNS
from app.domain.partitioning import time_in_id
from app.domain.rows import normalized, post_of, row_of
from benchmarks.full.partitions import partition_sizes
from benchmarks.full.rows import START_MS, Spread, Stock, event_of

# As Cassandra 5.0.9 prints it.
HISTOGRAMS = """\
full_partitions/tweet_raw histograms
Percentile      Read Latency     Write Latency          SSTables    Partition Size        Cell Count
                    (micros)          (micros)                             (bytes)                  
50%                     0.00             17.08              0.00           3379391              1109
99%                     0.00             51.01              0.00           4866323              1597
Min                     0.00              5.72              0.00              9888                 4
Max                     0.00          20924.30              0.00          30130992             10090

"""  # noqa: W291


def test_a_repeated_post_is_stored_as_if_the_generator_had_made_it() -> None:
    spread = Spread(event=event_of("flood", 57), posts=171, seconds=3)
    rows = list(Stock(40).rows(spread, raw=True))
    assert len({row.key for row in rows}) == len(rows) == 171
    moments = [time_in_id(row.post.id) or 0 for row in rows]
    assert moments == sorted(moments)
    assert moments[0] == START_MS
    assert START_MS + 2900 < moments[-1] < START_MS + 3000
    named = dict.fromkeys(COLUMNS, 0)
    created = list(named).index("t_created_at")
    for row, moment in zip(rows, moments, strict=True):
        assert row.values[created] == moment
        # What the normalizer makes of its JSON; that says another time, which no bucket follows from.
        again = row_of(spread.event, 1, row.line, normalized(post_of(row.post.raw)))
        assert again.key == row.key
        ours, fresh = encode_row(row, 5), encode_row(again, 5)
        assert [n for n, one in enumerate(ours) if one != fresh[n]] in ([created], [])


def test_an_event_that_has_grown_lies_as_a_new_one_at_first() -> None:
    first, second = event_of("flood", 57).buckets
    assert first == event_of("flood", 1).buckets[0]
    assert second.since == START_MS + 10_000
    assert second.seconds < first.seconds


def test_nodetool_tells_the_sizes_of_partitions() -> None:
    sizes = partition_sizes(HISTOGRAMS)
    assert sizes == {"50%": 3379391, "99%": 4866323, "Min": 9888, "Max": 30130992}
