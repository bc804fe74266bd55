"""A server that speaks what live sources speak, so that a tracker can be shown every fault without one of them.

tokens, seen   a post as rules look at it: its words, and what else can be asked of it
rules, track   X's rule language, and the parameters of v1.1's `statuses/filter`
book           the rules in force, answered as X answers
log            what arose, which rules were in force, and whether it was sent: the expectation of tests
faults         what is to go wrong
connections    one client's connection: what is written to it, and how it misbehaves
account        posts that arise on one wire: rules, faults, connections and the log brought together
http, x, search, x_v1        the wires of X
websocket, archive, dictionary, jetstream, bluesky   the wires of Jetstream
feed, pool     posts that arise by themselves, at a rate
control        `/control/…`: posts pushed, faults commanded, log and state read
server         all of it on one port

It is an oracle: what it finds for a rule is found by its own reading of X's documents, and nothing here asks the
project's matcher or normalizer. The contract is held by import-linter.
"""

from app.simulator.options import Options
from app.simulator.server import Simulator

__all__ = ["Options", "Simulator"]
