"""The kernel's counters: read from files as they are, and unknown where they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.measure import disturbance
from monitor.measure.disturbance import (
    HostActivity,
    checkpoint_started,
    host_activity,
    pressure_ratio,
    steal_ratio,
)

STAT = "cpu  100 2 30 4000 50 6 7 80 900 1000\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
PRESSURE = "some avg10=1.50 avg60=0.75 avg300=0.10 total=123456\nfull avg10=0.00 total=9\n"
UNKNOWN = HostActivity(None, None, None)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that stands for /proc, with the files of a usual kernel."""
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "pressure").write_text(PRESSURE)
    monkeypatch.setattr(disturbance, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(disturbance, "_PRESSURE", tmp_path / "pressure")
    return tmp_path


@pytest.mark.usefixtures("kernel")
def test_guests_are_not_counted_twice_and_some_is_read_not_full() -> None:
    """The last two columns of /proc/stat are contained in the first two."""
    assert host_activity() == HostActivity(80, 100 + 2 + 30 + 4000 + 50 + 6 + 7 + 80, 123456)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h\n"])
def test_an_odd_kernel_is_unknown_not_zero(kernel: Path, text: str) -> None:
    (kernel / "stat").write_text(text)
    (kernel / "pressure").write_text(text)
    assert host_activity() == UNKNOWN


def test_a_kernel_that_does_not_say_is_unknown(kernel: Path) -> None:
    (kernel / "stat").unlink()
    (kernel / "pressure").unlink()
    assert host_activity() == UNKNOWN


def test_shares_are_of_the_differences() -> None:
    before, after = HostActivity(40, 1000, 250_000), HostActivity(60, 1100, 750_000)
    assert steal_ratio(before, after) == 0.2
    assert pressure_ratio(before, after, 2.0) == 0.25


def test_a_round_shorter_than_a_tick_has_no_steal_and_pressure_never_exceeds_one() -> None:
    before, after = HostActivity(40, 1000, 0), HostActivity(40, 1000, 9_000_000)
    assert steal_ratio(before, after) == 0.0
    assert pressure_ratio(before, after, 2.0) == 1.0


@pytest.mark.parametrize("known", ["before", "after"])
def test_one_unknown_end_makes_the_share_unknown(known: str) -> None:
    there = HostActivity(1, 2, 3)
    ends = (there, UNKNOWN) if known == "before" else (UNKNOWN, there)
    assert steal_ratio(*ends) is None
    assert pressure_ratio(*ends, 1.0) is None


def test_no_checkpoint_is_none_and_both_ends_of_a_round_belong_to_it() -> None:
    assert not checkpoint_started(100, 200, ())
    assert checkpoint_started(100, 200, {5, 200})
