"""Exports: an event's stored posts as one file that opens, with a manifest that says what it is.

`job` reads bucket by bucket (`app.clients.stored`), lets `choosing` pass what is wished, and hands it to a sink:
`lines` (JSONL, CSV, raw, ids), `parquet` or `gexf`. A sink keeps what it has got with the place to go on from, so that
a job that was killed goes on there and its file has the same bytes. `manifest` says what the file is. `store` is the
directory of a manager; `__main__` the process in which a manager has a job done.
"""
