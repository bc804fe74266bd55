"""Whom commands ask: what is typed stands above what is set, and nothing is sent elsewhere than was meant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

import cli
from app.domain.events import Event
from app.domain.people import Person, Rank
from app.errors import UserError
from cli import contexts
from cli.contexts import Context, Contexts

LAB, HOME = Context("http://lab:1", "token-of-lab"), Context("http://home:2", "token-of-home")


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> list[Context | None]:
    """Whom `starling event list` asked, each time; two servers are known."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    contexts.update(lambda _: Contexts("", {"lab": LAB, "home": HOME}))
    found: list[Context | None] = []

    class Asked:
        def __init__(self, server: Context | None = None) -> None:
            found.append(server)

        async def events(self) -> dict[str, Event]:
            return {code: Event(code=code, name=code, owners=("ann",)) for code in ("storm", "flood")}

        async def rank(self, name: str, rank: Rank) -> Person:
            return Person(name=name, rank=rank, added=datetime(2026, 5, 1, tzinfo=UTC), by="a test")

    monkeypatch.setattr("cli.remote.Remote", Asked)
    monkeypatch.setattr("cli.direct.Direct", Asked)
    return found


def run(*args: str, **variables: str) -> Result:
    return CliRunner().invoke(cli.starling, args, env=variables)


def use(name: str) -> None:
    contexts.update(lambda known: Contexts(name, known.contexts))


@pytest.mark.parametrize(
    ("args", "variables", "in_use", "server"),
    [
        ((), {}, "", None),
        ((), {}, "lab", LAB),
        (("--direct",), {}, "lab", None),
        (("--direct",), {"STARLING_URL": HOME.url, "STARLING_TOKEN": "x"}, "lab", None),
        ((), {"STARLING_URL": "http://other:3"}, "lab", Context("http://other:3")),
        ((), {"STARLING_URL": HOME.url + "/"}, "lab", HOME),
        (("--url", HOME.url), {"STARLING_CONTEXT": "lab"}, "", HOME),
        (("--context", "home"), {"STARLING_URL": LAB.url}, "", HOME),
        (("--context", "direct"), {}, "lab", None),
        ((), {"STARLING_CONTEXT": "home"}, "lab", HOME),
        (("--token", "mine"), {}, "lab", Context(LAB.url, "mine")),
        (("--url", "http://other:3"), {"STARLING_TOKEN": "mine"}, "", Context("http://other:3", "mine")),
    ],
)
def test_whom_a_command_asks(
    asked: list[Context | None],
    args: tuple[str, ...],
    variables: dict[str, str],
    in_use: str,
    server: Context | None,
) -> None:
    use(in_use)
    ran = run(*args, "event", "list", **variables)
    assert (ran.exit_code, asked) == (0, [server]), ran.output


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--direct", "--url", LAB.url, "event", "list"), "--direct and --url exclude each other"),
        (("--url", LAB.url, "--context", "lab", "event", "list"), "--url and --context exclude each other"),
        (("--token", "x", "event", "list"), "for which server is it?"),
        (("--url", LAB.url, "up"), "this command is about this machine alone: not with --url"),
        (("--context", "lab", "worker"), "this command is about this machine alone: not with --context"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(args: tuple[str, ...], words: str) -> None:
    ran = run(*args)
    assert ran.exit_code == 2
    assert words in ran.output


@pytest.mark.parametrize("args", [("index", "status"), ("migrate",), ("replay", __file__), ("notify", "test")])
def test_what_no_api_does_is_not_done_to_another_starling(args: tuple[str, ...]) -> None:
    use("lab")
    refused = run(*args).exception
    assert isinstance(refused, UserError)
    assert "goes to Kafka and Cassandra themselves" in str(refused)


def test_a_file_of_something_else_is_told() -> None:
    contexts.path().write_text("[]")
    with pytest.raises(UserError, match="is not what `starling login` writes"):
        contexts.read()
    with pytest.raises(UserError):
        contexts.update(lambda known: known)
    assert contexts.path().read_text() == "[]", "it is left as it is"
    assert [one.name for one in contexts.path().parent.iterdir() if one.name not in ("contexts.lock",)] == [
        "contexts.json"
    ]


def test_who_is_added_without_a_server_is_said_to_own_what_names_them() -> None:
    ran = run("user", "add", "ann")
    assert (ran.exit_code, ran.stderr) == (0, "ann owns flood, storm\n")
    assert run("user", "add", "ben").stderr == ""
