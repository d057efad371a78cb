"""The fault matrix: a process appends runs while its store fails; sent against found."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.store.database import Location
from tests.acceptance.fault_table import Fault
from tests.acceptance.process import ROOT
from tests.acceptance.writer import Orders
from tests.conftest import missing
from tests.contents import contents_of
from tests.servers import Server

pytestmark = pytest.mark.slow

#: Samples of one of the writer's runs: three strategies, two rounds each.
SAMPLES = 6


@pytest.fixture
def own_server(pg_bin: Path, server_root: Path) -> Iterator[Server]:
    """A server that a test may stop; what it says is committed is on disk."""
    server = Server(pg_bin, server_root / "faults", {"fsync": "on"}).start()
    yield server
    server.remove()


class Writer:
    """The writing process; ``told`` are the numbers of the runs whose append has returned."""

    def __init__(self, orders: Orders) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.writer", orders.as_json()],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told: list[int] = []

    def hear(self, count: int) -> None:
        """Wait until that many more runs were appended."""
        assert self.process.stdout
        for _ in range(count):
            line = self.process.stdout.readline()
            if not line:
                return
            self.told.append(int(line))

    def finish(self) -> list[int]:
        self._hear_all()
        assert self.process.wait(120) == 0
        return self.told

    def kill(self) -> list[int]:
        """SIGKILL; what it had told by then counts."""
        self.process.kill()
        self._hear_all()
        self.process.wait()
        return self.told

    def _hear_all(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            self.told += [int(line) for line in lines]


def assert_kept(fault: Fault, place: Location, told: list[int], sent: int) -> None:
    """All that was told is there, once; what was under way when it was killed may be."""
    found = contents_of(place)
    numbers = {int(run_id, 16) for run_id in found.samples}
    kept = len(numbers & set(told))
    samples = f"{kept * SAMPLES} of {len(told) * SAMPLES} samples"
    fault.kept(f"{samples}, {found.doubled} doubled, {place.dialect}")
    assert set(told) <= numbers <= set(range(sent))
    assert set(found.samples.values()) <= {SAMPLES}
    assert (found.doubled, found.orphans) == (0, 0)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_five_times_in_the_middle_of_appends(
    tmp_path: Path, own_server: Server, kind: str, fault: Fault
) -> None:
    rng = random.Random(20261124)
    url = own_server.create_database("killed") if kind == "postgresql" else None
    place = Location(tmp_path / "store.sqlite", url)
    told: list[int] = []
    for attempt in range(5):
        writer = Writer(Orders.of(place, first=1000 * attempt, count=1000))
        writer.hear(rng.randint(2, 40))
        told += writer.kill()
    Writer(Orders.of(place, first=9000, count=1)).finish()  # brings in what waits
    assert_kept(fault, place, [*told, 9000], 9001)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_server_that_ends_and_comes_back(
    tmp_path: Path, own_server: Server, how: str, fault: Fault
) -> None:
    place = Location(tmp_path / "none", own_server.create_database("ends"))
    writer = Writer(Orders.of(place, count=120))
    writer.hear(20)
    own_server.stop() if how == "stopped" else own_server.kill()
    writer.hear(40)
    own_server.start()
    assert_kept(fault, place, writer.finish(), 120)


def test_table_locked_longer_than_the_store_is_waited_for(
    tmp_path: Path, own_server: Server, fault: Fault
) -> None:
    place = Location(tmp_path / "none", own_server.create_database("locked"))
    writer = Writer(Orders.of(place, count=60, timeout=0.5))
    writer.hear(10)
    own_server.sql(
        "BEGIN; LOCK TABLE ingest_canary_store.sample IN ACCESS EXCLUSIVE MODE;"
        " SELECT pg_catalog.pg_sleep(4); COMMIT",
        "locked",
    )
    assert_kept(fault, place, writer.finish(), 60)


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of that size; yields what makes it another."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        missing("a small file system cannot be mounted: needs root")
    try:
        yield lambda larger: _remount(directory, larger)
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def _remount(directory: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(directory)], check=True)


@pytest.mark.parametrize("spool", ["on another disk", "on the full disk"])
def test_disk_full(tmp_path: Path, spool: str, fault: Fault) -> None:
    with small_disk(tmp_path / "disk", "320k") as grow:
        place = Location(tmp_path / "disk" / "store.sqlite")
        elsewhere = tmp_path / "spool" if "another" in spool else place.path.parent / "spool"
        writer = Writer(Orders.of(place, count=400, spool=str(elsewhere)))
        writer.hear(300)
        grow("64m")
        assert_kept(fault, place, writer.finish(), 400)


def test_clock_set_back_an_hour(tmp_path: Path, fault: Fault) -> None:
    place = Location(tmp_path / "store.sqlite")
    told = Writer(Orders.of(place, count=60, step_back=30)).finish()
    assert_kept(fault, place, told, 60)
    order = sorted(contents_of(place).samples)
    assert order == [f"{number:032x}" for number in range(60)]
