"""Posts on disk: in order, whole or not at all, bounded, and no two processes in one place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.errors import UserError
from app.tracking import spool as spooling
from app.tracking.parcel import Parcel
from app.tracking.recent import Recent
from app.tracking.spool import Spool, SpoolFull, check_usable, claim


def parcel(number: int, size: int = 10) -> Parcel:
    return Parcel("raw_tweets", b"%d:" % number + b"x" * size, [("source", b"x")], None, "x", 1000 + number, 1, number)


def drained(spool: Spool) -> list[Parcel]:
    found = []
    while not spool.empty:
        found += spool.first()
        spool.drop_first()
    return found


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


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_parcel_that_a_kill_cut_off_is_left_out(tmp_path: Path, cut: int) -> None:
    Spool(tmp_path, 10**6).append([parcel(0), parcel(1)])
    (file,) = tmp_path.glob("*.spool")
    os.truncate(file, file.stat().st_size - cut)
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
