"""The clocks of a round, wound by hand."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from monitor.measure import clocks
from monitor.measure.clocks import RoundClock, collector_held_off


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Wall and CPU time, moved by the test only."""
    now = {"wall": 100.0, "cpu": 10.0}
    monkeypatch.setattr(clocks, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(clocks, "thread_time", lambda: now["cpu"])
    return now


def test_a_round_is_its_batches_and_its_commit(hands: dict[str, float]) -> None:
    clock = RoundClock()
    clock.start()
    for wall, cpu in ((2.0, 1.5), (3.0, 0.5)):
        hands["wall"] += wall
        hands["cpu"] += cpu
        clock.batch_done()
    hands["wall"] += 0.25
    clock.committed()
    assert clock.batch_seconds == [2.0, 3.0]
    assert clock.commit_seconds == 0.25
    assert clock.insert_seconds == 5.25
    assert clock.client_seconds == 2.0


def test_what_lies_between_two_transactions_is_not_counted(hands: dict[str, float]) -> None:
    clock = RoundClock()
    for _ in range(2):
        hands["wall"] += 50.0  # what opens the transaction
        hands["cpu"] += 5.0
        clock.start()
        hands["wall"] += 1.0
        hands["cpu"] += 0.5
        clock.batch_done()
        hands["wall"] += 0.5
        clock.committed()
    assert clock.batch_seconds == [1.0, 1.0]
    assert (clock.insert_seconds, clock.commit_seconds, clock.client_seconds) == (3.0, 1.0, 1.0)


@pytest.fixture
def collector() -> Iterator[None]:
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.usefixtures("collector")
def test_the_collector_is_as_before_also_after_an_error(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    with pytest.raises(RuntimeError), collector_held_off():
        assert not gc.isenabled()
        raise RuntimeError
    assert gc.isenabled() is enabled
