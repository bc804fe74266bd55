"""Tables of DMI-TCAT, row by row as v1.1 statuses."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.tcat import Table
from app.replay.files import Address
from app.replay.lines import LINE_LIMIT, JsonLines, Line, Place


class TableLines(JsonLines):
    """An open table. A row that is none comes as it stands, and so ends as a dead letter."""

    def __init__(self, address: Address, table: Table, begin: Place) -> None:
        super().__init__(address)
        self._table = table
        self._begin = begin

    def check(self) -> None:
        """Nothing: its header has told what it is."""

    def read(self, place: Place) -> Iterator[Line]:
        """The rows after the place. Raises UserError with the number of a bad line."""
        for line in super().read(max(place, self._begin)):
            yield line if line.data is None else self._as_status(line, line.data)

    def _as_status(self, line: Line, row: bytes) -> Line:
        try:
            status = self._table.status(row.removesuffix(b"\r"))
        except ValueError:
            return line
        return line._replace(data=status if len(status) <= LINE_LIMIT else None)


def open_lines(address: Address) -> JsonLines:
    """A file of posts, whichever form it has. Raises UserError."""
    with JsonLines(address) as file:
        first = next(file.read(Place()), None)
    try:
        table = Table(first.data if first and first.data else b"")
    except ValueError:
        return JsonLines(address)
    return TableLines(address, table, first.end if first else Place())
