"""How tables are filled from their changelogs: Faust's way, with a calm end."""

from __future__ import annotations

from contextlib import suppress

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery, ServiceStopped


class CalmRecovery(Recovery):
    """Ends without an error where a stop cuts it short: nobody takes that error any more, so it was logged as lost."""

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Resume, unless the process is to stop, which whoever waits for this sees for himself."""
        with suppress(ServiceStopped):
            await super().on_recovery_completed(generation_id)


class Tables(TableManager):
    """Tables that are recovered so."""

    _recovery: Recovery | None = None

    @property
    def recovery(self) -> Recovery:
        """The service that fills the tables."""
        if self._recovery is None:
            self._recovery = CalmRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
