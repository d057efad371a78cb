"""Sweeps on pages and in metrics: beside the one before, drawn, and the newest of each strategy."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from monitor.export.exposition import render
from monitor.export.past import Past
from monitor.export.sweep_chart import Drawing, drawing, round_numbers
from monitor.export.sweeps import described, newest_of_each
from tests.crowds import suite
from tests.sites import snapshot, tally
from tests.sweeps import LEVELS, several, swept


def test_a_sweep_is_held_against_the_last_one_of_its_kind() -> None:
    newest, width, oldest = described(several())
    assert newest.before_at == oldest.started_at
    assert {curve.strategy for curve in newest.curves} == set(LEVELS)
    for curve in newest.curves:
        assert curve.plateau_change_ratio == pytest.approx(-0.12, abs=0.04)
        assert curve.elbow_before is not None
    assert width.before_at is None
    assert not width.rising
    assert all(curve.plateau_change_ratio is None for curve in width.curves)
    assert newest_of_each([newest, width, oldest]) == [newest, width]


def test_what_cannot_be_read_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    good, broken = swept(number=1), swept(number=2)._replace(result={"curves": [{}]})
    with caplog.at_level(logging.WARNING):
        assert [each.id for each in described([broken, good])] == [good.id]
    assert "cannot be shown" in caplog.text


def drawn(*strategies: str) -> Drawing:
    (document,) = described([swept(*strategies)])
    found = drawing(document)
    assert found is not None
    return found


def test_the_drawing_has_a_line_per_strategy_within_its_frame() -> None:
    found = drawn()
    assert [line.strategy for line in found.lines] == list(LEVELS)
    assert len({line.number for line in found.lines}) == len(LEVELS)
    for line in found.lines:
        assert [dot.elbow for dot in line.dots].count(True) == 1
        for dot in line.dots:
            assert found.left <= dot.x <= found.right
            assert found.top <= dot.high <= dot.y <= dot.low <= found.bottom
        assert [a.x < b.x for a, b in pairwise(line.dots)]


def test_names_of_lines_do_not_cover_one_another() -> None:
    places = sorted(line.name_y for line in drawn().lines)
    assert min(b - a for a, b in pairwise(places)) >= 16.9


def test_without_any_valid_round_nothing_is_drawn() -> None:
    plain = swept("asyncpg_copy")
    (curve,) = plain.result["curves"]
    for point in curve["points"]:
        point |= {"rows_per_second": None, "rows_per_second_fast": None, "rounds": 0}
    (document,) = described([plain])
    assert drawing(document) is None


@pytest.mark.parametrize(("least", "most"), [(1, 10), (40_000, 700_000), (98.0, 131.0), (7, 9.3)])
def test_ticks_are_round_and_within(least: float, most: float) -> None:
    found = round_numbers(least, most)
    assert found
    assert all(least <= each <= most for each in found)


def test_metrics_show_each_strategys_newest_sweep() -> None:
    own = tally(runs=2, index_at=None, suite=suite()[:1])
    of_copy = swept("asyncpg_copy", number=9, level=2.0)
    own.past.set_sweeps([of_copy, *several()])
    text = render(snapshot(own), process=False).decode()
    levels = {
        line.partition('strategy="')[2].partition('"')[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("ingest_canary_sweep_plateau_rows_per_second{")
        and 'parameter="batch_size"' in line
    }
    assert levels.keys() == LEVELS.keys()
    assert levels["asyncpg_copy"] > 1.5 * LEVELS["asyncpg_copy"][0]
    assert levels["orm_bulk"] < LEVELS["orm_bulk"][0]
    assert (
        'parameter="width",shape="orders_wide",strategy="orm_bulk",target="main",value="20"}'
        in text
    )
    assert "ingest_canary_sweep_timestamp_seconds{" in text


def test_the_past_forgets_sweeps_that_the_store_has_forgotten() -> None:
    past = Past()
    past.set_sweeps(several())
    assert len(past.view().sweeps) == len(past.sweep_ids) == 3
    past.set_sweeps(())
    assert past.view().sweeps == past.sweep_ids == ()
    assert past.view() is past.view()
