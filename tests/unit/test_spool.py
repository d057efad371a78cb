"""The spool: what is put is there whole, in order, within its bound; odd files harm nothing."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from monitor.errors import StoreRejected
from monitor.store import spool as spool_module
from monitor.store.codec import encode
from monitor.store.spool import Spool
from tests.records import record

PLENTY = 1 << 30
SIZE = len(encode(record(1)))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data" / "spool"


@pytest.fixture
def spool(directory: Path) -> Spool:
    return Spool(directory, PLENTY)


def numbers(spool: Spool) -> list[int]:
    return [int(each.run_id, 16) for each in spool.waiting()]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# --- in and out ----------------------------------------------------------------------------------


def test_nothing_waits_where_nothing_was_put(spool: Spool, directory: Path) -> None:
    assert spool.waiting() == []
    assert not directory.exists()


def test_what_was_put_is_there_for_another_process(spool: Spool, directory: Path) -> None:
    assert spool.put(record(1)) == 0
    other = Spool(directory, PLENTY)
    (waiting,) = other.waiting()
    assert other.get(waiting) == record(1)
    assert waiting.samples == record(1).sample_count == 6


def test_the_oldest_comes_first_whenever_it_was_put(spool: Spool) -> None:
    for number in (5, 1, 9, 3):
        spool.put(record(number))
    assert numbers(spool) == [1, 3, 5, 9]


def test_put_twice_it_waits_once(spool: Spool) -> None:
    spool.put(record(1))
    spool.put(record(1))
    assert numbers(spool) == [1]


def test_two_runs_of_one_moment_wait_both(spool: Spool) -> None:
    spool.put(record(1))
    spool.put(record(2, started_at=record(1).started_at))
    assert sorted(numbers(spool)) == [1, 2]


def test_a_run_without_samples_waits_too(spool: Spool) -> None:
    empty = record(1, strategies=())
    spool.put(empty)
    (waiting,) = spool.waiting()
    assert waiting.samples == 0
    assert spool.get(waiting) == empty


def test_removed_it_is_gone_and_removing_again_is_no_error(spool: Spool) -> None:
    spool.put(record(1))
    spool.put(record(2))
    first, _ = spool.waiting()
    spool.remove([first])
    spool.remove([first])
    assert numbers(spool) == [2]
    assert spool.get(first) is None


# --- the bound -----------------------------------------------------------------------------------


def test_beyond_the_bound_the_oldest_go_and_are_counted(directory: Path) -> None:
    spool = Spool(directory, 3 * SIZE + SIZE // 2)
    assert [spool.put(record(number)) for number in range(1, 6)] == [0, 0, 0, 6, 6]
    assert numbers(spool) == [3, 4, 5]


def test_a_late_old_run_goes_before_newer_ones(directory: Path) -> None:
    spool = Spool(directory, 2 * SIZE + SIZE // 2)
    for number in (5, 6):
        spool.put(record(number))
    assert spool.put(record(1)) == 6
    assert numbers(spool) == [5, 6]


def test_the_newest_stays_whatever_the_bound(directory: Path) -> None:
    spool = Spool(directory, 1)
    assert spool.put(record(1)) == 0
    assert spool.put(record(2)) == 6
    assert numbers(spool) == [2]


# --- what goes wrong -----------------------------------------------------------------------------


def test_damaged_it_is_refused_and_can_be_put_aside(spool: Spool, directory: Path) -> None:
    spool.put(record(1))
    (waiting,) = spool.waiting()
    path = directory / waiting.name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreRejected):
        spool.get(waiting)
    spool.reject(waiting)
    assert spool.waiting() == []
    assert files(directory / "rejected") == [waiting.name]


def test_put_aside_by_another_process_is_no_error(spool: Spool, directory: Path) -> None:
    spool.put(record(1))
    (waiting,) = spool.waiting()
    Spool(directory, PLENTY).reject(waiting)
    spool.reject(waiting)
    assert files(directory / "rejected") == [waiting.name]


FOREIGN = (
    "README",
    "1-a-b.json.gz",
    "²-a-1.json.gz",
    "5-00000000000000000000000000000001-6.json.gz",
    "00001764000000000000-00000000000000000000000000000001-06.json.gz",
    "00001764000000000000-00000000000000000000000000000001-6.json",
    "00001764000000000000-00000000000000000000000000000001-6.json.17.new",
    "-0000000000000000005-00000000000000000000000000000001-6.json.gz",
)


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_others_are_left_alone(spool: Spool, directory: Path, name: str) -> None:
    spool.put(record(1))
    (directory / name).write_text("somebody's")
    assert numbers(spool) == [1]
    Spool(directory, 1).put(record(2))
    assert (directory / name).read_text() == "somebody's"


def test_a_full_disk_leaves_no_half_a_file(
    spool: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.put(record(1))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spool_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        spool.put(record(2))
    assert numbers(spool) == [1]
    assert len(files(directory)) == 1


def test_a_file_is_on_disk_before_it_has_its_name(
    spool: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the directory, or the name could be lost with the power."""
    synced: list[str] = []
    sync = os.fsync

    def remember(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append("directory" if path.is_dir() else path.suffix)
        assert len(spool.waiting()) == (1 if path == directory else 0)
        sync(descriptor)

    monkeypatch.setattr(spool_module.os, "fsync", remember)
    spool.put(record(1))
    assert synced[-2:] == [".new", "directory"]


def test_what_a_killed_process_left_half_written_goes_in_the_end(
    spool: Spool, directory: Path
) -> None:
    spool.put(record(1))
    (waiting,) = spool.waiting()
    old, young = (directory / f"{waiting.name}.{pid}.new" for pid in (17, 18))
    for path in (old, young):
        path.write_text("half")
    yesterday = time.time() - 86_400
    os.utime(old, (yesterday, yesterday))
    spool.put(record(2))
    assert not old.exists()
    assert young.exists()  # somebody may be writing it
    assert numbers(spool) == [1, 2]


def test_where_the_directory_cannot_be_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(OSError, match="spool"):
        Spool(tmp_path / "spool", PLENTY).put(record(1))
