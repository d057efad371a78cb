"""What the daemon logs of a judgement."""

from __future__ import annotations

import logging

import pytest

from monitor.daemon.telling import tell
from monitor.judgement import Change, Closing, Judgement
from tests.builders import AT, change, judgement

LINE = (
    "main · 5 of 6 strategies · server +31 % (rows/s −14 %) since 2026-11-22 14:10 ± 10 min"
    " · index added on ingest_canary.orders(customer_id)"
)


def told(
    caplog: pytest.LogCaptureFixture, before: tuple[Change, ...], said: Judgement
) -> list[tuple[str, str]]:
    with caplog.at_level(logging.INFO):
        tell("main", before, said)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_states_are_counted_worst_first(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, (), judgement()) == [("INFO", "main: 1 regressed, 1 learning")]


def test_a_story_that_begins_to_alarm_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, (), judgement(change()))[1:] == [("WARNING", f"{LINE} [c0ffee000001]")]


def test_one_that_grows_is_not_called_again(caplog: pytest.LogCaptureFixture) -> None:
    more = change(id="c0ffee000002")
    assert [level for level, _ in told(caplog, (change(),), judgement(more))] == ["INFO", "INFO"]


def test_drift_and_ends_are_information(caplog: pytest.LogCaptureFixture) -> None:
    ended = judgement(closings=(Closing(change().id, "recovered", AT),))
    (_, line) = told(caplog, (change(),), ended)
    assert line == ("INFO", f"{LINE} · recovered 2026-11-22 14:10 [c0ffee000001]")
    caplog.clear()
    drift = judgement(change(kind="drift", effect_ratio=0.02))
    assert told(caplog, (), drift)[1][0] == "INFO"


def test_what_stands_untouched_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    assert len(told(caplog, (change(),), judgement())) == 1
