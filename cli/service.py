"""Whom commands ask: the API of a server, or Kafka and Cassandra themselves.

`--direct` says the latter. Else the API is asked that `--url` (STARLING_URL) or `--context` (STARLING_CONTEXT) names,
or the context in use (`starling login`). Where none is named, Kafka is asked: on a machine with its own stack nobody
needs to sign in.

`cli.direct` and `cli.remote` have the same methods, and mypy sees to it: a command calls them without knowing which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import click
from click.core import ParameterSource

from app.errors import UserError
from cli import contexts
from cli.contexts import DIRECT, Context

if TYPE_CHECKING:
    from cli.direct import Direct
    from cli.remote import Remote

    Service: TypeAlias = Direct | Remote


def service() -> Service:
    """Whom the command that runs is to ask. Raises UserError, click.UsageError."""
    meant = server()
    if meant is None:
        from cli.direct import Direct  # noqa: PLC0415 - the drivers are slow to import

        return Direct()
    from cli.remote import Remote  # noqa: PLC0415 - as above

    return Remote(meant)


def server() -> Context | None:
    """The server whose API is meant; None where Kafka and Cassandra are. Raises UserError, click.UsageError."""
    typed = _typed()
    if typed.get("direct"):
        if named := [f"--{name}" for name in ("url", "token", "context") if _on_the_line(name)]:
            raise click.UsageError(f"--direct and {named[0]} exclude each other")
        return None
    url, token, name = (typed.get(one) or "" for one in ("url", "token", "context"))
    if url and name and _on_the_line("url") == _on_the_line("context"):
        raise click.UsageError("--url and --context exclude each other")
    found = _named(url, name)
    if found is None:
        if token:
            raise click.UsageError("a token needs --url, --context or a context in use: for which server is it?")
        return None
    return Context(found.url, contexts.check_token(token) if token else found.token)


def _named(url: str, name: str) -> Context | None:
    """The server that an address or name means; for an address the token that is known for it."""
    if url and not _on_the_line("context"):
        url = contexts.check_url(url)
        return next((one for one in contexts.read().contexts.values() if one.url == url), Context(url))
    known = contexts.read()
    name = name or known.current
    return None if name in ("", DIRECT) else contexts.find(known, name)


def on_this_machine() -> None:
    """Say that a command is about this machine alone. Raises click.UsageError where a server was named on its line."""
    if named := [f"--{name}" for name in ("url", "token", "context") if _on_the_line(name)]:
        raise click.UsageError(f"this command is about this machine alone: not with {named[0]}")


def only_direct(what: str) -> None:
    """Refuse what no API does, where one is meant: it would be done to another Starling. Raises UserError."""
    if server() is not None:
        raise UserError(
            f"{what} goes to Kafka and Cassandra themselves: `starling --direct …`, where they are reachable"
        )


def _typed() -> dict[str, Any]:
    """The options before the command; a command that is called without `starling` has none."""
    context = click.get_current_context(silent=True)
    root = context.find_root() if context is not None else None
    return root.params if root is not None and "direct" in root.params else {}


def _on_the_line(name: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and context.find_root().get_parameter_source(name) is ParameterSource.COMMANDLINE
