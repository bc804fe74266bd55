"""The roles that a process can have, the agents of each, and which roles exclude each other."""

from __future__ import annotations

from enum import StrEnum

from app.settings import Settings
from app.topics import CLASSIFIED, EVENT_COMMANDS, RAW, Topic


class Role(StrEnum):
    """What a process is there for; each is a Faust app of its own, since one app's workers must run the same agents."""

    ALL = "all"
    MANAGER = "manager"
    TRACKER = "tracker"
    WORKER = "worker"
    CLASSIFIER = "classifier"
    NORMALIZER = "normalizer"
    INDEXER = "indexer"

    @property
    def manages(self) -> bool:
        """Whether it decides on event commands."""
        return self in (Role.ALL, Role.MANAGER)

    @property
    def classifies(self) -> bool:
        """Whether it reads raw posts."""
        return self in (Role.ALL, Role.WORKER, Role.CLASSIFIER)

    @property
    def normalizes(self) -> bool:
        """Whether it writes posts to Cassandra."""
        return self in (Role.ALL, Role.WORKER, Role.NORMALIZER)

    @property
    def tracks(self) -> bool:
        """Whether it listens to live sources; of all that may, the one with the lease does."""
        return self in (Role.ALL, Role.TRACKER)

    @property
    def indexes(self) -> bool:
        """Whether it keeps the index by which posts are found; all that do share one group."""
        return self in (Role.ALL, Role.INDEXER)

    @property
    def rivals(self) -> tuple[Role, ...]:
        """Roles that would do the same work a second time on the same topics."""
        return tuple(
            other
            for other in Role
            if other is not self
            and (
                (self.manages and other.manages)
                or (self.classifies and other.classifies)
                or (self.normalizes and other.normalizes)
            )
        )

    def yields_to(self, rival: Role) -> bool:
        """Whether it ends where the rival has started at the same moment: the one that does more, listed first."""
        roles = list(Role)
        return roles.index(self) < roles.index(rival)


NORMALIZING = tuple(role for role in Role if role.normalizes)
EVENT_LEDGER, INTAKE, EVENT_ACTIVITY, EVENT_TRENDS = "events", "intake", "activity", "trends"


def app_id(role: Role, settings: Settings) -> str:
    """Id of the role's Faust app, which is its consumer group."""
    return f"{settings.topic_prefix}starling-{role}"


def tables(role: Role) -> dict[str, Topic]:
    """Tables of a role, each with the topic whose partitions it shares."""
    found: dict[str, Topic] = {}
    if role.manages:
        found[EVENT_LEDGER] = EVENT_COMMANDS
    if role.classifies:
        found[INTAKE] = RAW
    if role.normalizes:
        found[EVENT_ACTIVITY] = CLASSIFIED
        found[EVENT_TRENDS] = CLASSIFIED
    return found


def changelog(role: Role, table: str, settings: Settings) -> str:
    """Name of a table's changelog topic, as Faust makes it."""
    return f"{app_id(role, settings)}-{table}-changelog"
