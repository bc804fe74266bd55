"""The rules of an account, and the answers that X gives to those who change them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

import orjson
from msgspec import Struct

from app.simulator.log import Log
from app.simulator.rules import InvalidRule, Test, parse
from app.simulator.seen import Seen

_PROBLEMS = "https://api.twitter.com/2/problems"
_FIRST_ID = 1_700_000_000_000_000_000
_MOST_TAG = 512


class Limits(Struct, frozen=True):
    """What the plan allows."""

    rules: int = 1000
    rule_length: int = 1024
    rule_delay: float = 0.0  # seconds from the answer until a rule is in force


class Rule(NamedTuple):
    """A rule of the account."""

    id: str
    value: str
    tag: str
    test: Test
    since: float  # in force from then on, monotonic

    @property
    def told(self) -> dict[str, str]:
        """As X lists it."""
        return {"value": self.value, "id": self.id} | ({"tag": self.tag} if self.tag else {})


class Matched(NamedTuple):
    """What the rules in force say to a post."""

    tags: tuple[str, ...]
    member: bytes  # as it stands in the post's line: `"matching_rules":[…]`


class RuleBook:
    """Rules are in force from when they are added, or some time later, until they are deleted; both are logged."""

    def __init__(self, limits: Limits, log: Log) -> None:
        self._limits = limits
        self._log = log
        self._rules: dict[str, Rule] = {}
        self._ids = count(_FIRST_ID)
        self._changes = 0
        self._coming: list[float] = []  # when rules will be in force, the first one first

    @property
    def version(self) -> int:
        """Rises with every change of what is in force."""
        while self._coming and self._coming[0] <= monotonic():
            del self._coming[0]
            self._changes += 1
        return self._changes

    @property
    def rules(self) -> Iterable[Rule]:
        """Those of the account."""
        return self._rules.values()

    def match(self, seen: Seen) -> Matched | None:
        """The rules in force that a post matches; None where it matches none."""
        now = monotonic()
        found = [rule for rule in self._rules.values() if rule.since <= now and rule.test(seen)]
        if not found:
            return None
        tags = tuple(dict.fromkeys(rule.tag for rule in found))
        named = [{"id": rule.id, "tag": rule.tag} if rule.tag else {"id": rule.id} for rule in found]
        return Matched(tags, b'"matching_rules":' + orjson.dumps(named))

    def listed(self, ids: Iterable[str] = ()) -> dict[str, Any]:
        """The answer to a GET."""
        wanted = set(ids)
        data = [rule.told for rule in self._rules.values() if not wanted or rule.id in wanted]
        meta = {"sent": _now(), "result_count": len(data)}
        return {"data": data, "meta": meta} if data else {"meta": meta}

    def add(self, items: list[dict[str, Any]], *, dry_run: bool) -> tuple[int, dict[str, Any]]:
        """Add rules: HTTP status and answer. Beyond the cap none is added; a wrong one does not hinder the others."""
        if len(self._rules) + len(items) > self._limits.rules:
            return 422, self._over_cap(items)
        created: list[Rule] = []
        errors: list[dict[str, Any]] = []
        duplicates = 0
        known = {rule.value: rule for rule in self._rules.values()}
        for item in items:
            value = item.get("value")
            if isinstance(value, str) and (twin := known.get(value)):
                errors.append(_problem("DuplicateRule", "duplicate-rules", value) | {"id": twin.id})
                duplicates += 1
                continue
            try:
                rule = self._made(value, item.get("tag"))
            except InvalidRule as wrong:
                errors.append(_problem("Invalid Rule", "invalid-rules", value) | {"details": [str(wrong)]})
                continue
            known[rule.value] = rule
            created.append(rule)
        if not dry_run:
            for rule in created:
                self._rules[rule.id] = rule
                self._log.rule("rule added", rule.id, rule.value, rule.tag)
                self._coming.append(rule.since)
        summary = {
            "created": len(created),
            "not_created": len(errors),
            "valid": len(created),
            "invalid": len(errors),
        }
        answer: dict[str, Any] = {"meta": {"sent": _now(), "summary": summary}}
        if created:
            answer["data"] = [rule.told for rule in created]
        if errors:
            answer["errors"] = errors
        return (201 if created else 400 if duplicates < len(errors) else 200), answer

    def delete(self, ids: list[str], values: list[str], *, dry_run: bool) -> dict[str, Any]:
        """Delete rules by id or by their text: the answer."""
        by_value = {rule.value: rule.id for rule in self._rules.values()}
        gone: set[str] = set()
        errors = []
        for named, number in [*((number, number) for number in ids), *((text, by_value.get(text)) for text in values)]:
            if number is None or number not in self._rules or number in gone:
                errors.append(
                    {
                        "errors": [{"parameters": {}, "message": f"Rule does not exist: {named}"}],
                        "title": "Invalid Request",
                        "detail": "One or more parameters to your request was invalid.",
                        "type": f"{_PROBLEMS}/invalid-request",
                    }
                )
            else:
                gone.add(number)
        if not dry_run:
            for number in gone:
                rule = self._rules.pop(number)
                self._log.rule("rule removed", rule.id, rule.value, rule.tag)
            self._changes += bool(gone)
        answer: dict[str, Any] = {
            "meta": {"sent": _now(), "summary": {"deleted": len(gone), "not_deleted": len(errors)}}
        }
        return answer | ({"errors": errors} if errors else {})

    def _made(self, value: object, tag: object) -> Rule:
        """Raises InvalidRule."""
        if not isinstance(value, str) or not (isinstance(tag, str) or tag is None):
            raise InvalidRule("value and tag must be text")
        if len(value) > self._limits.rule_length:
            raise InvalidRule(
                f"Rule is {len(value)} characters long, {self._limits.rule_length} are allowed (at position 1)"
            )
        if tag is not None and len(tag) > _MOST_TAG:
            raise InvalidRule(f"Tag is longer than {_MOST_TAG} characters")
        since = monotonic() + self._limits.rule_delay
        return Rule(str(next(self._ids)), value, tag or "", parse(value), since)

    def _over_cap(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        detail = f"Rules cap is {self._limits.rules}, and {len(self._rules)} are in force; {len(items)} more were sent."
        problem = {"title": "RulesCapExceeded", "detail": detail, "type": f"{_PROBLEMS}/rule-cap"}
        details = {"details": [detail], "value": str(self._limits.rules)}
        summary = {"created": 0, "not_created": len(items), "valid": 0, "invalid": 0}
        return problem | {"meta": {"sent": _now(), "summary": summary}, "errors": [problem | details]}


def _problem(title: str, kind: str, value: object) -> dict[str, Any]:
    return {"value": value, "title": title, "type": f"{_PROBLEMS}/{kind}"}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
