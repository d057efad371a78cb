"""Work counters: what the server was asked to do per row. They hardly vary, so no statistics.

Two equal runs in a row that differ from the level by 0.5 % (rows per call: at all) are a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import log
from statistics import median
from typing import Any

from monitor.detect.codec import encode_change
from monitor.detect.parameters import Parameters
from monitor.detect.series import Event, Opened, SeriesVerdict
from monitor.judgement import State
from monitor.model import CaseResult, Sample

#: Smallest change of a counter, logarithmic, and of one that is exact.
_LEAST = 0.005
_LEAST_EXACT = 1e-6

#: Runs that tell how well a counter repeats; an exact one needs as many as a change does.
_LEARNING = 6
_LEARNING_EXACT = 2

#: Deviations of a counter from its median that are its own, in median absolute deviations.
_OWN = 6.0

#: A counter that varies more than this is no counter of work: it is left alone.
_MOST = 0.05


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter's state; logarithms per row. ``pending`` is a run that differed: number, value.

    ``level`` is None while it learns, ``tolerance`` how far from a level is still that level.
    """

    learned: tuple[float, ...] = ()
    level: float | None = None
    tolerance: float = 0.0
    pending: tuple[int, float] | None = None
    changes: tuple[Opened, ...] = ()

    @property
    def now(self) -> float | None:
        return self.changes[-1].after if self.changes else self.level


WorkState = Mapping[str, Counter]


def counters(result: CaseResult) -> dict[str, float]:
    """The counters of a run's clean rounds, as logarithms per row; more is worse."""
    wal = result.summary.wal_bytes_per_row if result.summary else None
    found = {  # The most telling first.
        "calls": _typical(result, lambda s: s.calls),
        "wal_records": _typical(result, lambda s: s.wal_records),
        "blocks": _typical(result, lambda s: _sum(s.blocks_hit, s.blocks_read)),
    }
    # Of all rounds that with the fewest full-page images: those depend on checkpoints.
    found["wal_bytes"] = log(wal) if wal else None
    return {name: value for name, value in found.items() if value is not None}


def judge_work(
    state: WorkState, number: int, found: Mapping[str, float], rules: Parameters
) -> tuple[WorkState, SeriesVerdict, Mapping[str, tuple[Event, ...]]]:
    """The counters' states, their common verdict, and the events of each."""
    after, events = dict(state), {}
    for name, value in found.items():
        after[name], events[name] = _count(state.get(name, Counter()), name, number, value, rules)
    opened = [change for counter in after.values() for change in counter.changes]
    worst = max((change.effect for change in opened), default=0.0, key=abs)
    return after, SeriesVerdict(_label(after), worst), events


def accept_work(state: WorkState, number: int) -> tuple[WorkState, Mapping[str, tuple[Event, ...]]]:
    """Make the present work the baseline."""
    events = {
        name: tuple(Event("accepted", number, change) for change in counter.changes)
        for name, counter in state.items()
    }
    return {
        name: replace(counter, level=counter.now, changes=()) for name, counter in state.items()
    }, events


def encode_work(state: WorkState) -> dict[str, Any]:
    """The counters in what JSON knows."""
    return {
        name: {
            "learned": list(counter.learned),
            "level": counter.level,
            "tolerance": counter.tolerance,
            "pending": counter.pending and list(counter.pending),
            "changes": [encode_change(change) for change in counter.changes],
        }
        for name, counter in state.items()
    }


def decode_work(plain: dict[str, Any]) -> WorkState:
    """The counters that ``encode_work`` was given."""
    return {
        name: Counter(
            learned=tuple(counter["learned"]),
            level=counter["level"],
            tolerance=counter["tolerance"],
            pending=counter["pending"] and tuple(counter["pending"]),
            changes=tuple(Opened(**change) for change in counter["changes"]),
        )
        for name, counter in plain.items()
    }


def _count(
    counter: Counter, name: str, number: int, value: float, rules: Parameters
) -> tuple[Counter, tuple[Event, ...]]:
    if counter.now is None:
        return _learned(counter, value, exact=name == "calls"), ()
    counter, events = _aged(counter, number, rules)
    if counter.tolerance > _MOST or abs(value - (counter.now or 0.0)) <= counter.tolerance:
        return replace(counter, pending=None), events
    pending = counter.pending
    if pending is None or abs(value - pending[1]) > counter.tolerance:
        return replace(counter, pending=(number, value)), events
    counter, more = _moved(replace(counter, pending=None), pending[0], number, value)
    return counter, events + more


def _learned(counter: Counter, value: float, exact: bool) -> Counter:
    learned = (*counter.learned, value)
    if len(learned) < (_LEARNING_EXACT if exact else _LEARNING):
        return replace(counter, learned=learned)
    level = median(learned)
    own = _OWN * median(abs(each - level) for each in learned)
    return Counter(level=level, tolerance=max(own, _LEAST_EXACT if exact else _LEAST))


def _aged(counter: Counter, number: int, rules: Parameters) -> tuple[Counter, tuple[Event, ...]]:
    """A run older; less work that lasted becomes the baseline."""
    changes = tuple(replace(change, age=change.age + 1) for change in counter.changes)
    first = changes[0] if changes else None
    if first is None or first.kind != "improvement" or first.age < rules.settle:
        return replace(counter, changes=changes), ()
    event = Event("absorbed", number, first)
    return replace(counter, level=first.after, changes=changes[1:]), (event,)


def _moved(
    counter: Counter, start: int, number: int, value: float
) -> tuple[Counter, tuple[Event, ...]]:
    """To a level that was left by an open change, which ends it, or to a new one."""
    for index, change in enumerate(counter.changes):
        if abs(value - change.before) <= counter.tolerance:
            closed = reversed(counter.changes[index:])
            events = tuple(Event("recovered", number, each) for each in closed)
            return replace(counter, changes=counter.changes[:index]), events
    before = counter.now or 0.0
    found = Opened(
        kind="regression" if value > before else "improvement",
        start=start,
        low=start,
        high=start,
        alarm=number,
        before=before,
        after=value,
        statistic=abs(value - before) / counter.tolerance,
        age=2,
    )
    changes = (*counter.changes, found)
    return replace(counter, changes=changes), (Event("opened", number, found),)


def _label(state: WorkState) -> State:
    if any(change.kind == "regression" for c in state.values() for change in c.changes):
        return "regressed"
    if any(counter.pending for counter in state.values()):
        return "suspect"
    if not state or any(counter.level is None for counter in state.values()):
        return "learning"
    return "improved" if any(counter.changes for counter in state.values()) else "ok"


def _typical(result: CaseResult, count: Callable[[Sample], int | None]) -> float | None:
    """Median over the counted rounds of the logarithm per row; None where any is unknown."""
    found = [(count(sample), sample.rows) for sample in result.counted]
    if not found or any(not value for value, _ in found):
        return None
    return median(log(value / rows) for value, rows in found if value)


def _sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
