"""X's rule language: a rule's text is parsed into tests of a post, or refused in the words of X.

Words stand beside each other for AND, which binds more than OR; `-` negates; parentheses group. Every branch of a rule
needs something that can stand alone: `lang:en`, `has:…`, `is:…` and what is negated cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from app.simulator.seen import Seen
from app.simulator.terms import OPERATORS, SIGNS, BadTerm, check_chars, phrase

Test = Callable[[Seen], bool]

_OPERATOR = re.compile(r"([A-Za-z_]+):")
_LEX = re.compile(
    r'(?P<open>\()|(?P<close>\))|(?P<minus>-)(?=\S)|"(?P<phrase>[^"]*)"'
    r'|(?P<term>(?:[A-Za-z_]+:)?(?:"[^"]*"|\[[^\]]*\]|[^\s()"]+))'
)


class InvalidRule(Exception):
    """The text is no rule; the message is one of X's."""


class Node(Struct, frozen=True):
    """A part of a rule: its test, and whether it can stand alone."""

    test: Test
    stands: bool


def parse(text: str) -> Test:
    """The test that a rule makes of a post. Raises InvalidRule."""
    try:
        reader = _Reader(text)
        node = reader.either()
    except RecursionError:
        raise InvalidRule("Rules may not be nested that deep (at position 1)") from None
    if not reader.ended:
        raise InvalidRule(f"extraneous input ')' expecting <EOF> (at position {reader.position})")
    if not node.stands:
        raise InvalidRule(
            "Rules must contain at least one positive, standalone operator in each clause (at position 1)"
        )
    return node.test


class _Reader:
    """Recursive descent over the tokens of a rule."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._next = self._read()

    @property
    def ended(self) -> bool:
        return self._next is None

    @property
    def position(self) -> int:
        """Of the next token, counted from 1."""
        return self._start + 1

    def _read(self) -> re.Match[str] | None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        self._start = self._at
        if self._at == len(self._text):
            return None
        found = _LEX.match(self._text, self._at)
        if found is None:
            raise InvalidRule(
                f"no viable alternative at character '{self._text[self._at]}' (at position {self.position})"
            )
        self._at = found.end()
        return found

    def either(self) -> Node:
        """Clauses with OR between them."""
        clauses = [self._all()]
        while self._next is not None and self._next["term"] == "OR":
            self._next = self._read()
            clauses.append(self._all())
        if len(clauses) == 1:
            return clauses[0]
        tests = [clause.test for clause in clauses]
        return Node(lambda seen: any(test(seen) for test in tests), all(clause.stands for clause in clauses))

    def _all(self) -> Node:
        """Terms beside each other."""
        nodes: list[Node] = []
        while self._next is not None and not self._next["close"] and self._next["term"] != "OR":
            nodes.append(self._one())
        if not nodes:
            what = "<EOF>" if self._next is None else self._next[0].strip()
            raise InvalidRule(f"no viable alternative at input '{what}' (at position {self.position})")
        if len(nodes) == 1:
            return nodes[0]
        tests = [node.test for node in nodes]
        return Node(lambda seen: all(test(seen) for test in tests), any(node.stands for node in nodes))

    def _one(self) -> Node:
        token, position = self._next, self.position
        if token is None:
            raise InvalidRule(f"no viable alternative at input '<EOF>' (at position {position})")
        self._next = self._read()
        if token["minus"]:
            negated = self._one().test
            return Node(lambda seen: not negated(seen), False)
        if token["open"]:
            inner = self.either()
            if self._next is None or not self._next["close"]:
                raise InvalidRule(f"missing ')' at '<EOF>' (at position {self.position})")
            self._next = self._read()
            return inner
        try:
            return Node(phrase(token["phrase"]), True) if token["phrase"] is not None else _term(token["term"])
        except BadTerm as wrong:
            raise InvalidRule(f"{wrong} (at position {position})") from None


def _term(text: str) -> Node:
    if found := _OPERATOR.match(text):
        name, value = found[1], text[found.end() :].strip('"')
        if name not in OPERATORS:
            raise BadTerm(
                f"Reference to invalid operator '{name}'. Operator is not available in current product or product "
                "packaging. Please refer to complete available operator list"
            )
        make, stands = OPERATORS[name]
        return Node(make(value), stands)
    if text[0] in SIGNS and len(text) > 1:
        return Node(SIGNS[text[0]](text[1:]), True)
    if text.casefold() in ("and", "or"):
        raise BadTerm(
            f'Ambiguous use of {text} as a keyword. Use a space to logically join two clauses, or "{text}" to find '
            f"occurrences of {text} in text"
        )
    check_chars(text)
    return Node(phrase(text), True)
