"""Who is told of what: real workers, a simulated X, a real mail server and a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.clients.audit import read_newest
from app.clients.mutes import put_mute, read_notices, remove_mute
from app.domain.notices import Entry, Mute, Notice, Receiver, notices_of
from app.local.stack import Stack
from app.settings import Settings
from tests.support import tracking
from tests.support.chain import chain
from tests.support.events import accepted, command, create
from tests.support.place import environment, place
from tests.support.receivers import PASSWORD, USER, Certificates, Hook, Mailbox, http_server, mail_server
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import STARLING, worker

scenarios = Together(at_once=4)
GAP = 'starling_gap_seconds{event="",source="x"}'


def hooked(hook: Hook, **more: Any) -> dict[str, Any]:
    """Settings that tell a webhook, without waiting for more."""
    return {"notify_webhook": f"http://127.0.0.1:{hook.port}/in", "notify_window": 0} | more


@contextmanager
def mailing(**more: Any) -> Iterator[tuple[Mailbox, dict[str, Any]]]:
    """A mail server, and settings that tell it."""
    with tempfile.TemporaryDirectory() as directory:
        certificates = Certificates(Path(directory))
        with mail_server(certificates) as mailbox:
            yield (
                mailbox,
                {
                    "notify_smtp_host": "127.0.0.1",
                    "notify_smtp_port": mailbox.port,
                    "notify_smtp_username": USER,
                    "notify_smtp_password": PASSWORD,
                    "notify_mail_from": "starling@example.org",
                    "notify_mail_to": "ana@example.org",
                    "notify_ca_file": certificates.ca_file,
                }
                | more,
            )


def items(settings: Settings) -> dict[str, Entry]:
    return asyncio.run(read_notices(settings))


def noted(settings: Settings) -> list[str]:
    """Ids of all notices, the oldest first."""
    return [one.id for one in reversed(notices_of(items(settings).values()))]


def wait_told(hook: Hook, *names: str, seconds: float = 90) -> None:
    """Return once the webhook was told of these."""
    until(lambda: set(names) <= set(hook.told), f"told of {names}, not only of {hook.told}", seconds)


def starling(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}
    env = inherited | environment(settings)
    return subprocess.run(
        [str(STARLING), *arguments], env=env, capture_output=True, text=True, timeout=180, check=False
    )


@scenarios.add
def a_gap_is_told_once_when_it_has_lasted_and_once_when_it_is_over(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, http_server() as hook, mailing() as (mailbox, mails):
        given = tracking.x(simulator) | hooked(hook) | mails | {"notify_gap_seconds": 5}
        with chain(stack, "all", **given) as running:
            tracking.flood(running.settings, simulator)
            simulator.push(tracking.stream(5))
            tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))
            # Three tries that fail are 35 seconds.
            simulator.fault("status", wire="x", status=503, count=3)
            figures = partial(running.workers["all"].get, "/metrics")
            until(lambda: "starling_lease_holders 1.0" in figures()[1], "somebody listens")
            assert "starling_lease_wanted 1.0" in figures()[1]
            assert GAP not in figures()[1]
            simulator.fault("end", wire="x")
            until(lambda: GAP in figures()[1], "it is a figure while it lasts")
            until(lambda: len(hook.told) == 3, "it began, and is over", 120)
            until(lambda: GAP not in figures()[1], "and none any more")
            started, begun, over = hook.told
            assert started == "started:flood:1"
            assert begun.startswith("gap:x:")
            assert over == f"{begun}:over"
            told = {notice["id"]: notice for body in hook.taken for notice in body["notices"]}
            assert "503" in told[begun]["title"] or "ended" in told[begun]["title"] or "closed" in told[begun]["title"]
            assert told[begun]["text"] == "1 active event: flood"
            assert "x is heard again, after" in told[over]["title"]
            until(lambda: len(mailbox.mails) == 3, "by mail too")
            assert [str(mail["Subject"]).strip() for mail in mailbox.mails] == [
                f"[Starling] {told[name]['title']}" for name in (started, begun, over)
            ]
            accepted(running.settings, command("stop", "flood"))
            wait_told(hook, "stopped:flood:2")
            assert len(hook.told) == 4, "nothing else was told"


@scenarios.add
def a_quiet_stream_alerts_nobody(stack: Stack) -> None:
    with Simulator("--keep-alive", "5", token=tracking.TOKEN) as simulator, http_server() as hook:
        given = tracking.x(simulator) | hooked(hook, notify_gap_seconds=5)
        with chain(stack, "all", **given) as running:
            tracking.flood(running.settings, simulator)
            simulator.push(tracking.stream(5))
            simulator.fault("silence_with_keepalive", wire="x", seconds=90)
            until(lambda: tracking.state(running.settings) == "quiet", "it is said to be quiet", 100, pause=1)
            until(lambda: simulator.state()["connections"][0]["mood"] is None, "the silence is over", 100, pause=1)
            accepted(running.settings, command("stop", "flood"))
            wait_told(hook, "stopped:flood:2")
            assert hook.told == ["started:flood:1", "stopped:flood:2"]
            assert noted(running.settings) == hook.told


@scenarios.add
def a_manager_that_is_killed_while_it_tells_tells_again_and_loses_nothing(stack: Stack) -> None:
    with http_server() as hook, place(stack, **hooked(hook)) as settings, worker(settings, "manager") as manager:
        manager.wait_ready()
        hook.hang.set()
        accepted(settings, create("flood", keywords=("rotwasser",)))
        until(lambda: hook.asked == 1, "it is telling")
        accepted(settings, create("fire", keywords=("brand",)))
        manager.kill()
        hook.hang.clear()
        until(lambda: len(hook.requests) == 1, "the receiver has it, and nobody knows")
        manager.restart()
        manager.wait_ready()
        wait_told(hook, "started:flood:1", "started:fire:1")
        first, second, third = hook.taken
        assert (second, third["notices"][0]["id"]) == (first, "started:fire:1")
        assert len({headers["Starling-Id"] for headers, _ in hook.requests}) == 2, "the double has the same id"
        accepted(settings, command("stop", "flood"))
        wait_told(hook, "stopped:flood:2")
        assert len(hook.told) == 4


@scenarios.add
def one_of_several_managers_tells_and_what_comes_together_goes_together(stack: Stack) -> None:
    with (
        http_server() as hook,
        place(stack, **hooked(hook, notify_window=20)) as settings,
        worker(settings, "manager") as one,
        worker(settings, "manager") as other,
    ):
        one.wait_ready()
        other.wait_ready()
        soon = datetime.now(UTC) + timedelta(seconds=4)
        accepted(settings, create("first", keywords=("a",)))
        wait_told(hook, "started:first:1")
        names = [f"e{number}" for number in range(5)]
        accepted(settings, *(create(name, keywords=("a",)) for name in names))
        accepted(settings, create("timed", keywords=("a",), start=soon))
        wait_told(hook, *(f"started:{name}:1" for name in names))
        until(lambda: any(name.startswith("started:timed") for name in hook.told), "the schedule is told too")
        told = {notice["id"]: notice for body in hook.taken for notice in body["notices"]}
        (timed,) = [notice for name, notice in told.items() if name.startswith("started:timed")]
        assert "by itself" in timed["text"] or timed["id"] == "started:timed:1"
        assert len(hook.told) == len(set(hook.told)) == 7
        assert len(hook.taken) <= 3, "one at once, the others together"


@scenarios.add
def a_receiver_that_fails_holds_up_no_other_and_is_told_later(stack: Stack) -> None:
    with (
        http_server() as hook,
        mailing() as (mailbox, mails),
        place(stack, **mails, **hooked(hook)) as settings,
        worker(settings, "manager") as manager,
    ):
        manager.wait_ready()
        mailbox.refuse = ["451 later", "451 still not"]
        accepted(settings, create("flood", keywords=("rotwasser",)))
        wait_told(hook, "started:flood:1")

        def receiver() -> Receiver | None:
            found = items(settings).get("receiver|mail")
            return found if isinstance(found, Receiver) and not found.ok else None

        failing = until(receiver, "it is said to fail")
        assert "451" in failing.words
        assert PASSWORD not in failing.words
        shown = json.loads(starling(settings, "notify", "list", "--json").stdout)
        (notice,) = shown["notices"]
        assert notice["outcomes"]["webhook"] == "told"
        assert [one["name"] for one in shown["receivers"]] == ["mail", "webhook"]
        assert 'starling_receiver_failing{receiver="mail"} 1.0' in manager.get("/metrics")[1]
        until(lambda: len(mailbox.mails) == 1, "it has it at last", 120)
        until(lambda: receiver() is None, "and is well again")
        assert len(hook.taken) == 1


@scenarios.add
def what_is_muted_is_listed_and_told_to_nobody(stack: Stack) -> None:
    with http_server() as hook, place(stack, **hooked(hook)) as settings, worker(settings, "manager") as manager:
        manager.wait_ready()
        mute = Mute(id=secrets.token_hex(4), at=datetime.now(UTC), who="a test", event="flood")
        asyncio.run(put_mute(settings, mute))
        accepted(settings, create("flood", keywords=("rotwasser",)), create("fire", keywords=("brand",)))
        wait_told(hook, "started:fire:1")
        assert sorted(noted(settings)) == ["started:fire:1", "started:flood:1"]
        found = items(settings)["started:flood:1"]
        assert isinstance(found, Notice)
        assert (found.muted, found.due) == (mute.id, ())
        asyncio.run(remove_mute(settings, mute.id, "a test"))
        accepted(settings, command("stop", "flood"))
        wait_told(hook, "stopped:flood:2")
        assert hook.told == ["started:fire:1", "stopped:flood:2"]


@scenarios.add
def refused_rules_budgets_and_dead_letters_are_told(stack: Stack) -> None:
    long = " ".join(f"donaudampfschifffahrt{number}" for number in range(6))
    with Simulator("--rule-length", "128", token=tracking.TOKEN) as simulator, http_server() as hook:
        given = tracking.x(simulator, x_rule_length=128, x_reads_soft=3, x_reads_hard=8)
        with chain(stack, "all", **given, **hooked(hook, notify_gap_seconds=3600, notify_dead_letters=3)) as running:
            settings = running.settings
            accepted(settings, create("flood", keywords=("rotwasser", long)))
            simulator.wait_connected("x")
            simulator.push(tracking.stream(5))
            until(lambda: any(":soft" in name for name in hook.told), "the soft limit is told")
            assert not any(":hard" in name for name in hook.told)
            simulator.push(tracking.stream(5, 5))
            running.send(Raw(b"\n".join(b"{no json" for _ in range(5))))
            until(lambda: any(":hard" in name for name in hook.told), "the hard limit is told")
            until(lambda: any(name.startswith("dead-letters") for name in hook.told), "the dead letters are told")
            until(lambda: any(name.startswith("refused:x:flood") for name in hook.told), "what was refused is told")
            told = {notice["kind"]: notice for body in hook.taken for notice in body["notices"]}
            assert "5 of the newest" in told["dead-letters"]["text"]
            assert long in told["refused"]["text"]
            assert sorted(notice["kind"] for body in hook.taken for notice in body["notices"]) == [
                "budget",
                "budget",
                "dead-letters",
                "refused",
                "started",
            ]


@scenarios.add
def a_test_says_what_failed_in_a_line_each(stack: Stack) -> None:
    with http_server() as hook, mailing() as (mailbox, mails), place(stack, **mails, **hooked(hook)) as settings:
        told = starling(settings, "notify", "test")
        assert (told.returncode, told.stderr) == (0, "")
        assert sorted(told.stdout.splitlines()) == ["mail (127.0.0.1): told", "webhook (127.0.0.1): told"]
        (body,) = hook.taken
        assert body["notices"][0]["kind"] == "test"
        assert len(mailbox.mails) == 1
        hook.always = 500
        failed = starling(settings, "notify", "test")
        assert failed.returncode == 1
        assert "webhook (127.0.0.1): it answers 500 Internal Server Error" in failed.stdout.splitlines()
        assert "mail (127.0.0.1): told" in failed.stdout.splitlines()
        quiet = settings.model_copy(update={"notify_webhook": None, "notify_smtp_host": ""})
        nobody = starling(quiet, "notify", "test")
        assert (nobody.returncode, nobody.stdout) == (1, "")
        assert "STARLING_NOTIFY_WEBHOOK" in nobody.stderr
        muted = starling(settings, "notify", "mute", "--event", "flood", "--until", "now+2h", "--why", "a drill")
        assert muted.returncode == 0
        (mute,) = json.loads(starling(settings, "notify", "mutes", "--json").stdout)
        assert (mute["event"], mute["why"]) == ("flood", "a drill")
        assert starling(settings, "notify", "unmute", mute["id"]).returncode == 0
        assert starling(settings, "notify", "mutes").stdout == "nothing is muted\n"
        assert starling(settings, "notify", "unmute", mute["id"]).returncode == 1
        noted = [(one.action, one.target, one.by) for one in asyncio.run(read_newest(settings, 10))]
        assert noted == [("mutes.remove", "", "direct"), ("mutes.add", "flood", "direct")]


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
