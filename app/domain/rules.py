"""Rules of X's filtered stream for a set of events: which, how packed, and what changes from those in force.

A rule holds clauses of one event (`x_language`) with OR between, and the event's languages; its tag is the event's
code. Rules in force are kept as they are while all that they ask for is still wanted, so an edit of one keyword
replaces one rule or two of its event, and none of another event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from app.domain.events import Event
from app.domain.x_language import clauses_of, language_clause

# Begins the tag of every rule of Starling's: `starling:CODE`, or `starling:PREFIX:CODE` where topics have a prefix.
TAG_MARK = "starling:"
_OR = " OR "
# `language_clause` behind the clauses; no clause has it, since a keyword of that kind stands in quotes.
_RESTRICTED = re.compile(r"\((.*)\) (?:lang:[\w-]+|\(lang:[\w-]+(?: OR lang:[\w-]+)*\))")


class Rule(Struct, frozen=True):
    """A rule, with the id that X has given it once it is in force."""

    tag: str  # the event's code
    value: str
    id: str = ""


def code_of_tag(tag: object) -> str | None:
    """The event that a rule's tag names; None where the rule is not Starling's."""
    return tag.rpartition(":")[2] if isinstance(tag, str) and tag.startswith(TAG_MARK) else None


class Plan(Struct, frozen=True):
    """The rules to have in force, and what is not asked for: event code -> selectors, each with the reason."""

    rules: tuple[Rule, ...] = ()
    refused: dict[str, tuple[str, ...]] = {}


class Difference(Struct, frozen=True):
    """What to change at X."""

    add: tuple[Rule, ...] = ()
    remove: tuple[Rule, ...] = ()


class _Asked(Struct):
    """An event on its way into rules."""

    code: str
    languages: str
    length: int  # characters that a rule may have
    room: int  # of these, without the languages
    clauses: list[str]
    selectors: dict[str, list[str]]  # clause -> what of the event it is for; "c++" and "#c++" share one
    refused: list[str]
    fresh: list[list[str]] = []  # packed without a look at the rules in force

    def rules(self, packed: Iterable[Sequence[str]]) -> list[Rule]:
        return [self.rule(clauses) for clauses in packed]

    def rule(self, clauses: Iterable[str]) -> Rule:
        body = _OR.join(clauses)
        return Rule(self.code, f"({body}) {self.languages}" if self.languages else body)


def plan_rules(
    events: Sequence[Event],
    in_force: Sequence[Rule] = (),
    *,
    most: int,
    length: int,
    unusable: Mapping[str, str] | None = None,
) -> Plan:
    """Rules for the events, at most `most` of at most `length` characters each.

    `in_force`: rules of these events that are to be kept where they fit. `unusable`: clauses that X has refused, and
    why. If the events need more rules than there may be, each gets what it needs or else an equal share, its first
    selectors first.
    """
    asked = [_asked(event, length, unusable or {}) for event in sorted(events, key=lambda event: event.code)]
    for one, share in zip(asked, fair_shares([len(one.fresh) for one in asked], most), strict=True):
        _leave_out(one, share, most)
    existing: dict[str, list[Rule]] = {}
    for rule in in_force:
        existing.setdefault(rule.tag, []).append(rule)
    packed = [_kept_and_new(one, existing.get(one.code, [])) for one in asked]
    surplus = sum(map(len, packed)) - most
    for at in sorted(range(len(asked)), key=lambda at: len(asked[at].fresh) - len(packed[at])):
        if surplus <= 0:
            break
        surplus -= len(packed[at]) - len(asked[at].fresh)
        packed[at] = asked[at].rules(asked[at].fresh)
    return Plan(
        tuple(rule for rules in packed for rule in rules),
        {one.code: tuple(one.refused) for one in asked if one.refused},
    )


def difference(in_force: Sequence[Rule], wanted: Sequence[Rule]) -> Difference:
    """What to add and what to remove, in a stable order; a rule that X holds twice is removed once.

    X takes a text once, whatever its tag: what two events want alike is one rule, under the tag of either.
    """
    values = {rule.value for rule in wanted}
    exact = {(rule.tag, rule.value) for rule in wanted}
    held: set[str] = set()
    remove: list[Rule] = []
    for rule in sorted(in_force, key=lambda rule: (rule.tag, rule.value) not in exact):
        name = (rule.tag, rule.value)
        if name in exact:
            exact.discard(name)
            held.add(rule.value)
        elif rule.value in values and rule.value not in held:
            held.add(rule.value)
        else:
            remove.append(rule)
    add = {rule.value: rule for rule in reversed(wanted) if rule.value not in held}
    removed = set(map(id, remove))
    return Difference(tuple(reversed(add.values())), tuple(rule for rule in in_force if id(rule) in removed))


def clauses_in(rule: Rule) -> list[str]:
    """The clauses of a rule that `plan_rules` has made; of any other rule, some texts."""
    restricted = _RESTRICTED.fullmatch(rule.value)
    return list(_alternatives(restricted[1] if restricted else rule.value))


def split(rule: Rule) -> list[Rule]:
    """A rule that `plan_rules` has made as one rule for each of its clauses."""
    restricted = _RESTRICTED.fullmatch(rule.value)
    if restricted is None:
        return [Rule(rule.tag, clause) for clause in _alternatives(rule.value)]
    languages = rule.value[restricted.end(1) + len(") ") :]
    return [Rule(rule.tag, f"({clause}) {languages}") for clause in _alternatives(restricted[1])]


def fair_shares(needs: Sequence[int], most: int) -> list[int]:
    """As many as each needs, or else an equal share of what is left; the first ones get the remainder."""
    shares = [0] * len(needs)
    left = most
    for done, at in enumerate(sorted(range(len(needs)), key=lambda at: (needs[at], -at))):
        shares[at] = min(needs[at], left // (len(needs) - done))
        left -= shares[at]
    return shares


def _asked(event: Event, length: int, unusable: Mapping[str, str]) -> _Asked:
    languages = language_clause(event.languages)
    room = length - (len(languages) + len("() ") if languages else 0)
    clauses, refused = clauses_of(event)
    selectors: dict[str, list[str]] = {}
    for clause in clauses:
        if (why := unusable.get(clause.text)) is not None:
            refused.append(f"{clause.selector}: {why}")
        elif len(clause.text) > room:
            refused.append(f"{clause.selector}: it needs more than the {length} characters that X allows")
        else:
            selectors.setdefault(clause.text, []).append(clause.selector)
    one = _Asked(event.code, languages, length, room, list(selectors), selectors, refused)
    one.fresh = _pack(one.clauses, room)
    return one


def _leave_out(one: _Asked, share: int, most: int) -> None:
    left_out = [selector for clauses in one.fresh[share:] for clause in clauses for selector in one.selectors[clause]]
    one.refused += [f"{selector}: all {most} rules of the X plan are in use" for selector in dict.fromkeys(left_out)]
    one.fresh = one.fresh[:share]
    one.clauses = [clause for clauses in one.fresh for clause in clauses]


def _kept_and_new(one: _Asked, existing: Sequence[Rule]) -> list[Rule]:
    wanted = dict.fromkeys(one.clauses)
    kept: list[Rule] = []
    for rule in sorted(existing, key=lambda rule: rule.value):
        clauses = clauses_in(rule)
        fits = len(rule.value) <= one.length and rule.value == one.rule(dict.fromkeys(clauses)).value
        if fits and all(clause in wanted for clause in clauses):
            kept.append(rule)
            for clause in clauses:
                del wanted[clause]
    new = list(wanted)
    if new and kept:
        # So that rules which lost most of their clauses do not pile up, one that is half empty takes the new ones in.
        emptiest = min(kept, key=lambda rule: len(rule.value))
        if len(emptiest.value) <= one.length // 2:
            kept.remove(emptiest)
            new = clauses_in(emptiest) + new
    return kept + one.rules(_pack(new, one.room))


def _pack(clauses: Sequence[str], room: int) -> list[list[str]]:
    """Each clause in the first rule that has room for it."""
    rules: list[list[str]] = []
    left: list[int] = []
    for clause in clauses:
        needs = len(clause) + len(_OR)
        at = next((at for at, free in enumerate(left) if free >= needs), len(rules))
        if at == len(rules):
            rules.append([])
            left.append(room + len(_OR))
        rules[at].append(clause)
        left[at] -= needs
    return rules


def _alternatives(body: str) -> Iterator[str]:
    """The parts between those ORs that stand in no parenthesis and no phrase."""
    depth = start = at = 0
    quoted = False
    while at < len(body):
        char = body[at]
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "()":
            depth += 1 if char == "(" else -1
        elif not quoted and depth == 0 and body.startswith(_OR, at):
            yield body[start:at]
            at = start = at + len(_OR)
            continue
        at += 1
    yield body[start:]
