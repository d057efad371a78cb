"""What pages show of the past: every run a point, and nothing without a bound."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from monitor.environment import Difference
from monitor.export import past as module
from monitor.export.curve import Point
from monitor.export.past import EnvironmentChange, Past, points_of
from monitor.judgement import Closing
from monitor.model import CaseKey
from tests.builders import AT, change, environment, judgement, run, usual_run

STEP = timedelta(minutes=10)
RUN = usual_run()
COPY = RUN.cases[0].case.key


def read(past: Past, key: CaseKey = COPY) -> list[Point]:
    parts = past.view().points.get(key, ())
    return [Point(*values) for values in json.loads(b"[" + b",".join(parts) + b"]")]


def noted(count: int = 1) -> Past:
    past = Past(2)
    for number in range(count):
        at = AT + number * STEP
        past.note(replace(RUN, id=f"{number:032x}", started_at=at, finished_at=at), None)
    return past


def test_a_point_holds_the_rate_with_its_interval_the_clocks_and_their_baselines() -> None:
    found = points_of(RUN, judgement())
    copy, executemany = found.values()
    assert copy.at_seconds == AT.timestamp()
    assert copy.rows_per_second_low < copy.rows_per_second < copy.rows_per_second_high  # type: ignore[operator]
    assert copy.rows_per_second_fast == copy.rows_per_second_high
    assert copy.baseline_rows_per_second == 1 / 5e-6
    assert copy.server_seconds_per_row == 0.03 / 20_000
    assert (copy.server_baseline_seconds_per_row, copy.client_baseline_seconds_per_row) == (
        1.5e-6,
        None,
    )
    assert executemany.baseline_rows_per_second is None


def test_a_run_is_kept_with_what_disturbed_it_and_what_failed() -> None:
    (found,) = noted().view().runs
    assert (found.outcome, found.rounds) == ("partial", 9)
    assert found.disturbed == {"checkpoint": 1, "pressure": 1}
    assert found.failures == {"server_error": 1}
    assert found.first_failure is not None
    assert "53100" in found.first_failure.message


def test_lists_end_at_their_bounds_with_the_newest() -> None:
    past = noted(60)
    past.note_changes(
        [change(COPY, id=f"{n:012x}", told_at=AT + n * STEP) for n in range(300)],
        [Closing(f"{n:012x}", "recovered", AT) for n in range(300)],
    )
    view = past.view()
    assert [each.id for each in view.runs] == [f"{n:032x}" for n in range(30, 60)]
    assert len(view.changes) == len(view.ends) == module.MAX_CHANGES
    assert view.changes[-1].id == f"{299:012x}"
    assert len(view.sparks[COPY]) == module.SPARK_POINTS


def test_points_of_a_large_suite_are_fewer_a_case() -> None:
    past = Past(1000)
    past.add_older(COPY, [Point(float(n), 1) for n in range(1000)])
    assert [point.at_seconds for point in read(past)] == list(range(900, 1000))
    assert past.full


def test_a_change_of_environment_is_noted_with_its_differences() -> None:
    past = Past()
    before = environment()
    after = replace(before, server={"fsync": "off"}, fingerprint="ffff00000000")
    for number, made_with in enumerate([before, None, before, after, after]):
        at = AT + number * STEP
        past.note(run(environment=made_with, started_at=at, finished_at=at), None)
    (found,) = past.view().environments
    assert (found.at, found.before, found.after) == (
        AT + 3 * STEP,
        "0123456789ab",
        "ffff00000000",
    )
    assert found.differences == (Difference("server", "fsync", "on", "off"),)


def test_environments_of_the_store_take_the_place_of_those_they_know_too() -> None:
    past = Past()
    after = replace(environment(), server={}, fingerprint="ffff00000000")
    past.note(run(started_at=AT), None)
    past.note(run(environment=after, started_at=AT + STEP), None)
    past.note(run(started_at=AT + 2 * STEP), None)
    own = past.view().environments
    stored = [EnvironmentChange(AT - STEP, "a", "b", ()), own[0]]
    past.set_environments(stored)
    assert past.view().environments == (stored[0], *own)


def test_a_view_stays_what_it_was_and_is_made_once() -> None:
    past = noted(3)
    view = past.view()
    assert past.view() is view
    past.note(replace(RUN, started_at=AT + 9 * STEP), None)
    assert len(view.runs) == 3
    assert past.view() is not view
    assert len(read(past)) == 4
