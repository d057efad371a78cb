"""The time of day as a process tells it: never back, whatever is done to the system's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.measure.clocks import SteadyClock

AT = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Hands:
    """The system's two clocks, moved by the test only."""

    def __init__(self) -> None:
        self.wall, self.monotonic = AT, 5000.0

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.monotonic)

    def pass_by(self, seconds: float, step: timedelta = timedelta(0)) -> None:
        """Time passes; and somebody sets the wall clock by ``step``."""
        self.monotonic += seconds
        self.wall += timedelta(seconds=seconds) + step


def test_it_tells_the_time_of_the_wall_clock() -> None:
    hands = Hands()
    clock = hands.steady()
    assert clock.now() == AT
    hands.pass_by(10)
    assert clock.now() == AT + timedelta(seconds=10)


def test_set_back_it_goes_on_at_the_pace_of_the_monotonic_clock() -> None:
    hands = Hands()
    clock = hands.steady()
    hands.pass_by(10, step=-HOUR)
    assert clock.now() == AT + timedelta(seconds=10)
    hands.pass_by(600)
    assert clock.now() == AT + timedelta(seconds=610)


def test_the_wall_clock_is_followed_again_when_it_has_caught_up() -> None:
    hands = Hands()
    clock = hands.steady()
    hands.pass_by(10, step=-HOUR)
    clock.now()
    hands.pass_by(10, step=2 * HOUR)
    assert clock.now() == AT + timedelta(seconds=20) + HOUR


def test_a_step_forward_is_followed_at_once() -> None:
    hands = Hands()
    clock = hands.steady()
    hands.pass_by(1, step=HOUR)
    assert clock.now() == AT + timedelta(seconds=1) + HOUR


def test_a_step_back_that_nobody_looked_at_in_between_loses_no_time() -> None:
    hands = Hands()
    clock = hands.steady()
    hands.pass_by(300)
    hands.pass_by(300, step=-HOUR)
    assert clock.now() == AT + timedelta(seconds=600)


def test_not_before_moves_it_on_and_never_back() -> None:
    hands = Hands()
    clock = hands.steady()
    clock.not_before(AT + HOUR)
    assert clock.now() == AT + HOUR
    hands.pass_by(5)
    assert clock.now() == AT + HOUR + timedelta(seconds=5)
    clock.not_before(AT)
    assert clock.now() == AT + HOUR + timedelta(seconds=5)


def test_it_starts_from_the_system_clocks() -> None:
    before = datetime.now(UTC)
    assert before <= SteadyClock().now() <= datetime.now(UTC) + timedelta(seconds=1)


_steps = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=1e5),
        st.timedeltas(min_value=timedelta(days=-3), max_value=timedelta(days=3)),
    )
)


@given(_steps)
def test_it_never_goes_back_and_never_falls_behind(steps: list[tuple[float, timedelta]]) -> None:
    hands = Hands()
    clock = hands.steady()
    last, mark = clock.now(), hands.monotonic
    for seconds, step in steps:
        hands.pass_by(seconds, step)
        now = clock.now()
        assert now >= hands.wall
        # To the microsecond that a timedelta rounds to.
        passed = timedelta(seconds=hands.monotonic - mark)
        assert now - last >= passed
        last, mark = now, hands.monotonic
