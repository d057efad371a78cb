"""Extra runs on suspicion: how many, how often, and that they come tagged."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.daemon.confirming import CONFIRMATION_SECONDS, Confirmations
from monitor.model import Trigger
from tests.builders import AT, judgement, run

SUSPICION = judgement(confirm=True)


def granted(confirmations: Confirmations, minutes: float = 0, trigger: Trigger = "scheduled",
            confirm: bool = True) -> int:  # fmt: skip
    now = AT + timedelta(minutes=minutes)
    asked = run(started_at=now, trigger=trigger)
    return confirmations.granted(asked, replace(SUSPICION, confirm=confirm), now)


def made(confirmations: Confirmations, count: int, minutes: float = 0) -> None:
    for _ in range(count):
        at = AT + timedelta(minutes=minutes)
        confirmations.note("main", run(started_at=at, trigger="confirmation"))


def test_a_suspicion_brings_three() -> None:
    confirmations = Confirmations(600, 3)
    assert granted(confirmations) == 3
    assert granted(confirmations, confirm=False) == 0


@pytest.mark.parametrize("trigger", ["confirmation", "manual"])
def test_only_a_scheduled_run_asks(trigger: Trigger) -> None:
    assert granted(Confirmations(600, 3), trigger=trigger) == 0


def test_they_are_a_twentieth_of_a_days_runs_and_no_more() -> None:
    confirmations = Confirmations(600, 3)  # 144 a day: 7
    for count, left in ((3, 3), (3, 1), (1, 0)):
        made(confirmations, count)
        assert granted(confirmations) == left
    assert granted(confirmations, minutes=24 * 60 - 1) == 0
    assert granted(confirmations, minutes=24 * 60) == 3


def test_other_targets_have_their_own() -> None:
    confirmations = Confirmations(600, 3)
    for _ in range(7):
        confirmations.note("other", run(trigger="confirmation"))
    assert granted(confirmations) == 3


def test_scheduled_runs_are_not_counted() -> None:
    confirmations = Confirmations(600, 3)
    for _ in range(100):
        confirmations.note("main", run())
    assert granted(confirmations) == 3


def test_at_a_short_interval_the_next_runs_come_as_soon() -> None:
    assert granted(Confirmations(3 * CONFIRMATION_SECONDS, 3)) == 0
    assert granted(Confirmations(3 * CONFIRMATION_SECONDS + 1, 3)) == 3


def test_a_daily_run_may_be_confirmed_once_a_day() -> None:
    confirmations = Confirmations(86_400, 3)
    assert granted(confirmations) == 3
    made(confirmations, 3)
    assert granted(confirmations) == 0


def test_none_where_none_are_wanted() -> None:
    assert granted(Confirmations(600, 0)) == 0
