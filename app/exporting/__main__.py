"""The process in which a manager has a job done; see `process`."""

from __future__ import annotations

import os
import sys
import threading
from time import monotonic

import msgspec

from app.errors import Unavailable, UserError
from app.exporting import job
from app.exporting.job import Told
from app.exporting.process import Done, Far, Line, Order, Trouble
from app.exporting.store import Store
from app.logs import configure
from app.settings import settings

_NICE = 10  # posts go first
_FULL_LOOK_SECONDS = 5.0


def main() -> None:
    """Carry out the order on standard input."""
    current = settings()
    configure(current)
    os.nice(_NICE)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_the_manager, daemon=True).start()
    store = Store(current)
    try:
        file = job.run(current, order.job, store.work(order.export_id), _tell, _Allowed(store))
        store.put(order.export_id)
        _say(Done(file))
    except Unavailable as away:
        _say(Trouble(str(away), "away"))
    except UserError as refused:
        _say(Trouble(str(refused), "refused"))
    except OSError as error:
        _say(Trouble(f"{error.filename or 'its directory'}: {error.strerror or error}", "refused"))
    sys.stdout.flush()
    os._exit(0)  # the driver's threads may take their time


class _Allowed:
    """Looks now and then whether more room may be taken."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked = -_FULL_LOOK_SECONDS

    def __call__(self) -> None:
        if monotonic() - self._looked >= _FULL_LOOK_SECONDS:
            self._store.allow()
            self._looked = monotonic()


def _tell(told: Told) -> None:
    _say(Far(told))


def _say(line: Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.flush()


def _end_with_the_manager() -> None:
    # Not by the buffered reader: the main thread could not end while this one holds it.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
