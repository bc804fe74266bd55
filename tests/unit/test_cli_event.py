"""`starling event` with a manager in memory: what people type, what they read, and the status that scripts see."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import cli
import cli.event
from app.clients.event_commands import NoAnswer
from app.domain.coverage import LOST, SourceStatus
from app.domain.decisions import Answer, Command, Refused, decide
from app.domain.events import Event
from app.domain.rematch import Progress, Stretch
from app.domain.wishes import Heard
from cli.direct import Direct
from cli.event_rematch import heard_lines
from tests.support.commands import Ran, run_here

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
COLUMNS = 80


class Manager:
    """Decides as the manager does, and keeps the events."""

    def __init__(self) -> None:
        self.standing: dict[str, Event] = {}
        self.rematching: dict[str, Progress] = {}
        self.asked: list[Command] = []
        self.silent = False
        self.told: list[SourceStatus] = []

    async def ask(self, command: Command) -> Answer:
        self.asked.append(command)
        if self.silent:
            raise NoAnswer(command, 20)
        try:
            event = decide(command, self.standing.get(command.code))
        except Refused as refused:
            return Answer(id=command.id, code=command.code, accepted=False, reason=refused.reason, message=str(refused))
        if event.status == "purging":
            del self.standing[command.code]
        else:
            self.standing[command.code] = event
        return Answer(id=command.id, code=command.code, accepted=True, version=event.version)

    async def statuses(self) -> list[SourceStatus]:
        return self.told

    async def events(self) -> dict[str, Event]:
        return dict(self.standing)

    async def event(self, code: str) -> Event:
        return await Direct.event(self, code)  # type: ignore[arg-type]

    async def progress(self, code: str) -> Progress | None:
        return self.rematching.get(code)

    async def refresh(self, _: str) -> int:
        return 6


class Stdin(io.BytesIO):
    name = "<stdin>"


Run = Callable[..., Ran]


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    made = Manager()
    monkeypatch.setattr(cli.event, "service", lambda: made)
    return made


@pytest.fixture
def run(manager: Manager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    monkeypatch.setattr(cli.event, "prepare", lambda: None)
    monkeypatch.setenv("COLUMNS", str(COLUMNS))

    def starling_event(*args: str, typed: str = "") -> Ran:
        return run_here(monkeypatch, capsys, "event", *args, stdin=io.TextIOWrapper(Stdin(typed.encode())))

    yield starling_event


@pytest.fixture
def flood(run: Run, manager: Manager) -> Event:
    assert run("create", "Boulder Flood", "-k", "boulder, flood", "--language", "en").status == 0
    return manager.standing["boulder-flood"]


def test_an_event_is_created_shown_edited_and_has_a_history(run: Run, manager: Manager) -> None:
    made = run("create", "2012 Hurricane Sandy", "-k", 'sandy, "storm surge"', "--account", "@NHC", "--why", "warned")
    assert (made.status, made.err) == (0, "")
    assert made.out.startswith("created event 2012-hurricane-sandy (version 1, active); it hears what was said since ")
    event = manager.standing["2012-hurricane-sandy"]
    assert event.keywords == ("sandy", '"storm surge"')
    assert event.accounts == ("nhc",)
    assert '"storm surge"' in run("show", "2012-hurricane-sandy").out
    edited = run("edit", "2012-hurricane-sandy", "--add-keyword", "nyc", "--remove-keyword", "SANDY")
    offer = "`starling event rematch 2012-hurricane-sandy` hears the past for what is new"
    assert edited == (0, f"edited event 2012-hurricane-sandy (version 2); {offer}\n", "")
    assert manager.standing["2012-hurricane-sandy"].keywords == ('"storm surge"', "nyc")
    lines = run("history", "2012-hurricane-sandy").out
    for shown in ("create", "warned", "keywords - sandy", "keywords + nyc"):
        assert shown in lines
    listed = run("list").out.splitlines()
    assert listed[0].split() == ["code", "status", "version", "selects", "languages"]
    assert listed[1].split()[:3] == ["2012-hurricane-sandy", "active", "2"]


def test_json_has_stable_keys(run: Run, flood: Event) -> None:
    created = json.loads(run("create", "Other", "-k", "x", "--json").out)
    assert created.keys() == {"id", "code", "accepted", "version", "reason", "message"}
    refused = run("create", "Other", "-k", "x", "--json")
    assert refused.error == "event 'other' exists"
    assert json.loads(refused.out) | {"accepted": False, "reason": "exists"} == json.loads(refused.out)
    invalid = run("create", "Other", "-k", "x, ", "--json")
    assert json.loads(invalid.out)["reason"] == "invalid"
    (first, _) = json.loads(run("list", "--json").out)
    shown = json.loads(run("show", flood.code, "--json").out)
    assert shown.keys() - first.keys() == {"history", "rematch", "heard", "refused"}
    (change,) = json.loads(run("history", flood.code, "--json").out)
    assert change.keys() == {"version", "at", "who", "action", "why", "changed", "command"}


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["create", "X", "-k", "boulder, "], "'boulder, ' holds a blank keyword, which would match every post"),
        (["create", "X"], "an event needs at least one keyword, account or box"),
        (["create", "  ", "-k", "x"], "the name is blank"),
        (["create", "洪水", "-k", "x"], "no code can be made of the name '洪水'"),
        (["create", "X", "-k", "x", "--code", "No Code"], "code 'No Code': 1 to 63 of a-z, 0-9 and hyphens inside"),
        (["create", "X", "-k", "x", "--box", "10,50,5,40"], "box 10.0,50.0,5.0,40.0 is not west,south,east,north"),
        (["create", "X", "-k", "x", "--language", "english"], "language 'english' is not a code such as en"),
        (["create", "X", "-k", "x", "--start", "soon"], "--start 'soon' is no time"),
        (["create", "X", "-k", "x", "--start", "now+2h", "--end", "now+1h"], "the end is not after the start"),
        (["create", "X", "-k", 'x "y'], "keyword 'x \"y' has a quote that is not closed"),
        (["create", "X", "-k", "y,Y"], "keyword 'Y' is the same as 'y'"),
        (["create", "X", "-k", "x", "--code", "boulder-flood"], "event 'boulder-flood' exists"),
        (["show", "nothing"], "there is no event 'nothing'; `starling event list` shows all"),
        (["history", "nothing"], "there is no event 'nothing'"),
        (["edit", "nothing", "-k", "x"], "there is no event 'nothing'"),
        (["edit", "nothing", "--add-keyword", "x"], "there is no event 'nothing'"),
        (["edit", "boulder-flood"], "nothing to edit: say what to change"),
        (["edit", "boulder-flood", "-k", "boulder,flood"], "the edit changes nothing"),
        (["edit", "boulder-flood", "--add-keyword", "Flood"], "keyword 'Flood' is the same as 'flood'"),
        (["edit", "boulder-flood", "--remove-keyword", "fire"], "event 'boulder-flood' has no keyword 'fire'"),
        (["edit", "boulder-flood", "--clear", "keywords"], "an event needs at least one keyword, account or box"),
        (["edit", "boulder-flood", "--clear", "keywords", "-k", "x"], "--clear keywords and a new value for it"),
        (["edit", "boulder-flood", "--add-keyword", "x", "-k", "y"], "-k, --keywords-file and --clear replace all"),
        (["edit", "boulder-flood", "--clear", "keywords", "--keywords-file", "-"], "<stdin> holds no keyword"),
        (["edit", "boulder-flood", "--name", "X", "--version", "7"], "event 'boulder-flood' is at version 1, not 7"),
        (["resume", "boulder-flood"], "event 'boulder-flood' is active: it cannot be resumed"),
        (["delete", "boulder-flood"], "event 'boulder-flood' is active: it cannot be deleted; stop it first"),
        (["purge", "Boulder Flood"], "code 'Boulder Flood': 1 to 63"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_1(run: Run, flood: Event, args: list[str], error: str) -> None:
    ran = run(*args)
    assert ran.status == 1
    assert error in ran.error


def test_typing_errors_need_no_manager(run: Run, manager: Manager) -> None:
    run("create", "X", "-k", "x, ")
    run("create", "X", "-k", "x", "--language", "english")
    run("edit", "x", "--box", "1,2")
    assert manager.asked == []


def test_wrong_usage_is_status_2(run: Run) -> None:
    assert run("create").status == 2
    assert run("list", "--status", "gone").status == 2


def test_no_answer_says_that_the_command_was_sent(run: Run, manager: Manager, flood: Event) -> None:
    manager.silent = True
    ran = run("pause", flood.code)
    assert ran.status == 69
    assert f"the command was sent (id {manager.asked[-1].id}) and may still be carried out" in ran.error
    assert "`starling status`" in ran.error


def test_an_edit_of_single_keywords_expects_the_version_that_it_read(run: Run, manager: Manager, flood: Event) -> None:
    run("edit", flood.code, "--add-keyword", "creek")
    assert manager.asked[-1].expected_version == flood.version
    run("edit", flood.code, "-k", "all new")
    assert manager.asked[-1].expected_version is None


def test_what_it_looked_for_at_a_moment_is_told(run: Run, manager: Manager, flood: Event) -> None:
    first = flood.history[0]
    early = msgspec.structs.replace(first, at=first.at - timedelta(hours=2))
    run("edit", flood.code, "-k", "dike")
    stands = manager.standing[flood.code]
    manager.standing[flood.code] = msgspec.structs.replace(stands, history=(early, *stands.history[1:]))
    then = json.loads(run("history", flood.code, "--at", "1h", "--json").out)
    assert (then["keywords"], then["status"], then["version"]) == (["boulder", "flood"], "active", 1)
    assert "boulder, flood" in run("history", flood.code, "--at", "1h").out
    assert "dike" in run("history", flood.code, "--at", "0s").out
    assert run("history", flood.code, "--at", "3h").error == "event 'boulder-flood' did not exist then"
    assert run("history", flood.code, "--at", "yesterday").error.startswith("--at 'yesterday' is no time")


def test_owners_are_named_and_shown(run: Run, manager: Manager, flood: Event) -> None:
    assert run("own", flood.code, "ben", "ada").out == "event boulder-flood is owned by ben, ada (version 2)\n"
    assert manager.standing[flood.code].owners == ("ben", "ada")
    assert "ben, ada" in run("show", flood.code).out
    assert run("own", flood.code, " ").status == 1
    assert run("own", flood.code).status == 2


def test_fields_are_cleared(run: Run, manager: Manager, flood: Event) -> None:
    run("edit", flood.code, "--end", "2030-01-01T00:00Z")
    assert run("edit", flood.code, "--clear", "languages", "--clear", "end").status == 0
    cleared = manager.standing[flood.code]
    assert (cleared.languages, cleared.end, cleared.keywords) == ((), None, flood.keywords)


@pytest.mark.parametrize("action", ["delete", "purge"])
def test_deleting_asks_for_the_code(run: Run, manager: Manager, flood: Event, action: str) -> None:
    run("stop", flood.code)
    for typed in ("", "\n", "yes\n", "Boulder Flood\n"):
        refused = run(action, flood.code, typed=typed)
        assert refused.status == 1
        assert refused.err.splitlines()[-1] == "starling: not confirmed, nothing was done (--yes does not ask)"
    assert manager.standing[flood.code].status == "stopped"
    assert run(action, flood.code, typed=f"{flood.code}\n").status == 0
    assert [command.action for command in manager.asked][-1] == action


def test_a_deleted_event_keeps_its_rows_and_is_hidden(run: Run, flood: Event) -> None:
    run("stop", flood.code)
    deleted = run("delete", flood.code, "--yes")
    assert "its rows stay and its code stays taken, `starling event purge boulder-flood` removes both" in deleted.out
    assert run("list").out == "no events (1 deleted: --all)\n"
    assert "deleted" in run("list", "--all").out
    assert "deleted" in run("list", "--status", "deleted").out
    assert run("purge", flood.code, "--yes").status == 0
    assert run("list", "--all").out == "no events\n"


def asked_since(manager: Manager) -> timedelta | None:
    """How long before it the last command wants the past heard."""
    command = manager.asked[-1]
    return None if command.rematch_since is None else command.at - command.rematch_since


def about(asked: timedelta | None, wanted: timedelta) -> bool:
    return asked is not None and abs(asked - wanted) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("typed", "hears"),
    [
        ((), timedelta(hours=1)),
        (("--rematch", "2h"), timedelta(hours=2)),
        (("--rematch", "none"), None),
        (("--rematch", "now-30m"), timedelta(minutes=30)),
        (("--start", "now-10m"), timedelta(minutes=10)),  # it began then: what was said before is not its own
        (("--start", "now-3d"), timedelta(hours=1)),
        (("--draft",), None),
        (("--start", "now+2h"), None),
    ],
)
def test_a_new_event_hears_the_last_hour_unless_told_otherwise(
    run: Run, manager: Manager, typed: tuple[str, ...], hears: timedelta | None
) -> None:
    assert run("create", "X", "-k", "x", *typed).status == 0
    asked = asked_since(manager)
    assert asked is None if hears is None else about(asked, hears)


def test_a_draft_hears_the_last_hour_when_it_starts_for_the_first_time(run: Run, manager: Manager) -> None:
    refused = run("create", "X", "-k", "x", "--draft", "--rematch", "1h")
    assert refused.error == "a draft event hears nothing yet: ask for the past when it starts"
    run("create", "X", "-k", "x", "--draft")
    assert "; it hears what was said since" in run("start", "x").out
    assert about(asked_since(manager), timedelta(hours=1))
    run("stop", "x")
    assert run("start", "x").out == "started event x (version 4)\n"
    assert asked_since(manager) is None
    run("stop", "x")
    run("start", "x", "--rematch", "3h")
    assert about(asked_since(manager), timedelta(hours=3))


def test_a_rematch_is_asked_for(run: Run, manager: Manager, flood: Event) -> None:
    ran = run("rematch", flood.code, "--since", "2h", "--no-follow")
    assert ran.out.startswith("asked for (version 2); it hears what was said since ")
    assert about(asked_since(manager), timedelta(hours=2))
    assert [change.action for change in manager.standing[flood.code].history] == ["create", "rematch"]
    assert "rematch: none →" in run("history", flood.code).out
    for wrong in ("now+1h", "none", "yesterday"):
        assert run("rematch", flood.code, "--since", wrong, "--no-follow").status == 1


def progress(event: Event, **more: Any) -> Progress:
    given = {"since": NOW, "until": NOW, "at": NOW, "posts": 1200, "matched": 34, "stretches": {0: Stretch(0, 50, 100)}}
    return Progress(code=event.code, born=event.born, version=event.version, **given | more)


def test_show_tells_how_far_a_rematch_is(run: Run, manager: Manager, flood: Event) -> None:
    assert "the manager has not begun it" in " ".join(run("show", flood.code).out.split())
    manager.rematching[flood.code] = progress(flood)
    assert "50%, since" in run("show", flood.code).out
    assert "1,200 posts read, 34 match" in " ".join(run("show", flood.code).out.split())
    assert json.loads(run("show", flood.code, "--json").out)["rematch"]["matched"] == 34
    manager.rematching[flood.code] = progress(flood, state="done", kept_since=NOW, chosen=1200)
    shown = " ".join(run("show", flood.code).out.split())
    assert "done, since" in shown
    assert "raw posts are kept since" in shown
    assert "STARLING_X_SEARCH" in shown
    assert f"`starling event rematch {flood.code} --source bluesky`" in shown
    manager.rematching[flood.code] = progress(flood, state="done", chosen=1199)
    assert "STARLING_X_SEARCH" not in run("show", flood.code).out


def test_show_tells_what_a_source_is_not_asked_for(run: Run, manager: Manager, flood: Event) -> None:
    why = "+: X has no rule for it"
    manager.told = [
        SourceStatus(
            source="x", state="listening", words="", since=0, at=0, refused={flood.code: (why,), "other": ("-",)}
        )
    ]
    assert "x is not asked for +: X has no rule for it" in run("show", flood.code).out
    assert json.loads(run("show", flood.code, "--json").out)["refused"] == {"x": [why]}


def test_control_characters_are_refused(run: Run) -> None:
    assert run("create", "a\x07b", "-k", "x").error == r"the name 'a\x07b' holds a control character"
    assert run("create", "a\u202eb", "-k", "x").error == r"the name 'a\u202eb' holds U+202E, which turns text around"
    assert run("create", "ab", "-k", "x\x1by").error == r"keyword 'x\x1by' holds a control character"


def test_keywords_come_from_a_file_or_stdin(run: Run, manager: Manager, tmp_path: Path) -> None:
    listed = tmp_path / "keywords.txt"
    listed.write_text('// of the flood\n#flood\n\n"here, now"\nboulder  creek\n')
    assert run("create", "X", "-k", "first", "--keywords-file", str(listed)).status == 0
    assert manager.standing["x"].keywords == ("first", "#flood", '"here, now"', "boulder creek")
    edited = run("edit", "x", "--keywords-file", "-", typed="rain\nsnow\n")
    assert "`starling event rematch x` hears the past for what is new" in edited.out
    assert manager.standing["x"].keywords == ("rain", "snow")
    both = run("edit", "x", "--clear", "keywords", "--keywords-file", "-", typed="hail\n")
    assert both.error == "--clear keywords and a new value for it exclude each other"
    assert run("edit", "x", "--keywords-file", "-", typed="a\n,\n").error.startswith("<stdin>, line 2: keyword ','")
    assert run("create", "Y", "--keywords-file", str(tmp_path / "none")).status == 2


def test_of_a_long_list_the_beginning_is_shown(run: Run, manager: Manager) -> None:
    words = [f"w{number}" for number in range(980)]
    run("create", "X", "--keywords-file", "-", "--account", ",".join(words[:20]), typed="\n".join(words))
    shown = " ".join(run("show", "x").out.split())
    assert "w18, w19 and 960 more (--all, or --json)" in shown
    assert shown.count("more (") == 1
    assert "w978, w979" in " ".join(run("show", "x", "--all").out.split())


NASTY = "Evil [red]name[/red] \x1b[2J\x9b31m\u202e\x07"


def test_names_and_keywords_of_others_do_nothing_to_a_terminal(run: Run, manager: Manager) -> None:
    """No command lets a control character pass, but `events` may hold one from elsewhere."""
    run("create", "Evil", "-k", "[bold]x, [/bold]y", "--code", "evil", "--why", NASTY)
    manager.standing["evil"] = msgspec.structs.replace(manager.standing["evil"], name=NASTY)
    run("edit", "evil", "--name", "Good")
    manager.standing["evil"] = msgspec.structs.replace(manager.standing["evil"], name=NASTY)
    outputs = [run(*args) for args in (["list"], ["show", "evil"], ["history", "evil"])]
    outputs += [run("list", "--json"), run("show", "evil", "--json"), run("create", NASTY, "-k", "x", "--code", "evil")]
    for ran in outputs:
        text = (ran.out + ran.err).replace("\n", "")
        assert text.isprintable(), ascii(text)
    assert "[bold]x, [/bold]y" in outputs[0].out
    assert "[red]name[/red]" in outputs[1].out


def test_tables_fit_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    many = ",".join(f"keyword number {number}" for number in range(300))
    run(
        "create",
        "n" * 200,
        "-k",
        many,
        "--language",
        "en,es,fr,de,it,pt,ja,ar,ru,tr,nl,pl,fa,id,th",
        "--why",
        "w" * 300,
    )
    run("edit", "n" * 63, "--name", "other " * 30)
    for command in (["list"], ["show", "n" * 63], ["history", "n" * 63]):
        lines = run(*command).out.splitlines()
        assert max(map(len, lines)) <= COLUMNS
        assert all(line == line.rstrip() for line in lines)
    assert "(300 in all)" in " ".join(run("list").out.split())


COMMANDS = [name for name, _ in sorted(cli.event.event.commands.items())]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_and_json(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.status == 0
    assert "--json" in shown.out
    assert max(map(len, shown.out.splitlines())) <= COLUMNS


def test_the_commands_are_those_of_the_design() -> None:
    wanted = "create list show edit start pause resume stop archive delete purge refresh rematch history preview "
    wanted += "clone yaml import own trends"
    assert set(COMMANDS) == set(wanted.split())


def test_refresh_counts_what_was_sent(run: Run) -> None:
    assert run("refresh").out == "sent 6 events again\n"
    assert json.loads(run("refresh", "--json").out) == {"events": 6}


def test_a_wish_of_which_not_all_is_stored_says_why() -> None:
    done = Heard(source="bluesky", version=2, since=NOW, state="done", posts=1_234)
    (told,) = heard_lines(done)
    assert told.endswith("from bluesky: 1,234 posts found")
    (told,) = heard_lines(msgspec.structs.replace(done, why=LOST))
    assert told.endswith(f"from bluesky: 1,234 posts found; not all is stored: {LOST}")


def test_what_becomes_of_deleted_posts_can_be_changed(run: Run, manager: Manager, flood: Event) -> None:
    assert flood.deletions == "drop"
    assert run("edit", flood.code, "--deletions", "redact").status == 0
    assert manager.standing[flood.code].deletions == "redact"
    assert run("edit", flood.code, "--deletions", "forget").status == 2


def test_an_event_is_marked_hot_and_is_not_any_more(run: Run, manager: Manager, flood: Event) -> None:
    assert not flood.hot
    assert run("edit", flood.code, "--hot").status == 0
    assert manager.standing[flood.code].hot is True
    assert run("edit", flood.code, "--name", "Flood").status == 0
    assert manager.standing[flood.code].hot is True, "what is not said stays"
    assert run("edit", flood.code, "--not-hot").status == 0
    assert manager.standing[flood.code].hot is False
