"""The demo: everything that Starling does, on real parts and generated posts, and the proof that it was done right.

plan       the two events, and what a person may choose
ground     servers, topics and keyspace of this run alone, and their removal
worker     the worker process
sending    generated posts into `raw_tweets`, at a rate; the ledger of what must come of them
watching   how far the worker is, from `activity`
comparing  what Cassandra, `dead_letters` and `activity` hold, against the ledger
run        all of it, one after the other
"""
