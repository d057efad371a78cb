"""Changes of one group as one story: what a person would tell of them, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from operator import attrgetter
from statistics import median

from monitor.detect.signals import TOGETHER
from monitor.environment import Difference
from monitor.judgement import NONE_RECORDED, Change, Closing

#: Signals by how well they say what a change is: clocks, then what users feel, then the rest.
_TELLING = (
    "server",
    "client",
    "commit",
    f"{TOGETHER}server",
    f"{TOGETHER}client",
    "throughput",
    "server_insert",
    "client_cpu",
    "round_trip",
    "rest",
    "spread",
    "work",
)
_NAMES = {
    "throughput": "wall time",
    "server_insert": "server's own inserts",
    "client_cpu": "client's CPU",
    "round_trip": "round trip",
    "rest": "network and waits",
    "spread": "spread of rounds",
}
_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX \S+ ON (?:ONLY )?(\S+) USING (\w+) (.*)", re.DOTALL)
_TRIGGER = re.compile(r"CREATE (?:CONSTRAINT )?TRIGGER (\S+) .*?\bON (\S+)", re.DOTALL)
_CONSTRAINT = re.compile(r"CONSTRAINT (\S+) (.*)", re.DOTALL)

#: How many differences are told one by one.
_MOST_TOLD = 3


@dataclass(frozen=True, slots=True)
class Story:
    """Changes that began together, in the order in which they were told, and their ends."""

    changes: tuple[Change, ...]
    ends: tuple[Closing, ...] = ()

    @property
    def id(self) -> str:
        return self.changes[0].group

    @property
    def target(self) -> str:
        return self.changes[0].target

    @property
    def open(self) -> tuple[Change, ...]:
        """Changes that still stand."""
        ended = {end.change_id for end in self.ends}
        return tuple(change for change in self.changes if change.id not in ended)

    @property
    def alarming(self) -> bool:
        return any(change.alarming for change in self.changes)

    @property
    def ended(self) -> Closing | None:
        """The last end, once nothing stands any more."""
        return None if self.open else max(self.ends, key=attrgetter("at"))

    @property
    def headline(self) -> tuple[Change, ...]:
        """The changes of the signal that says best what happened: alarming ones before others."""
        loud = [change for change in self.changes if change.alarming] or list(self.changes)
        signal = min((change.place.signal for change in loud), key=telling_rank)
        return tuple(change for change in loud if change.place.signal == signal)

    @property
    def effect_ratio(self) -> float:
        """Median over the headline's changes of how much dearer its signal became."""
        return median(change.effect_ratio for change in self.headline)

    @property
    def rows_per_second_ratio(self) -> float | None:
        """Median over the cases of what became of rows per second, as last told."""
        last = {
            change.place.case: change.rows_per_second_ratio
            for change in self.changes
            if change.place.case and change.rows_per_second_ratio is not None
        }
        return median(last.values()) if last else None

    @property
    def since(self) -> datetime:
        """When it began, most likely: by the change that knows it most exactly."""
        return self._dating.since

    @property
    def span(self) -> tuple[datetime, datetime]:
        """Between which moments it began."""
        return self._dating.since_low, self._dating.since_high

    @property
    def _dating(self) -> Change:
        return min(self.changes, key=lambda change: change.since_high - change.since_low)

    @property
    def explained(self) -> Change:
        """The first change that a recorded difference accounts for, else the first."""
        return next((change for change in self.changes if change.explained), self.changes[0])

    @property
    def cause(self) -> str:
        """In a word."""
        return self.explained.cause

    @property
    def differences(self) -> tuple[Difference, ...]:
        return self.explained.differences


def stories(changes: Iterable[Change], ends: Iterable[Closing] = ()) -> list[Story]:
    """The stories that changes belong to, in the order of their first change."""
    by_id = {end.change_id: end for end in ends}
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.group, []).append(change)
    return [
        Story(tuple(group), tuple(by_id[c.id] for c in group if c.id in by_id))
        for group in groups.values()
    ]


def sentence(story: Story) -> str:
    """The story in a line, its end included."""
    parts = [story.target, _who(story), what(story) + when(story), why(story)]
    ended = story.ended
    if ended is not None:
        parts.append(f"{_ENDINGS[ended.ending]} {minute(ended.at)}")
    return " · ".join(part for part in parts if part)


_ENDINGS = {
    "recovered": "recovered",
    "absorbed": "the baseline since",
    "accepted": "accepted",
    "retired": "no longer measured since",
}


def minute(at: datetime) -> str:
    """A moment in UTC, as stories tell it."""
    return f"{at:%Y-%m-%d %H:%M}"


# --- who, what, when, why ------------------------------------------------------------------------


def telling_rank(signal: str) -> int:
    """How well a signal says what a change is; 0: best."""
    return _TELLING.index(signal) if signal in _TELLING else len(_TELLING)


def _who(story: Story) -> str:
    head = max(story.headline, key=attrgetter("strategies"))
    of_host = [change for change in story.headline if change.kind == "host"]
    if 2 * len(of_host) > len(story.headline):
        return of_host[0].where if of_host[0].where in ("host", "network") else "host"
    cases = {change.place.case for change in story.changes if change.place.case}
    strategies = {case.strategy for case in cases}
    moved = max(len(strategies), *(change.strategies for change in story.changes))
    of = max((change.of for change in story.changes), default=0)
    if moved > 1 and of > 1:
        return f"{moved} of {of} strategies" if moved < of else f"all {of} strategies"
    if len(cases) == 1:
        return str(next(iter(cases)))
    return next(iter(strategies), head.where)


def what(story: Story) -> str:
    """The signal that moved and by how much, with what became of rows per second."""
    head = story.headline[0]
    signal = head.place.signal.removeprefix(TOGETHER)
    name = (head.counter or signal).replace("_", " ") if signal == "work" else signal
    text = f"{_NAMES.get(signal, name)} {percent(story.effect_ratio)}"
    rate = story.rows_per_second_ratio
    kind = {"drift": "drift: ", "improvement": "faster: "}.get(head.kind, "")
    return kind + text + (f" (rows/s {percent(rate)})" if rate is not None else "")


def when(story: Story) -> str:
    """Since when, to the minute, with the uncertainty."""
    low, high = story.span
    around = max(story.since - low, high - story.since)
    return f" since {minute(story.since)}{_within(around)}"


def _within(around: timedelta) -> str:
    minutes = ceil(around.total_seconds() / 60)
    if minutes < 1:
        return ""
    if minutes < 120:
        return f" ± {minutes} min"
    hours = ceil(minutes / 60)
    return f" ± {hours} h" if hours < 48 else f" ± {ceil(hours / 24)} d"


def why(story: Story) -> str:
    """What changed in the environment just before, or that nothing is recorded."""
    if story.cause == NONE_RECORDED:
        return "no recorded change"
    told = [told_difference(each) for each in _nearest_first(story.differences)]
    if story.cause == "statement":
        told.insert(0, _statement(story))
    more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return "; ".join(told[:_MOST_TOLD]) + more


def _statement(story: Story) -> str:
    calls = next((c for c in story.changes if c.counter == "calls"), None)
    by = f" ({percent(calls.effect_ratio)} calls)" if calls else ""
    return f"other statements for the same rows{by}"


def _nearest_first(differences: Sequence[Difference]) -> list[Difference]:
    order = ("tables", "server", "version", "client")
    return sorted(differences, key=lambda each: order.index(each.part))


def told_difference(difference: Difference) -> str:
    """A difference as a person would tell it."""
    if difference.part != "tables":
        return str(difference)
    line, done = (
        (difference.after, "added") if difference.before is None else (difference.before, "removed")
    )
    if line is None or (difference.before and difference.after):
        return str(difference)
    if found := _INDEX.fullmatch(line):
        unique, table, method, columns = found.groups()
        kind = "unique index" if unique else "index"
        by = "" if method == "btree" else f" by {method}"
        return f"{kind} {done} on {table}{columns}{by}"
    if found := _TRIGGER.match(line):
        return f"trigger {found[1]} {done} on {found[2]}"
    if found := _CONSTRAINT.fullmatch(line):
        return f"constraint {done} on {difference.name}: {found[2]}"
    return str(difference)


def percent(ratio: float) -> str:
    """A ratio of change with its sign: +31 %, −14 %."""
    digits = 0 if abs(ratio) >= 0.0995 else 1
    text = f"{abs(ratio):.{digits}%}".removesuffix("%")
    return f"{'−' if ratio < 0 else '+'}{text} %"
