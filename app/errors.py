"""Each error of Starling and its fate.

| error | raised by | fate |
|---|---|---|
| Malformed | reading a line | the line goes to `dead_letters` with the reason; the stream goes on |
| Unavailable | Kafka or Cassandra away | agents retry with back-off; the CLI says so in one line, status 69 |
| NotDone | a command that no manager decides in time | it expires; the API answers 503, other failed changes 504 |
| UserError | what a person has asked for | one line, exit status 1 |
| anything else | a defect | the worker crashes without moving an offset, its supervisor starts it anew |
"""

from __future__ import annotations

NOT_REACHABLE = 69  # exit status, EX_UNAVAILABLE of sysexits.h


class Unavailable(Exception):
    """A server that Starling needs does not answer; the message says which and where."""


class NotDone(Unavailable):
    """A server does not answer, and what was asked for was not done, nor will it be."""


class UserError(Exception):
    """A request that cannot be done; the message is for the person who asked."""
