"""The commands by way of a server's API: they are told who may what, and have no way to Kafka or Cassandra."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import signal
import stat
import struct
import subprocess
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import cli
import cli.event
from app.clients import tokens
from app.domain.exports import Wish
from app.domain.people import Rank
from app.local.server import free_ports
from app.local.stack import Stack
from app.settings import settings as settings_read
from cli import contexts
from cli.remote_export import ASKED, Asked
from tests import builders
from tests.support import events
from tests.support.api import SECRET, Api, api, person
from tests.support.chain import Chain, chain
from tests.support.commands import Ran, run_here
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import STARLING, Worker

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    with tempfile.TemporaryDirectory() as files, chain(stack, "all", token_secret=SECRET, export_dir=files) as started:
        yield started


@pytest.fixture(scope="module")
def server(running: Chain) -> Worker:
    return running.workers["all"]


@pytest.fixture(scope="module")
def people(server: Worker) -> dict[Rank, Api]:
    return {rank: api(server, name, rank) for name, rank in _PEOPLE.items()}


_PEOPLE: dict[str, Rank] = {"ada": "admin", "edda": "editor", "vera": "viewer"}


@pytest.fixture
def starling(
    server: Worker,
    people: dict[Rank, Api],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Run]:
    """The command in this process, as an editor unless told otherwise; Kafka and Cassandra are not where it looks."""
    nobody, nothing = free_ports(2)
    monkeypatch.setenv("STARLING_KAFKA", f"127.0.0.1:{nobody}")
    monkeypatch.setenv("STARLING_CASSANDRA", f"127.0.0.1:{nothing}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(cli.event, "prepare", lambda: None)
    settings_read.cache_clear()

    def run(*args: str, rank: Rank | None = "editor", typed: str = "") -> Ran:
        with monkeypatch.context() as patch:
            if rank is not None:
                patch.setenv("STARLING_URL", f"http://127.0.0.1:{server.port}")
                patch.setenv("STARLING_TOKEN", people[rank].token or "")
            return run_here(patch, capsys, *args, stdin=io.StringIO(typed))

    yield run
    settings_read.cache_clear()


def done(ran: Ran) -> str:
    """What a command that worked has said."""
    assert (ran.status, ran.err) == (0, ""), ran
    return ran.out


def test_the_life_of_an_event(starling: Run, running: Chain) -> None:
    made = starling("event", "create", "River Flood", "-k", 'flood, "high water"', "--rate", "50", "--why", "rain")
    assert done(made).startswith("created event river-flood (version 1, active); it hears what was said since ")
    stands = events.events(running.settings)["river-flood"]
    assert (stands.keywords, stands.owners) == (("flood", '"high water"'), ("edda",))
    assert (stands.history[0].who, stands.history[0].why) == ("edda", "rain")
    again = starling("event", "create", "River Flood", "-k", "x", "--json")
    assert (again.status, again.error) == (1, "event 'river-flood' exists")
    assert json.loads(again.out)["reason"] == "exists"

    assert done(starling("event", "edit", "river-flood", "--add-keyword", "dike")).startswith(
        "edited event river-flood"
    )
    late = starling("event", "edit", "river-flood", "-k", "late", "--version", "1")
    both = 'its keywords flood, "high water", dike, yours late'
    assert (late.status, late.error) == (1, f"event 'river-flood' is at version 2, not 1; {both}")
    for version, action in ((3, "pause"), (4, "resume"), (5, "stop")):
        answer = json.loads(done(starling("event", action, "river-flood", "--json", "--why", action)))
        assert (answer["accepted"], answer["version"]) == (True, version)
    assert starling("event", "pause", "river-flood").error == "event 'river-flood' is stopped: it cannot be paused"
    done(starling("event", "start", "river-flood", "--rematch", "none"))

    told = json.loads(done(starling("event", "show", "river-flood", "--json")))
    assert [change["action"] for change in told["history"]] == ["create", "edit", "pause", "resume", "stop", "start"]
    assert told == json.loads(done(_direct(starling, running, "event", "show", "river-flood", "--json")))
    (listed,) = [one for one in json.loads(done(starling("event", "list", "--json"))) if one["code"] == "river-flood"]
    of_one = ("history", "rematch", "heard", "refused")
    assert listed == {name: value for name, value in told.items() if name not in of_one}
    assert done(starling("event", "history", "river-flood")) == done(
        _direct(starling, running, "event", "history", "river-flood")
    )

    done(starling("event", "stop", "river-flood"))
    refused = starling("event", "delete", "river-flood", typed="no\n")
    assert refused.err.splitlines()[-1].endswith("not confirmed, nothing was done (--yes does not ask)")
    assert "deleted event river-flood (version 8)" in done(
        starling("event", "delete", "river-flood", "--yes", "--why", "over")
    )
    assert events.events(running.settings)["river-flood"].history[-1].why == "over"
    assert "river-flood" not in done(starling("event", "list"))
    assert "river-flood" in done(starling("event", "list", "--all"))
    purged = starling("event", "purge", "river-flood", "--yes")
    assert (purged.status, purged.out) == (0, "purged event river-flood: its rows are removed, its code is free\n")
    gone = starling("event", "show", "river-flood")
    assert (gone.status, gone.error) == (1, "there is no event 'river-flood'; `starling event list` shows all")


def test_owners_say_who_owns_an_event(starling: Run, running: Chain) -> None:
    done(starling("event", "create", "Owned", "-k", "x", "--draft", rank="admin"))
    refused = starling("event", "own", "owned", "edda")
    assert (refused.status, refused.error) == (1, "edda (editor) may not do this")
    stranger = starling("event", "own", "owned", "nobody-of-us", rank="admin")
    assert stranger.error == "there is nobody called 'nobody-of-us' who could own it: add them first"
    said = done(starling("event", "own", "owned", "edda", "ada", "--why", "she writes on it", rank="admin"))
    assert said == "event owned is owned by edda, ada (version 2)\n"
    done(starling("event", "own", "owned", "edda"))
    stands = events.events(running.settings)["owned"]
    assert (stands.owners, stands.history[1].why) == (("edda",), "she writes on it")


def _direct(starling: Run, running: Chain, *args: str) -> Ran:
    """The same command through Kafka."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("kafka", "cassandra", "topic_prefix", "keyspace"):
            patch.setenv(f"STARLING_{name.upper()}", str(getattr(running.settings, name)))
        settings_read.cache_clear()
        ran = starling("--direct", *args)
    settings_read.cache_clear()
    return ran


def test_events_are_cloned_written_and_brought_in(starling: Run, running: Chain, tmp_path: Path) -> None:
    done(starling("event", "create", "Storm Axel", "-k", '"storm axel"', "--language", "de", "--draft"))
    said = done(starling("event", "clone", "storm-axel", "Storm Berta"))
    assert said == "created event storm-berta (version 1, draft)\n"
    berta = events.events(running.settings)["storm-berta"]
    assert (berta.keywords, berta.languages, berta.history[0].why) == (
        ('"storm axel"',),
        ("de",),
        "a clone of storm-axel",
    )
    text = done(starling("event", "yaml", "storm-axel", "storm-berta", rank="viewer"))
    assert text == done(_direct(starling, running, "event", "yaml", "storm-axel", "storm-berta"))
    file = tmp_path / "events.yaml"
    file.write_text(text.replace("Storm Berta", "Berta") + "- code: storm-carla\n  name: Carla\n  keywords: [carla]\n")
    fates = {"storm-axel": "same", "storm-berta": "edit", "storm-carla": "create"}
    planned = json.loads(done(starling("event", "import", str(file), "--dry-run", "--json")))
    assert {one["code"]: one["fate"] for one in planned["events"]} == fates
    assert planned == json.loads(done(_direct(starling, running, "event", "import", str(file), "--dry-run", "--json")))
    assert "storm-carla" not in events.events(running.settings)
    refused = starling("event", "import", str(file), rank="viewer")
    assert (refused.status, refused.error) == (1, "vera (viewer) may not do this")
    assert "storm-carla" in done(starling("event", "import", str(file), "--why", "from a file"))
    assert events.events(running.settings)["storm-berta"].name == "Berta"
    file.write_text(
        "events:\n- code: storm-doris\n  name: Doris\n  keywords: [doris]\n- code: storm-axel\n  keywords: []\n"
    )
    for ran in (starling("event", "import", str(file)), _direct(starling, running, "event", "import", str(file))):
        assert (ran.status, ran.error) == (1, f"1 of 2 events of {file} are refused")
        assert "storm-doris" not in events.events(running.settings)
    file.write_text(file.read_text().replace("[]", "[axel]"))
    done(_direct(starling, running, "event", "import", str(file), "--begin"))
    stands = events.events(running.settings)
    assert (stands["storm-doris"].status, stands["storm-axel"].keywords) == ("active", ("axel",))


def test_who_may_not_is_told_so(starling: Run) -> None:
    refused = starling("event", "create", "Not Mine", "-k", "x", rank="viewer")
    assert (refused.status, refused.error) == (1, "vera (viewer) may not do this")
    assert "not-mine" not in done(starling("event", "list", rank="viewer"))


def test_a_token_that_does_not_count_is_told_and_not_shown(starling: Run, server: Worker) -> None:
    wrong = tokens.issue("another secret, and as long as needed", "bearer", "ada", 0, 60)
    url = f"http://127.0.0.1:{server.port}"
    for token, said in ((wrong, "this is no token of this Starling"), ("x", "this is no token of this Starling")):
        ran = starling("--url", url, "--token", token, "event", "list", rank=None)
        assert (ran.status, ran.error) == (1, f"{url} does not let you in: {said}; `starling login {url}`")
    nobody = starling("--url", url, "event", "list", rank=None)
    assert nobody.error == f"{url} does not let you in: sign in, or send a token; `starling login {url}`"
    assert starling("--url", url, "--token", "a b", "event", "list", rank=None).error.startswith("this is no token")


def test_who_signs_in_is_remembered_in_a_file_of_their_own(
    starling: Run, server: Worker, people: dict[Rank, Api], running: Chain
) -> None:
    url = f"http://127.0.0.1:{server.port}"
    token = people["viewer"].token or ""
    said = done(starling("login", url, "--name", "flood", rank=None, typed=f"{token}\n"))
    assert said == f"signed in as vera (viewer); commands ask {url} now (context flood)\n"
    assert stat.S_IMODE(contexts.path().stat().st_mode) == 0o600
    assert starling("event", "create", "X", "-k", "x", rank=None).error == "vera (viewer) may not do this"
    # A link signs in once, and what it is changed for is somebody's token.
    api(server, "lou", "editor")
    link = tokens.link(
        running.settings.model_copy(update={"web_port": server.port}), person(running.settings, "lou", "editor")
    )
    assert "signed in as lou (editor)" in done(starling("login", link, "--name", "mine", rank=None))
    assert "it has been used before" in starling("login", link, rank=None).error
    assert "draft" in done(starling("event", "create", "Lous", "-k", "x", "--draft", rank=None))
    assert events.events(running.settings)["lous"].owners == ("lou",)
    rows = [line.split() for line in done(starling("context", "list", rank=None)).splitlines()]
    assert ["*", "mine", url] in rows
    assert ["flood", url] in rows
    assert token not in done(starling("context", "list", "--json", rank=None))
    done(starling("context", "use", "flood", rank=None))
    assert starling("event", "create", "X", "-k", "x", rank=None).error == "vera (viewer) may not do this"
    assert starling("--context", "mine", "event", "stop", "lous", rank=None).error.startswith("event 'lous' is draft")
    done(starling("context", "remove", "flood", rank=None))
    assert starling("event", "list", rank=None).status == 69, "Kafka is asked, which is not there"
    assert starling("--context", "flood", "event", "list", rank=None).error.startswith("there is no context 'flood'")
    contexts.path().chmod(0o644)
    assert starling("context", "list", rank=None).error.endswith(f"others may read it: chmod 600 {contexts.path()}")


def test_codes_of_events_are_completed(starling: Run, running: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    done(starling("event", "create", "Dike Breach", "-k", "dike", "--draft"))
    monkeypatch.setattr("cli.completion.SECONDS", 60.0)  # a loaded machine is slow, not wrong
    monkeypatch.setenv("COMP_CWORD", "3")
    monkeypatch.setenv("COMP_WORDS", "starling event show dik")
    monkeypatch.setenv("_STARLING_COMPLETE", "bash_complete")
    assert starling().out == "plain,dike-breach\n"
    with monkeypatch.context() as patch:
        patch.setenv("STARLING_CONTEXT", "none of this name")
        nothing = starling(rank=None)
        assert (nothing.out.strip(), nothing.err) == ("", "")


def test_a_server_that_is_not_there_is_one_line(starling: Run) -> None:
    (nobody,) = free_ports(1)
    ran = starling("--url", f"http://127.0.0.1:{nobody}", "event", "list")
    assert ran.status == 69
    assert ran.error.startswith(f"no Starling is reachable at http://127.0.0.1:{nobody} (")


def test_keywords_are_tried(starling: Run, running: Chain) -> None:
    posts = [builders.status(f"a landslide {n}", id=builders.snowflake(sequence=n)) for n in range(5)]
    running.send(*[Raw(builders.line(post), 0) for post in posts])

    def tried() -> bool:
        """A server reads for some seconds only, in which a loaded machine may come to none of the posts."""
        ran = starling("event", "preview", "-k", "landslide", "--since", "1h", "--json")
        return ran.status == 0 and json.loads(done(ran))["hits"] == 5

    until(tried, "all five are found", 120, pause=10)  # six a minute are allowed
    assert starling("event", "preview", "-k", "x", "--since", "now+2h").error.startswith(
        "--since 'now+2h' is no moment"
    )
    more = starling("event", "preview", "-k", "x", "--posts", "20001")
    assert more.error.startswith("a server reads at most 20,000 posts in 8 seconds; `starling --direct`")
    done(starling("event", "preview", "-k", "landslide", "--since", "60w"))


def test_what_was_heard_is_told(starling: Run, running: Chain) -> None:
    done(starling("event", "create", "Quiet", "-k", "nothing of this"))
    assert done(starling("coverage", "quiet")) == "no live source was there while quiet was active\n"
    told, direct = (
        json.loads(done(ran))
        for ran in (starling("coverage", "quiet", "--json"), _direct(starling, running, "coverage", "quiet", "--json"))
    )
    assert (told["sources"], told["platform_only"], told.keys()) == ([], 0, direct.keys())
    assert starling("coverage", "no-such").error == "there is no event 'no-such'; `starling event list` shows all"


def test_posts_are_followed(starling: Run, running: Chain) -> None:
    """Posts are sent until one is seen: what came before the stream was open is not in it."""
    done(starling("event", "create", "Mud", "-k", "mudslide"))
    over = threading.Event()

    def send() -> None:
        number = 100
        while not over.wait(0.3):
            number += 1
            running.send(Raw(builders.line(builders.status("a mudslide", id=builders.snowflake(sequence=number))), 0))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        by_query = starling("tail", "--query", "mudslide", "--limit", "2", "--json")
        by_code = starling("tail", "mud", "--limit", "1", rank="viewer")
    finally:
        over.set()
        sender.join()
    assert [json.loads(line)["text"][0]["text"] for line in done(by_query).splitlines()] == ["a ", "a "]
    assert "a mudslide" in done(by_code)
    assert starling("tail", "no-such").error == "there is no event 'no-such'"
    assert "--direct" in starling("tail", "mud", "--since", "1h").error


def test_dead_letters_are_looked_at_and_sent_again(starling: Run, running: Chain) -> None:
    running.send(Raw(b"{no json", 0))
    letters = until(
        lambda: json.loads(done(starling("dead-letters", "list", "--json", "--reason", "not JSON")))["letters"],
        "the letter is listed",
    )
    (letter,) = letters
    assert starling("dead-letters", "show", letter["id"]).out == "{no json\n"
    assert starling("dead-letters", "replay", letter["id"], rank="viewer").error == "vera (viewer) may not do this"
    assert done(starling("dead-letters", "replay", letter["id"])) == "1 sent to raw_tweets, 0 had been before\n"
    assert done(starling("dead-letters", "replay", letter["id"])) == "0 sent to raw_tweets, 1 had been before\n"
    assert "edda" in done(starling("dead-letters", "list"))


def test_notices_are_muted(starling: Run) -> None:
    done(starling("event", "create", "Loud", "-k", "loud"))
    made = json.loads(
        done(
            starling(
                *("notify", "mute", "--event", "loud", "--kind", "gap", "--until", "now+2h", "--why", "works", "--json")
            )
        )
    )
    assert (made["who"], made["kind"], made["why"]) == ("edda", "gap", "works")
    assert made["id"] in done(starling("notify", "mutes"))
    done(starling("notify", "unmute", made["id"]))
    assert starling("notify", "unmute", made["id"]).error == f"there is no mute {made['id']!r}"
    assert done(starling("notify", "mutes")) == "nothing is muted\n"
    done(starling("notify", "list"))
    assert starling("notify", "test").error.startswith("`starling notify test` goes to Kafka and Cassandra themselves")


def test_what_concerns_every_event_or_the_budget_is_muted_by_administrators(starling: Run) -> None:
    done(starling("event", "create", "Dear", "-k", "dear"))
    for wish in ((), ("--kind", "gap"), ("--event", "dear", "--kind", "budget")):
        refused = starling("notify", "mute", *wish)
        said = "name an event that you may change, and not the budget"
        assert (refused.status, refused.error.partition(":")[0]) == (1, said)
    made = json.loads(done(starling("notify", "mute", "--kind", "gap", "--json", rank="admin")))
    assert starling("notify", "unmute", made["id"]).error.startswith("name an event")
    done(starling("notify", "unmute", made["id"], rank="admin"))


def test_an_owner_who_else_only_looks_mutes_what_is_of_the_event(starling: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.yaml"
    file.write_text(
        "events:\n- {code: mine, name: Mine, keywords: [mine], owners: [vera]}\n"
        "- {code: yours, name: Yours, keywords: [yours]}\n"
    )
    done(starling("event", "import", str(file)))
    refused = starling("notify", "mute", "--event", "yours", rank="viewer")
    assert (refused.status, refused.error.partition(",")[0]) == (1, "name an event that you may change")
    made = json.loads(done(starling("notify", "mute", "--event", "mine", "--json", rank="viewer")))
    done(starling("notify", "unmute", made["id"], rank="viewer"))


def test_administrators_look_after_people(starling: Run, server: Worker) -> None:
    assert starling("user", "list").error == "edda (editor) may not do this"
    assert "nora is viewer" in done(starling("user", "add", "nora", rank="admin"))
    token = done(starling("user", "token", "nora", "--days", "1", rank="admin")).strip()
    assert done(starling("login", f"http://127.0.0.1:{server.port}", rank=None, typed=token)).startswith(
        "signed in as nora"
    )
    link = done(starling("user", "link", "nora", rank="admin")).strip()
    assert "signed in as nora (viewer)" in done(starling("login", link, rank=None))
    done(starling("user", "revoke", "nora", rank="admin"))
    assert "the token was revoked" in starling("event", "list", rank=None).error
    done(starling("user", "remove", "nora", "--yes", rank="admin"))
    assert starling("user", "remove", "nora", "--yes", rank="admin").error == "there is nobody called 'nora'"
    people = json.loads(done(starling("user", "list", "--json", rank="admin")))
    assert {"edda": "editor", "vera": "viewer"}.items() <= {one["name"]: one["role"] for one in people}.items()


def test_how_the_server_is(starling: Run) -> None:
    told = until(lambda: _up(json.loads(starling("status", "--json", rank="viewer").out)), "Kafka and Cassandra answer")
    assert [one["role"] for one in told["processes"]] == ["all"]
    rows = [line.split() for line in done(starling("status")).splitlines()]
    assert {("kafka", "up"), ("cassandra", "up"), ("all", "up")} <= {(row[0], row[1]) for row in rows if row}


def _up(told: dict[str, Any]) -> dict[str, Any] | None:
    return told if told["kafka"]["up"] and told["cassandra"]["up"] else None


class Watcher:
    """A command that watches, as a process of its own."""

    def __init__(self, server: Worker, token: str, output: int, *args: str) -> None:
        url = f"http://127.0.0.1:{server.port}"
        self.process = subprocess.Popen(
            [str(STARLING), *args, "--watch", "--every", "0.2"],
            env=os.environ | {"STARLING_URL": url, "STARLING_TOKEN": token, "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
        )

    def end(self) -> tuple[int, bytes]:
        """Its status and what it has said of errors, after a Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        try:
            _, said = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        return self.process.returncode, said.strip()


def test_along_a_pipe_what_is_watched_is_told_when_it_changes(
    starling: Run, server: Worker, people: dict[Rank, Api]
) -> None:
    done(starling("event", "create", "Watched", "-k", "x", "--draft"))
    watcher = Watcher(server, people["viewer"].token or "", subprocess.PIPE, "event", "show", "watched", "--json")
    assert watcher.process.stdout is not None
    assert json.loads(watcher.process.stdout.readline())["version"] == 1
    done(starling("event", "edit", "watched", "-k", "y"))
    assert json.loads(watcher.process.stdout.readline())["version"] == 2
    assert watcher.end() == (130, b"")


def test_on_a_terminal_what_is_watched_is_drawn_anew(server: Worker, people: dict[Rank, Api], starling: Run) -> None:
    for number in range(30):
        events_made = starling("event", "create", f"Row {number}", "-k", "x", "--draft")
        assert events_made.status == 0
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 100, 0, 0))
    watcher = Watcher(server, people["viewer"].token or "", theirs, "event", "list")
    os.close(theirs)
    drawn = b""
    try:
        while drawn.count(b"\x1b[H") < 3:
            drawn += os.read(ours, 65536)
    finally:
        ended = watcher.end()
        os.close(ours)
    assert ended == (130, b"")
    _, screen, *_ = drawn.split(b"\x1b[H")
    lines = screen.split(b"\r\n")
    assert lines[0].endswith(b"every 0.2 s; Ctrl-C ends it\x1b[K")
    assert len(lines) <= 20
    assert b"more lines" in lines[-2]


def test_posts_are_exported_and_fetched_on_where_it_was_broken_off(
    starling: Run, running: Chain, people: dict[Rank, Api], server: Worker, tmp_path: Path
) -> None:
    done(starling("event", "create", "Rain", "-k", "rainfall"))
    posts = [builders.status(f"rainfall {n}", id=builders.snowflake(sequence=500 + n)) for n in range(40)]
    running.send(*[Raw(builders.line(post), number % 4) for number, post in enumerate(posts)])
    running.settle()
    file = tmp_path / "rain.csv"
    args = ("export", "rain", "--format", "csv", "--out")
    told = json.loads(done(starling(*args, str(file), "--json", rank="viewer")))
    assert (told["rows"], told["bytes"], told["sha256"]) == (40, file.stat().st_size, _sha256(file))
    assert json.loads((tmp_path / "rain.csv.manifest.json").read_bytes())["export"]["asked_by"] == "vera"
    by_hand = tmp_path / "by-hand.csv"
    done(_direct(starling, running, *args, str(by_hand)))
    assert sorted(by_hand.read_text().splitlines()) == sorted(file.read_text().splitlines())

    (export,) = people["viewer"].get("/api/v1/events/rain/exports")["exports"]
    again = tmp_path / "again.csv"
    work = tmp_path / "again.csv.part"
    work.mkdir()
    asked = Asked(f"http://127.0.0.1:{server.port}", "rain", Wish(format="csv"), export["id"])
    (work / ASKED).write_bytes(msgspec.json.encode(asked))
    (work / "data").write_bytes(file.read_bytes()[:100])
    other = starling("export", "rain", "--format", "ids", "--out", str(again))
    assert other.error.startswith(f"{work} is of another export")
    done(starling(*args, str(again)))
    assert again.read_bytes() == file.read_bytes()
    assert not work.exists()
    assert len(people["viewer"].get("/api/v1/events/rain/exports")["exports"]) == 1, "it was not asked for anew"

    work.mkdir()
    (work / ASKED).write_bytes(msgspec.json.encode(asked))
    (work / "data").write_bytes(b"x" * 100)
    again.unlink()
    (tmp_path / "again.csv.manifest.json").unlink()
    assert "is not what the server has written" in starling(*args, str(again)).error
    people["viewer"].send("DELETE", f"/api/v1/events/rain/exports/{export['id']}")
    assert starling(*args, str(again)).error.endswith("; the same command asks for it anew")
    done(starling(*args, str(again)))
    assert again.read_bytes() == file.read_bytes()
    assert (
        starling("export", "none", "--format", "csv", "--out", str(tmp_path / "x")).error == "there is no event 'none'"
    )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
