"""Keeps the rules in force at X as the events want them.

Rules are added before others are removed, so nothing that stays is missed. Only rules with our mark in their tag are
ours; others belong to other programs of the same account, and count against the same plan.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
from msgspec import Struct
from tweepy import StreamRule

from app.domain.events import Event
from app.domain.rules import Plan, Rule, clauses_in, difference, plan_rules
from app.sources.source import Selection
from app.sources.x_client import RULES, Client

log = logging.getLogger(__name__)

_BATCH = 100  # rules in one request; X has a limit for its size that it does not tell


class _Outcome(Struct):
    """What X made of rules that it was asked to add."""

    added: list[Rule] = []
    borrowed: bool = False  # X holds one of them for another program, which may remove it
    invalid: dict[Rule, str] = {}  # X does not understand them, and why
    left: dict[Rule, str] = {}  # the plan has no room for them, or X did not say what it has against them


class RuleKeeper:
    """The rules of one deployment at one account. `mark` begins the tags of its rules."""

    def __init__(self, client: Client, mark: str, most: int, length: int) -> None:
        self._client = client
        self._mark = mark
        self._most = most
        self._length = length
        self._unusable: dict[str, str] = {}  # clauses that X does not understand
        self._asked: list[Event] | None = None  # what `_selection` answers, while it stands
        self._selection = Selection()
        self._lock = asyncio.Lock()
        self._foreign: set[str] = set()  # ids of other programs' rules
        self._sharers: dict[str, tuple[str, ...]] = {}  # text of a rule -> the events that want it
        self._codes: dict[str, tuple[str, ...]] = {}  # id of a rule in force -> the same
        self.count: int | None = None  # rules of ours in force, once that is known

    async def select(self, events: Sequence[Event]) -> Selection:
        """Ask X for the posts of these events; no request if that is what it was asked for last. Raises Broken.

        Where X had no room for all, it is looked at again: others may have removed rules of theirs.
        """
        async with self._lock:
            wanted = [msgspec.structs.replace(event, history=()) for event in events]
            if wanted != self._asked:
                self._asked = None
                self._selection, settled = await self._ask_for(events)
                self._asked = wanted if settled else None
            return self._selection

    def codes(self, rule_id: str | None, tag: str) -> tuple[str, ...]:
        """The events that a rule in force is for: its tag's, or all that want it alike."""
        return self._codes.get(rule_id or "", (tag,))

    def forget(self) -> None:
        """What is in force has turned out to be something else: the next `select` looks at it."""
        self._asked = None

    async def _ask_for(self, events: Sequence[Event]) -> tuple[Selection, bool]:
        held, foreign = await self._read()
        plan = self._plan(events, held, foreign)
        outcome = await self._apply(held, plan, foreign)
        if outcome.invalid:
            await self._learn(outcome.invalid)
            plan = self._plan(events, held, foreign)
            outcome = await self._apply(held, plan, foreign)
        sharers = _sharers(plan)
        failed = _failed(outcome)
        behind = {code for rule in failed for code in sharers[rule.value]}
        await self._remove(held, difference(held, plan.rules).remove, keep=behind)
        self.count = len(held)
        self._codes = {rule.id: sharers.get(rule.value) or self._wanted_before(rule) for rule in held if rule.id}
        in_force = {rule.value for rule in held}
        asked = {code for value, codes in sharers.items() if value in in_force for code in codes}
        asked |= {code for rule in held for code in self._wanted_before(rule)} & behind
        self._sharers = sharers | {rule.value: self._wanted_before(rule) for rule in held if rule.value not in sharers}
        refused = {code: list(reasons) for code, reasons in plan.refused.items()}
        for rule, why in failed.items():
            for code in sharers[rule.value]:
                refused.setdefault(code, []).append(f"{rule.value[:80]}: {why}")
        versions = {event.code: event.version for event in events if event.code in asked - behind}
        earlier = {code: version for code, version in self._selection.versions.items() if code in asked & behind}
        selection = Selection(earlier | versions, {code: tuple(reasons) for code, reasons in refused.items()})
        return selection, not (failed or plan.full or outcome.borrowed)

    def _wanted_before(self, rule: Rule) -> tuple[str, ...]:
        return self._sharers.get(rule.value, (rule.tag,))

    def _plan(self, events: Sequence[Event], held: Sequence[Rule], foreign: int) -> Plan:
        return plan_rules(events, held, most=self._most - foreign, length=self._length, unusable=self._unusable)

    async def _read(self) -> tuple[list[Rule], int]:
        """Our rules in force, and the number of others."""
        ours: list[Rule] = []
        self._foreign = set()
        page: dict[str, Any] = await self._client.get_rules()
        while True:
            for item in page.get("data") or ():
                tag = item.get("tag") or ""
                if tag.startswith(self._mark) and ":" not in tag[len(self._mark) :]:
                    ours.append(Rule(tag[len(self._mark) :], item["value"], item["id"]))
                else:
                    self._foreign.add(item["id"])
            following = (page.get("meta") or {}).get("next_token")
            if not following:
                return ours, len(self._foreign)
            page = orjson.loads(await self._client.fetch("GET", RULES, {"pagination_token": following}))

    async def _apply(self, held: list[Rule], plan: Plan, foreign: int) -> _Outcome:
        """Add what is missing; remove only as many rules before as the plan of X makes necessary."""
        change = difference(held, plan.rules)
        room = self._most - foreign - len(held)
        if (lacking := len(change.add) - room) > 0 and change.remove:
            early = change.remove[:lacking]
            log.warning("%d rules are removed before others are added: X allows %d in all", len(early), self._most)
            await self._remove(held, early)
        outcome = _Outcome()
        for start in range(0, len(change.add), _BATCH):
            await self._add(change.add[start : start + _BATCH], outcome)
        held += outcome.added
        return outcome

    async def _add(self, rules: Sequence[Rule], outcome: _Outcome) -> None:
        pending = list(rules)
        while pending:
            answer = await self._client.add_rules([StreamRule(rule.value, self._mark + rule.tag) for rule in pending])
            rest, why = self._sorted_out(pending, answer, outcome)
            if not rest or len(rest) == len(pending):
                outcome.left |= dict.fromkeys(rest, why or "X did not take it, and did not say why")
                return
            if why:  # the plan is full: asking again would not help
                outcome.left |= dict.fromkeys(rest, why)
                return
            pending = rest  # one that X does not understand keeps it from taking the others

    def _sorted_out(
        self, asked: Sequence[Rule], answer: dict[str, Any], outcome: _Outcome
    ) -> tuple[list[Rule], str | None]:
        """The rules that the answer says nothing of, and what it says against all of them."""
        made = {(item.get("tag"), item["value"]): item["id"] for item in answer.get("data") or ()}
        errors = answer.get("errors") or ([answer] if "title" in answer else [])
        problems = {error["value"]: error for error in errors if error.get("value")}
        rest: list[Rule] = []
        for rule in asked:
            problem = problems.get(rule.value)
            if (name := made.get((self._mark + rule.tag, rule.value))) is not None:
                outcome.added.append(Rule(rule.tag, rule.value, name))
            elif problem is None or "cap" in problem.get("title", "").lower():
                rest.append(rule)
            elif "duplicate" in problem.get("title", "").lower():
                # Somebody was faster, or an answer was lost: it is in force all the same. What is another program's
                # must never be removed by us: it has no id here.
                twin = str(problem.get("id") or "")
                outcome.borrowed |= twin in self._foreign
                outcome.added.append(Rule(rule.tag, rule.value, "" if twin in self._foreign else twin))
            else:
                outcome.invalid[rule] = f"X does not understand it ({_reason(problem)})"
        full = next((error for error in errors if "cap" in error.get("title", "").lower()), None)
        if full is None:
            return rest, None
        return rest, f"X holds all rules that its plan allows ({_reason(full)}); STARLING_X_RULES may be too high"

    async def _learn(self, invalid: dict[Rule, str]) -> None:
        """Find which clauses of the rules X does not understand, without adding any."""
        for rule, why in invalid.items():
            clauses = clauses_in(rule)
            outcome = _Outcome()
            if len(clauses) > 1:
                probes = [Rule(rule.tag, clause) for clause in clauses]
                answer = await self._client.add_rules(
                    [StreamRule(probe.value, self._mark + probe.tag) for probe in probes], dry_run="true"
                )
                self._sorted_out(probes, answer, outcome)
            found = {probe.value: reason for probe, reason in outcome.invalid.items()}
            self._unusable |= found or dict.fromkeys(clauses, why)

    async def _remove(self, held: list[Rule], rules: Sequence[Rule], keep: set[str] | None = None) -> None:
        """Remove rules, but none of the events in `keep`: what should replace them is not in force."""
        going = [rule for rule in rules if rule.id and not (keep or set()).intersection(self._wanted_before(rule))]
        for start in range(0, len(going), _BATCH):
            await self._client.delete_rules([rule.id for rule in going[start : start + _BATCH]])
        gone = {rule.id for rule in going}
        held[:] = [rule for rule in held if rule.id not in gone]


def _sharers(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The events that want a rule, by its text."""
    found: dict[str, tuple[str, ...]] = {}
    for rule in plan.rules:
        found[rule.value] = (*found.get(rule.value, ()), rule.tag)
    return found


def _failed(outcome: _Outcome) -> dict[Rule, str]:
    return outcome.left | outcome.invalid


def _reason(problem: dict[str, Any]) -> str:
    details = problem.get("details") or problem.get("detail") or problem.get("title") or "no reason"
    text = details[0] if isinstance(details, list) and details else details
    return " ".join(str(text).split())[:160]
