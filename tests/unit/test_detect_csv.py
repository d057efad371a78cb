"""ingest-canary detect: anybody's series, as rows that arrive one by one."""

from __future__ import annotations

import json
import random
from math import exp, log
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from monitor.cli.detect import detect
from monitor.detect.detector import update
from monitor.detect.parameters import Parameters
from monitor.detect.series import Observation, SeriesState
from monitor.errors import ConfigurationError


def rates(count: int, seed: int = 1) -> list[float]:
    choice = random.Random(seed)
    return [1000 * exp(choice.gauss(0, 0.01)) for _ in range(count)]


def dropped(at: int, count: int, factor: float = 0.8) -> list[float]:
    return [rate * (factor if n >= at else 1.0) for n, rate in enumerate(rates(count))]


def table(**columns: list[Any]) -> str:
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"


def call(text: str, *options: str) -> Result:
    return CliRunner().invoke(detect, ["-", *options], input=text, standalone_mode=False)


def found(text: str, *options: str) -> list[dict[str, Any]]:
    outcome = call(text, "--json", *options)
    assert outcome.exception is None
    changes = json.loads(outcome.stdout)
    assert isinstance(changes, list)
    return changes


def test_a_drop_is_a_regression_told_in_two_rows() -> None:
    (change,) = found(table(rate=dropped(100, 120)))
    assert change["effect_ratio"] == pytest.approx(-0.2, abs=0.02)
    del change["effect_ratio"]
    assert change == {
        "series": "rate",
        "direction": "regression",
        "start_index": 100,
        "start_low": 100,
        "start_high": 100,
        "alarm_index": 101,
        "recovered_index": None,
    }


def test_lower_is_better_turns_it_round() -> None:
    (change,) = found(table(seconds=dropped(100, 120)), "--lower-is-better")
    assert change["direction"] == "improvement"
    assert change["effect_ratio"] == pytest.approx(-0.2, abs=0.02)


def test_a_recovery_is_told() -> None:
    rows = dropped(100, 120) + rates(20, 2)
    (change,) = found(table(rate=rows))
    assert change["recovered_index"] == 121


def test_it_is_the_daemons_detector() -> None:
    rows = dropped(100, 160, 0.93)
    state, alarms = SeriesState(), []
    for number, rate in enumerate(rows):
        state, verdict = update(state, Observation(number, -log(rate)), Parameters())
        alarms += [event.number for event in verdict.events if event.what == "opened"]
    assert [change["alarm_index"] for change in found(table(rate=rows))] == alarms


@pytest.mark.parametrize("count", [101, 102, 110, 150])
def test_what_was_told_does_not_depend_on_what_follows(count: int) -> None:
    rows = dropped(100, 150)
    early = found(table(rate=rows[:count]))
    later = [c for c in found(table(rate=rows)) if c["alarm_index"] < count]
    assert early == later


def test_the_floor_and_the_threshold_and_learning_are_used() -> None:
    text = table(rate=dropped(100, 140, 0.97))
    assert found(text) == []
    assert len(found(text, "--floor", "1.5%")) == 1
    assert found(text, "--floor", "0.015") == found(text, "--floor", "1.5%")
    assert found(text, "--floor", "1.5%", "--threshold", "40") == []
    early = table(rate=dropped(14, 40))
    assert found(early) == []
    assert found(early, "--learning", "10")[0]["start_index"] == 14


def test_several_series_and_other_columns() -> None:
    text = table(
        timestamp=[f"2026-11-22T{n // 60:02}:{n % 60:02}:00Z" for n in range(120)],
        steady=rates(120, 3),
        commit=["abc"] * 120,
        rate=dropped(100, 120),
    )
    outcome = call(text, "--json")
    assert [change["series"] for change in json.loads(outcome.stdout)] == ["rate"]
    assert outcome.stderr == "note: column 'commit' is not numeric: left out.\n"


def test_a_table_for_people() -> None:
    times = [1_790_000_000 + 600 * n for n in range(120)]
    outcome = call(table(timestamp=times, rate=dropped(100, 120)))
    assert "regression" in outcome.stdout
    assert str(times[100]) in outcome.stdout
    assert "row 101" in outcome.stdout
    assert call(table(rate=rates(50))).stdout == (
        "No change of 5.0% or more in 1 series, 50 rows.\n"
    )


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["nan"] * 3, "3 cells left out: not a finite number"),
        (["inf"] * 2, "2 cells left out: not a finite number"),
        ([0, -5], "2 cells left out: zero or below"),
        (["", "?"], "2 cells left out: empty or not a number"),
    ],
)
def test_odd_cells_are_gaps_and_noted(cells: list[Any], note: str) -> None:
    rows: list[Any] = dropped(100, 120)
    text = table(timestamp=range(120 + len(cells)), rate=[*rows[:50], *cells, *rows[50:]])
    outcome = call(text, "--json")
    assert outcome.exception is None
    assert note in outcome.stderr
    (change,) = json.loads(outcome.stdout)
    assert change["start_index"] == 100 + len(cells)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (table(rate=[7] * 100), "'rate': constant"),
        (table(rate=rates(24)), "24 usable values, and 24 are for learning"),
        ("rate\n", ""),
        (table(timestamp=[*range(50), *range(90, 140)], rate=rates(100)), "1 gaps in time"),
        (table(timestamp=[5, 4, 6], rate=rates(3)), "not in order"),
        (table(timestamp=["soon"] * 30, rate=rates(30)), "30 timestamps are neither"),
        ("a,b\n" + "1\n" * 30, "30 rows have more or fewer cells"),
        ("a,b\n" + "1,\n" * 30, "column 'b' holds no number"),
    ],
)
def test_odd_files_are_noted(text: str, note: str) -> None:
    outcome = call(text, "--json")
    assert outcome.exception is None
    assert json.loads(outcome.stdout) == []
    assert note in outcome.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty; a header row is needed"),
        ("1,2\n3,4\n", "begins with numbers; a header row is needed"),
        ("a,a\n1,2\n", "column 'a' is there twice"),
        ("a;b\n1;2\n", "separated by commas"),
        ("a,b\nx,y\n", "no numeric column"),
    ],
)
def test_what_is_no_series_is_refused_in_a_sentence(text: str, why: str) -> None:
    outcome = call(text)
    assert isinstance(outcome.exception, ConfigurationError)
    assert why in str(outcome.exception)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "binary.csv"
    file.write_bytes(b"a\n\xd0\xd0\n")
    outcome = CliRunner().invoke(detect, [str(file)], standalone_mode=False)
    assert isinstance(outcome.exception, ConfigurationError)


@pytest.mark.parametrize("floor", ["5", "0", "x%", "100%", "-1%"])
def test_a_floor_that_is_no_ratio_is_refused(floor: str) -> None:
    outcome = CliRunner().invoke(detect, ["-", "--floor", floor], input="a\n1\n")
    assert outcome.exit_code == 2
    assert "write 0.05 or 5%" in outcome.stderr


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "excel.csv"
    file.write_bytes(b"\xef\xbb\xbf" + table(rate=dropped(100, 120)).encode())
    outcome = CliRunner().invoke(detect, [str(file), "--json"], standalone_mode=False)
    assert json.loads(outcome.stdout)[0]["series"] == "rate"
