"""Posts on disk: in order, whole or not at all, bounded, and no two processes in one place."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import UserError
from app.tracking import spool as spooling
from app.tracking.parcel import Parcel
from app.tracking.recent import Recent
from app.tracking.spool import Spool, SpoolFull, check_usable, claim
from tests.support.spooled import drained


def parcel(number: int, size: int = 10) -> Parcel:
    return Parcel("raw_tweets", b"%d:" % number + b"x" * size, [("source", b"x")], None, "x", 1000 + number, 1, number)


def unreadable(file: Path) -> None:
    """What is no file cannot be read as one, by root neither."""
    file.unlink()
    file.mkdir()


def test_what_goes_in_comes_out_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10**6)
    spool.append([parcel(0), parcel(1)])
    spool.append([parcel(2)])
    assert drained(spool) == [parcel(0), parcel(1), parcel(2)]
    assert (spool.empty, spool.size) == (True, 0)


def test_it_survives_its_process(tmp_path: Path) -> None:
    Spool(tmp_path, 10**6).append([parcel(0)])
    again = Spool(tmp_path, 10**6)
    assert not again.empty
    again.append([parcel(1)])
    assert drained(again) == [parcel(0), parcel(1)]


def test_a_file_that_is_read_is_not_written_any_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10**6)
    spool.append([parcel(0)])
    assert spool.first() == [parcel(0)]
    spool.append([parcel(1)])
    spool.drop_first()
    assert drained(spool) == [parcel(1)]


def test_many_make_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "FILE_BYTES", 200)
    spool = Spool(tmp_path, 10**6)
    for number in range(20):
        spool.append([parcel(number, 100)])
    assert len(list(tmp_path.glob("*.spool"))) == 10
    assert drained(spool) == [parcel(number, 100) for number in range(20)]


def test_what_was_there_is_gone_though_more_has_come(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10**6)
    assert spool.is_past(spool.end)
    spool.append([parcel(0)])
    end = spool.end
    assert not spool.is_past(end)
    spool.first()
    spool.append([parcel(1)])
    spool.drop_first()
    assert spool.is_past(end)
    assert not spool.empty


@contextmanager
def started(directory: Path) -> Iterator[Spool]:
    """The spool of a process that is killed at the end."""
    own, lock = claim(directory)
    yield Spool(own, 10**6)
    os.close(lock)


def newest(directory: Path) -> Path:
    return max(directory.rglob("*.spool"))


def change(file: Path, at: int) -> None:
    """One bit of a byte."""
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("cut", [1, 5, 30, 55])
def test_a_parcel_that_a_kill_cut_off_is_left_out_and_is_no_loss(tmp_path: Path, cut: int) -> None:
    with started(tmp_path) as spool:
        spool.append([parcel(0), parcel(1)])
    os.truncate(newest(tmp_path), newest(tmp_path).stat().st_size - cut)
    with started(tmp_path) as again:
        again.append([parcel(2)])
    with started(tmp_path) as spool:
        assert drained(spool) == [parcel(0), parcel(2)], "though it is no longer the last file"
        assert spool.lost == []


def test_what_a_kill_cut_off_of_another_process_is_no_loss(tmp_path: Path) -> None:
    with started(tmp_path) as one, started(tmp_path) as other:
        one.append([parcel(0)])
        other.append([parcel(1), parcel(2)])
    for file in tmp_path.rglob("*.spool"):
        os.truncate(file, file.stat().st_size - 1)
    with started(tmp_path) as spool:
        assert (drained(spool), spool.lost) == ([parcel(1)], [])


def test_a_file_that_is_cut_off_and_was_not_the_last_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "FILE_BYTES", 1)
    with started(tmp_path) as spool:
        spool.append([parcel(0), parcel(1)])
        spool.append([parcel(2)])
    first = min(tmp_path.rglob("*.spool"))
    os.truncate(first, first.stat().st_size - 1)
    with started(tmp_path) as spool:
        assert drained(spool) == [parcel(0), parcel(2)]
        assert [since for since, _ in spool.lost] == [parcel(0).heard_ms]


@pytest.mark.parametrize("at", range(12))
def test_a_damaged_head_is_not_taken_for_the_work_of_a_kill(tmp_path: Path, at: int) -> None:
    with started(tmp_path) as spool:
        spool.append([parcel(0)])
        size = spool.size
        spool.append([parcel(1), parcel(2)])
    change(newest(tmp_path), size + at)
    with started(tmp_path) as spool:
        assert drained(spool) == [parcel(0)]
        assert [since for since, _ in spool.lost] == [parcel(0).heard_ms]


def test_of_a_file_of_which_nothing_can_be_read_no_more_is_lost_than_it_can_hold(tmp_path: Path) -> None:
    with started(tmp_path) as spool:
        spool.append([parcel(7), parcel(8)])
    change(newest(tmp_path), 0)
    os.utime(newest(tmp_path), (4, 4))
    with started(tmp_path) as spool:
        assert (drained(spool), spool.lost) == ([], [(parcel(7).heard_ms, 4001)])
    with started(tmp_path) as spool:
        assert spool.lost == [(parcel(7).heard_ms, 4001)]


def test_a_file_by_a_clock_that_is_behind_ours_is_lost_up_to_now(tmp_path: Path) -> None:
    with started(tmp_path) as spool:
        spool.append([parcel(7)])
    change(newest(tmp_path), 0)
    os.utime(newest(tmp_path), (0, 0))
    with started(tmp_path) as spool:
        assert drained(spool) == []
        ((since, until),) = spool.lost
        assert since == parcel(7).heard_ms
        assert until > since


def test_a_file_that_cannot_be_read_is_put_aside_when_it_is_given_up(tmp_path: Path) -> None:
    with started(tmp_path) as spool:
        spool.append([parcel(7)])
    unreadable(newest(tmp_path))
    with started(tmp_path) as spool:
        spool.append([parcel(9)])
        with pytest.raises(OSError, match="directory"):
            spool.first()
        spool.drop_first()
        assert (drained(spool), spool.size) == ([parcel(9)], 0)
        assert [since for since, _ in spool.lost] == [parcel(7).heard_ms]
    (aside,) = tmp_path.rglob("*.damaged")
    assert aside.is_dir(), "nothing is deleted"


def test_a_file_that_cannot_be_removed_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    spool = Spool(tmp_path, 10**6)
    spool.append([parcel(0)])
    assert spool.first() == [parcel(0)]
    monkeypatch.setattr(Path, "unlink", refused)
    spool.drop_first()
    monkeypatch.undo()
    assert spool.empty
    spool.append([parcel(1)])
    assert drained(spool) == [parcel(1)]
    assert drained(Spool(tmp_path, 10**6)) == [parcel(0)]


def test_nothing_is_half_written_beyond_the_limit(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 400)
    spool.append([parcel(0, 100)])
    with pytest.raises(SpoolFull, match="400 at most"):
        spool.append([parcel(1, 100), parcel(2, 100)])
    assert drained(spool) == [parcel(0, 100)]


def test_a_disk_that_takes_nothing_costs_no_parcel_that_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, 10**6)
    spool.append([parcel(0)])
    write = os.write

    def full(file: int, data: bytes) -> int:
        if len(data) > 20:
            return write(file, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SpoolFull, match="No space left"):
        spool.append([parcel(1)])
    monkeypatch.undo()
    spool.append([parcel(2)])
    assert drained(spool) == [parcel(0), parcel(2)]


def test_half_a_parcel_that_cannot_be_taken_back_hides_nothing_that_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, 10**6)
    spool.append([parcel(0)])
    write = os.write

    def broken(file: int, data: bytes) -> int:
        if len(data) > 20:
            return write(file, data[:20])
        raise OSError(5, "Input/output error")

    def stuck(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", broken)
    monkeypatch.setattr(os, "ftruncate", stuck)
    with pytest.raises(SpoolFull, match="Input/output error"):
        spool.append([parcel(1)])
    monkeypatch.undo()
    spool.append([parcel(2)])
    assert drained(spool) == [parcel(0), parcel(2)]


def test_a_damaged_file_is_put_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Spool(tmp_path, 10**6).append([parcel(0), parcel(1), parcel(2)])
    (file,) = tmp_path.glob("*.spool")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    spool = Spool(tmp_path, 10**6)
    assert drained(spool) == [parcel(0)]
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]
    assert "damaged" in caplog.text
    ((since, until),) = spool.lost
    assert since == parcel(0).heard_ms
    assert until > since
    assert Spool(tmp_path, 10**6).lost == spool.lost, "the next process knows it, too"


def test_what_was_damaged_elsewhere_is_known_to_who_takes_over(tmp_path: Path) -> None:
    _, first = claim(tmp_path)
    other, second = claim(tmp_path)
    (other / "0000000001.5-9.damaged").touch()
    os.close(first)
    os.close(second)
    own, _ = claim(tmp_path)
    assert Spool(own, 10**6).lost == [(5, 9)]


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path: Path) -> None:
    for number in range(3):
        Spool(tmp_path, 10**6).append([parcel(number)])
        (file,) = tmp_path.glob("*.spool")
        file.write_bytes(file.read_bytes()[:-1] + b"\xff")
        assert drained(Spool(tmp_path, 10**6)) == []
    assert len({path.read_bytes() for path in tmp_path.glob("*.damaged")}) == 3


def test_what_a_process_that_is_gone_has_left_is_taken_over(tmp_path: Path) -> None:
    one, first = claim(tmp_path)
    other, second = claim(tmp_path)
    Spool(one, 10**6).append([parcel(0)])
    Spool(other, 10**6).append([parcel(1)])
    os.close(first)
    os.close(second)
    own, _ = claim(tmp_path)
    assert sorted(drained(Spool(own, 10**6)), key=lambda one: one.heard_ms) == [parcel(0), parcel(1)]


def test_two_processes_have_two_places(tmp_path: Path) -> None:
    one, lock = claim(tmp_path)
    other, _ = claim(tmp_path)
    assert one != other
    os.close(lock)  # as at the end of a process
    again, _ = claim(tmp_path)
    assert again == one


def test_keys_are_remembered_for_a_while_and_not_for_ever() -> None:
    recent = Recent(most=100)
    assert not recent.repeats("a")
    assert recent.repeats("a")
    for number in range(250):
        recent.repeats(str(number))
    assert recent.repeats("249")
    assert not recent.repeats("a")
    recent.add([hash("b")])
    assert recent.repeats("b")


def test_a_directory_that_can_be_used_is_left_empty(tmp_path: Path) -> None:
    check_usable(tmp_path / "new" / "spool")
    assert list((tmp_path / "new" / "spool").iterdir()) == []


def test_a_directory_that_cannot_be_used_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "nowhere", Path("/proc/spool")):
        with pytest.raises(UserError, match=rf"posts cannot be kept in {wrong} \(.+\).*set STARLING_SPOOL_DIR"):
            check_usable(wrong)


def test_a_directory_that_can_only_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(spooling, "TemporaryFile", refused)  # root may write anywhere
    with pytest.raises(UserError, match=r"\(permission denied\)"):
        check_usable(tmp_path)


def test_a_file_is_not_ended_by_one_thread_while_another_writes_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second half would go to a file that is closed, or to what has its number by then."""
    spool = Spool(tmp_path, 10**6)
    spool.append([parcel(0)])
    read: list[Parcel] = []
    write, ending = os.write, threading.Thread(target=lambda: read.extend(spool.first()))

    def slowly(file: int, data: bytes) -> int:
        if not ending.ident:
            ending.start()
            ending.join(0.2)
            assert ending.is_alive(), "it waits"
            return write(file, data[: len(data) // 2])
        return write(file, data)

    monkeypatch.setattr(spooling.os, "write", slowly)
    spool.append([parcel(1)])
    ending.join(30)
    assert read == [parcel(0), parcel(1)]
