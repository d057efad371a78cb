"""The line over time: where it is high, low and blank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli.sparkline import BLOCKS, Step, sparkline

MIDDLE = BLOCKS[len(BLOCKS) // 2]


def every_ten(*values: float | None) -> list[Step]:
    """Steps of ten seconds each, nothing where there is None."""
    return [Step(10.0 * n, 10.0 * n + 10, v) for n, v in enumerate(values) if v is not None]


def line(*values: float | None, width: int | None = None) -> str:
    return sparkline(every_ten(*values), 0, 10.0 * len(values), width or len(values))


def test_noise_of_a_percent_is_a_flat_line() -> None:
    assert line(100, 101, 99, 100, 99.5, 100.9) == MIDDLE * 6


def test_ten_percent_less_is_the_lowest_and_ten_more_the_highest() -> None:
    assert line(100, 100, 90, 110, 100) == "▄▄▁▇▄"


def test_the_scale_ends_at_the_extremes_where_they_lie_farther_apart() -> None:
    assert line(100, 100, 100, 50, 150, 100) == "▄▄▄▁▇▄"
    assert line(100, 100, 100, 30, 100) == "▇▇▇▁▇"
    assert line(100, 100, 170, 100) == "▁▁▇▁"


def test_each_series_has_a_scale_of_its_own() -> None:
    assert line(100, 100, 80, 100) == line(5e6, 5e6, 4e6, 5e6)


def test_a_stretch_without_steps_is_blank() -> None:
    assert line(100, None, None, 100, None) == "▄  ▄ "
    assert sparkline([], 0, 60, 6) == " " * 6


def test_many_steps_of_a_stretch_are_their_median() -> None:
    assert line(100, 100, 20, 100, 100, 100, width=2) == "▄▄"
    assert line(100, 100, 100, 100, 80, 80, 80, 100, width=2) == "▇▁"


def test_a_step_fills_the_stretches_whose_middle_it_reaches() -> None:
    assert sparkline([Step(0, 40, 1)], 0, 80, 8) == "▄▄▄▄    "
    assert sparkline([Step(0, 34, 1)], 0, 80, 8) == "▄▄▄     "
    assert sparkline([Step(0, 36, 1)], 0, 80, 8) == "▄▄▄▄    "
    assert sparkline([Step(19, 19, 1)], 0, 80, 8) == " ▄      "


def test_a_step_from_before_is_seen_as_far_as_it_reaches_in() -> None:
    assert sparkline([Step(-50, 16, 1)], 0, 80, 8) == "▄▄      "
    assert sparkline([Step(-50, 500, 1)], 0, 80, 8) == "▄" * 8


def test_what_begins_at_the_very_end_is_in_the_last_stretch() -> None:
    assert sparkline([Step(80, 80, 1)], 0, 80, 8) == "       ▄"
    assert sparkline([Step(0, 0, 1)], 0, 0, 3).strip() == "▄"


@pytest.mark.parametrize("width", [1, 24, 32])
@given(values=st.lists(st.none() | st.floats(1e-3, 1e9), min_size=1, max_size=80))
def test_it_is_as_wide_as_asked_and_of_blocks(width: int, values: list[float | None]) -> None:
    drawn = line(*values, width=width)
    assert len(drawn) == width
    assert set(drawn) <= {*BLOCKS, " "}
    assert drawn.isspace() == (not every_ten(*values))
