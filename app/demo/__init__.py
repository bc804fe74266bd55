"""The demo: everything that Starling does, on real parts and generated posts, and the proof that it was done right.

plan       the events, and what a person may choose
ground     servers, topics and keyspace of this run alone, and their removal
children   processes that it starts and ends
worker     the worker process
events     events made and edited
sending    generated posts into `raw_tweets`, at a rate; the ledger of what must come of them
watching   how far the worker is, from `activity`
comparing  what Cassandra, `dead_letters` and `activity` hold, against the ledger
source     a live source: the simulator, a process of its own
live       the second act: listening to it, through an edit and a cut
hearing    what is stored of it and what `coverage` says, against the source's own log
run        all of it, one after the other
"""
