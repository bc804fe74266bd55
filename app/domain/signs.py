"""Up to when signs of life prove that a connection was heard.

A process that was held up, frozen or with no room for what comes, reads when it goes on what its system has kept of a
connection that may have ended meanwhile. What comes then proves nothing. What comes once that is read does, also of the
time before: a connection that lives has delivered all of it.
"""

from __future__ import annotations

# The tracker looks every second; a look that comes so long after the one before was held up with the whole process.
HELD_UP_SECONDS = 3.0
# So long what is read may have lain in the buffers of a socket, which hold some megabytes.
OLD_SECONDS = 5.0


class Signs:
    """Of one connection, which is dead after `silent` seconds without one.

    `now` is in milliseconds since 1970, `at` the same moment in seconds of a clock that nobody sets, and that runs on
    while the process does not.
    """

    def __init__(self, now: int, at: float, silent: float) -> None:
        self.last = now  # that proves something
        self._at = at  # of the last one, whether it proves something or not
        self._silent = silent
        self._looked = at
        self._new = at  # what comes from then on is new
        self._left = False

    def look(self, at: float) -> bool:
        """To be called once a second at least; whether what comes now is new."""
        if at - self._looked > HELD_UP_SECONDS:
            self.held_up(at)
        self._looked = at
        return at >= self._new

    def held_up(self, at: float) -> None:
        """What has come until now may not have been read yet."""
        self._new = at + OLD_SECONDS

    def came(self, now: int, at: float) -> bool:
        """A sign came; whether it is new.

        After too long without any it proves nothing: the connection should have been given up. One that is not new
        proves nothing by itself, but what comes after it proves its time as well.
        """
        new = self.look(at)
        if new and not self._left and at - self._at < self._silent:
            self.last = now
        self._at = at
        return new

    def leave(self) -> None:
        """The connection is about to be closed: what comes still may not be all that came."""
        self._left = True
