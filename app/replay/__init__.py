"""Replays files of posts into `raw_tweets`, at a chosen pace, and remembers how far Kafka has confirmed them.

`lines` reads files, `pacing` says when a line may go, `packing` puts lines into records, `positions` remembers,
`sending` does it all.
"""
