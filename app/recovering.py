"""How tables are filled from their changelogs: Faust's way, with a calm end and a clean beginning of what follows."""

from __future__ import annotations

from contextlib import suppress

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery, ServiceStopped
from mode import Seconds, want_seconds
from mode.services import WaitArgT

from app.errors import Unavailable


class CalmRecovery(Recovery):
    """Ends without an error where a stop cuts it short: nobody takes that error any more, so it was logged as lost."""

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Resume, unless the process is to stop, which whoever waits for this sees for himself.

        Faust lets records of streams through, then seeks to where they begin, then lets agents have them: some that
        came before the seek were passed over (seen at 3 of 42 starts after a kill). So they are let through after it.
        """
        if self.app.consumer.assignment():
            self.app.consumer.stop_flow()
        with suppress(ServiceStopped):
            await super().on_recovery_completed(generation_id)

    async def _wait(self, coro: WaitArgT, timeout: Seconds | None = None) -> None:  # noqa: ASYNC109 -- Faust's
        """Wait for a step of the recovery. Raises Unavailable, which ends the process, where it takes too long.

        Faust takes that for a stop, and the recovery would be over without an end.
        """
        try:
            await super()._wait(coro, timeout)
        except ServiceStopped:
            if self.should_stop:
                raise
            raise Unavailable(f"Kafka has not answered within {want_seconds(timeout or 0):.0f} s") from None


class Tables(TableManager):
    """Tables that are recovered so."""

    _recovery: Recovery | None = None

    @property
    def recovery(self) -> Recovery:
        """The service that fills the tables."""
        if self._recovery is None:
            self._recovery = CalmRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
