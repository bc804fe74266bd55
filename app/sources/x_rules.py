"""Keeps the rules in force at X as the events want them.

Rules are added before others are removed, and X puts a rule in force only some time after it has answered: so what new
rules replace is removed later still, and nothing that stays is missed. Only rules with our mark in their tag are ours;
others belong to other programs of the same account, and count against the same plan.

Whoever has the token may remove rules, and X tells nobody: they are read anew each time that they are asked for.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Collection, Sequence
from time import monotonic, time
from typing import Any

import orjson
from msgspec import Struct
from tweepy import StreamRule

from app.domain.events import Event
from app.domain.rules import Plan, Rule, clauses_in, difference, plan_rules
from app.sources.source import Broken, Selection, Sure, Trouble, need
from app.sources.x_client import RULES, Client

log = logging.getLogger(__name__)

_IN_FORCE_SECONDS = 30.0  # after the answer; X says that a rule may take 20 s
# Other programs of the account may make room, unseen: what X had no room for is tried again after so long.
_ROOM_SECONDS = 900.0
_BATCH = 100  # rules in one request; X has a limit for its size that it does not tell


class _Outcome(Struct):
    """What X made of rules that it was asked to add."""

    added: list[Rule] = []
    invalid: dict[Rule, str] = {}  # X does not understand them, and why
    left: dict[Rule, str] = {}  # the plan has no room for them, or X did not say what it has against them


class _Full(Struct, frozen=True):
    """X did not take all rules."""

    wanted: dict[str, int]  # the versions of the events that it was asked for
    rules: int  # that it had then
    left: dict[Rule, str]
    until: float  # monotonic: it is tried again then, or when it has fewer rules, or is asked for other events


class RuleKeeper:
    """The rules of one deployment at one account. `mark` begins the tags of its rules."""

    def __init__(self, client: Client, mark: str, most: int, length: int) -> None:
        self._client = client
        self._mark = mark
        self._most = most
        self._length = length
        self.unusable: dict[str, str] = {}  # clauses that X does not understand
        self._selection = Selection()
        self._seen_ms: int | None = None  # when the rules were read last
        self._lock = asyncio.Lock()
        self._sure: Sure = lambda: False  # of the `select` at hand
        self._foreign: dict[str, str] = {}  # id -> text of other programs' rules
        self._sharers: dict[str, tuple[str, ...]] = {}  # text of a rule in force -> the events that want it
        self._codes: dict[str, tuple[str, ...]] = {}  # id of a rule in force -> the same
        self._leaving: dict[str, float] = {}  # text of a rule in force -> when X had what replaces it (monotonic)
        self._added_ms: dict[str, int] = {}  # text of a rule -> when X was asked to add it
        self._full: _Full | None = None
        self.count: int | None = None  # rules of ours in force, once that is known

    async def select(self, events: Sequence[Event], sure: Sure) -> Selection:
        """Ask X for the posts of these events; one request if that is what its rules ask for. Raises Broken."""
        async with self._lock:
            self._sure = sure
            self._selection = await self._ask_for(events)
            return self._selection

    def codes(self, rule_id: str | None, tag: str) -> tuple[str, ...]:
        """The events that a rule in force is for: its tag's, or all that want it alike."""
        return self._codes.get(rule_id or "", (tag,))

    def added_ms(self) -> dict[str, int]:
        """When X was asked last to add a rule for an event, as far as that was here."""
        found: dict[str, int] = {}
        for value, codes in self._sharers.items():
            if (added := self._added_ms.get(value)) is not None:
                found |= {code: max(added, found.get(code, added)) for code in codes}
        return found

    def forget(self) -> None:
        """Another process may change the rules from now on: how long they have been in force says nothing any more."""
        self._leaving = dict.fromkeys(self._leaving, math.inf)

    async def _ask_for(self, events: Sequence[Event]) -> Selection:
        seen_ms = self._seen_ms
        held, foreign = await self._read()
        if self._lost(held):
            return self._left(held, "X no longer had its rule; another program may have removed it", seen_ms)
        standing = [rule for rule in held if rule.value not in self._leaving]
        most = self._most - foreign
        plan = plan_rules(events, standing, most=most, length=self._length, unusable=self.unusable)
        if early := self._early(held, plan, most):
            await self._remove(held, early)
            return self._left(held, "its rule has made room for others")
        outcome = await self._add_missing(held, plan, {event.code: event.version for event in events})
        if outcome.invalid:
            await self._learn(outcome.invalid)
            return await self._ask_for(events)
        held += outcome.added
        self._hold_on(held, outcome.added)
        sharers = _sharers(plan)
        behind = {code for rule in outcome.left for code in sharers[rule.value]}
        has_made_room = await self._take_back(held, plan, behind)
        self._know(held, sharers)
        asked = {code for rule in held if rule.value in sharers for code in sharers[rule.value]}
        kept = {code for rule in held for code in self._wanted_before(rule)} & behind
        refused = {code: list(reasons) for code, reasons in plan.refused.items()}
        for rule, why in outcome.left.items():
            for code in sharers[rule.value]:
                refused.setdefault(code, []).append(f"{rule.value[:80]}: {why}")
        versions = {event.code: event.version for event in events if event.code in asked - behind}
        earlier = {code: version for code, version in self._selection.versions.items() if code in kept}
        again = None
        if outcome.left and has_made_room:
            again = 0.0
        elif self._leaving:
            again = max(0.001, min(self._leaving.values()) + _IN_FORCE_SECONDS - monotonic())
        return Selection(earlier | versions, {code: tuple(why) for code, why in refused.items()}, again=again)

    async def _add_missing(self, held: Sequence[Rule], plan: Plan, wanted: dict[str, int]) -> _Outcome:
        """Add what is not in force; what X has not taken of the same lately is left."""
        there, full = len(held) + len(self._foreign), self._full
        if full is not None and (full.wanted != wanted or there < full.rules or monotonic() >= full.until):
            full = None
        theirs = set(self._foreign.values())
        outcome, new = _Outcome(), []
        for rule in difference(held, plan.rules).add:
            if rule.value in theirs:
                outcome.added.append(Rule(rule.tag, rule.value))
            elif full is not None and rule in full.left:
                outcome.left[rule] = full.left[rule]
            else:
                new.append(rule)
        for start in range(0, len(new), _BATCH):
            await self._add(new[start : start + _BATCH], outcome)
        if full is None and outcome.left:
            there += sum(bool(rule.id) for rule in outcome.added)
            full = _Full(wanted, there, outcome.left, monotonic() + _ROOM_SECONDS)
        self._full = full
        return outcome

    def _hold_on(self, held: Sequence[Rule], added: Sequence[Rule]) -> None:
        """A rule that leaves and asks for some of what was just added, as where an edit is undone, stands in for it."""
        new = {clause for rule in added for clause in clauses_in(rule)}
        before = [rule for rule in held if rule not in added]
        for rule in before:
            since = self._leaving.get(rule.value, math.inf)
            longer = [one for one in before if one is not rule and self._leaving.get(one.value, math.inf) >= since]
            alone = new.intersection(clauses_in(rule)).difference(*map(clauses_in, longer))
            if rule.value in self._leaving and alone:
                self._leaving[rule.value] = math.inf  # counted anew from now

    def _lost(self, held: Sequence[Rule]) -> list[str]:
        """The rules that were relied upon, and are gone."""
        there = {rule.value for rule in held} | set(self._foreign.values())
        return [value for value in self._sharers if value not in there and value not in self._leaving]

    def _left(self, held: Sequence[Rule], why: str, since_ms: int | None = None) -> Selection:
        """What is still asked for, now that only these rules are left."""
        gone = {value: self._sharers[value] for value in self._lost(held)}
        self._know(held, {})
        still = {code for value, codes in self._sharers.items() if value not in self._leaving for code in codes}
        refused = dict(self._selection.refused)
        for value, codes in gone.items():
            for code in still.intersection(codes):
                refused[code] = (*refused.get(code, ()), f"{value[:80]}: {why}")
        versions = {code: version for code, version in self._selection.versions.items() if code in still}
        return Selection(versions, refused, since_ms, again=0.0)

    def _know(self, held: Sequence[Rule], sharers: dict[str, tuple[str, ...]]) -> None:
        """Remember what is in force, and for whom."""
        self.count = len(held)
        self._sharers = {rule.value: sharers.get(rule.value) or self._wanted_before(rule) for rule in held}
        self._codes = {rule.id: self._sharers[rule.value] for rule in held if rule.id}
        self._added_ms = {value: added for value, added in self._added_ms.items() if value in self._sharers}

    def _wanted_before(self, rule: Rule) -> tuple[str, ...]:
        return self._sharers.get(rule.value, (rule.tag,))

    def _needless_since(self, rule: Rule, codes: Collection[str], now: float) -> float:
        """When X had what replaces a rule of no use to these events: always, where none of them wanted it."""
        if not set(codes).intersection(self._wanted_before(rule)):
            return -math.inf
        return min(self._leaving.get(rule.value, now), now)

    def _early(self, held: Sequence[Rule], plan: Plan, most: int) -> list[Rule]:
        """The rules that have to go before others can come; no more than X's plan makes necessary."""
        change = difference(held, plan.rules)
        lacking = max(0, len(held) + len(change.add) - most)
        now, codes = monotonic(), {rule.tag for rule in plan.rules}
        since = {rule: self._needless_since(rule, codes, now) for rule in change.remove}
        early = sorted(change.remove, key=lambda rule: (since[rule], rule.value not in self._leaving))[:lacking]
        if needed := sum(now - since[rule] < _IN_FORCE_SECONDS for rule in early):
            log.warning("%d rules are removed before others are in force: X allows %d in all", needed, self._most)
        return early

    async def _take_back(self, held: list[Rule], plan: Plan, behind: Collection[str]) -> bool:
        """Remove what is not wanted any more, once what replaces it is in force; whether there was any such rule."""
        now, codes = monotonic(), {rule.tag for rule in plan.rules}
        needless: dict[Rule, float] = {}
        for rule in difference(held, plan.rules).remove:
            if rule.value not in self._leaving and set(behind).intersection(self._wanted_before(rule)):
                continue  # X has not taken what replaces it
            needless[rule] = self._needless_since(rule, codes, now)
        self._leaving = {rule.value: since for rule, since in needless.items()}
        going = [rule for rule, since in needless.items() if now - since >= _IN_FORCE_SECONDS]
        await self._remove(held, going)
        for rule in going:
            del self._leaving[rule.value]
        return bool(going)

    async def _read(self) -> tuple[list[Rule], int]:
        """Our rules in force, and the number of others."""
        ours: list[Rule] = []
        self._foreign = {}
        asked_ms = int(time() * 1000)  # what goes while X answers may have been read still
        page: dict[str, Any] = await self._client.get_rules()
        came_by = None
        while True:
            listed = _rules_in(page)
            if not listed and (problems := _errors_in(page)):
                raise Broken(Trouble.HTTP, f"X does not tell its rules ({_reason(problems[0])})")
            for item in listed:
                tag = item.get("tag") or ""
                if tag.startswith(self._mark) and ":" not in tag[len(self._mark) :]:
                    ours.append(Rule(tag[len(self._mark) :], item["value"], item["id"]))
                else:
                    self._foreign[item["id"]] = item["value"]
            following = _following(page)
            if not following:
                self._seen_ms = asked_ms
                return ours, len(self._foreign)
            if following == came_by:
                raise Broken(Trouble.HTTP, "X tells a page of its rules again and again")
            came_by = following
            page = orjson.loads(await self._client.fetch("GET", RULES, {"pagination_token": following}))

    async def _add(self, rules: Sequence[Rule], outcome: _Outcome) -> None:
        pending = list(rules)
        while pending:
            need(self._sure)
            self._added_ms |= dict.fromkeys((rule.value for rule in pending), int(time() * 1000))
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
        made = {(item.get("tag"), item["value"]): item["id"] for item in _rules_in(answer)}
        errors = _errors_in(answer)
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
            self.unusable |= found or dict.fromkeys(clauses, why)

    async def _remove(self, held: list[Rule], rules: Sequence[Rule]) -> None:
        """Remove rules of ours."""
        going = [rule for rule in rules if rule.id]
        for start in range(0, len(going), _BATCH):
            need(self._sure)
            await self._client.delete_rules([rule.id for rule in going[start : start + _BATCH]])
        gone = {rule.id for rule in going}
        held[:] = [rule for rule in held if rule.id not in gone]


def _rules_in(answer: Any) -> list[dict[str, Any]]:
    """The rules that an answer of X lists. Raises Broken where it lists them in no form that is known."""
    listed = (answer.get("data") or []) if isinstance(answer, dict) else None
    if not isinstance(listed, list) or not all(map(_is_rule, listed)):
        raise Broken(Trouble.HTTP, "X tells its rules in a form that is not known")
    return listed


def _is_rule(item: Any) -> bool:
    return isinstance(item, dict) and {"id", "value"} <= item.keys() and _is_text(item, "id", "value", "tag")


def _errors_in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What it has against rules, as far as it says so in a form that is known."""
    errors = answer.get("errors") or ([answer] if "title" in answer else [])
    listed = errors if isinstance(errors, list) else []
    return [error for error in listed if isinstance(error, dict) and _is_text(error, "title", "value")]


def _is_text(item: dict[str, Any], *names: str) -> bool:
    return all(isinstance(item.get(name, ""), str) for name in names)


def _following(page: dict[str, Any]) -> str | None:
    meta = page.get("meta")
    token = meta.get("next_token") if isinstance(meta, dict) else None
    return token if isinstance(token, str) else None


def _sharers(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The events that want a rule, by its text."""
    found: dict[str, tuple[str, ...]] = {}
    for rule in plan.rules:
        found[rule.value] = (*found.get(rule.value, ()), rule.tag)
    return found


def _reason(problem: dict[str, Any]) -> str:
    details = problem.get("details") or problem.get("detail") or problem.get("title") or "no reason"
    text = details[0] if isinstance(details, list) and details else details
    return " ".join(str(text).split())[:160]
