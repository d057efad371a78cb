"""A target's ticks, computed from moments that are given: nothing here asks what time it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.config.windows import Windows, closing, next_opening


@dataclass(frozen=True, slots=True)
class Timetable:
    """Ticks at ``anchor`` and every ``interval`` after it, for ever.

    With ``windows``, a window that no tick falls into gets one at its opening; ticks outside of all
    windows are issued too, so that what is left out can be counted.
    """

    interval: timedelta
    anchor: datetime
    windows: Windows = ()

    def after(self, moment: datetime) -> datetime:
        """The first tick after a moment."""
        slot = self._slot_after(moment)
        if not self.windows:
            return slot
        opening = next_opening(self.windows, moment)
        end = closing(self.windows, opening)
        return opening if end is not None and opening < slot and end <= slot else slot

    def is_open(self, moment: datetime) -> bool:
        """Whether a run may begin then."""
        return not self.windows or closing(self.windows, moment) is not None

    def run_from(self, tick: datetime) -> datetime:
        """The first tick from this one on that is in a window."""
        if self.is_open(tick):
            return tick
        opening = next_opening(self.windows, tick)
        slot, end = self._slot_after(opening - timedelta.resolution), closing(self.windows, opening)
        return slot if end is not None and slot < end else opening

    def ticks_between(self, first: datetime, last: datetime, at_most: int) -> int:
        """How many ticks lie between two others; not more than so many are counted."""
        count, tick = 0, self.after(first)
        while tick < last and count < at_most:
            count, tick = count + 1, self.after(tick)
        return count

    def moved(self, by: timedelta) -> Timetable:
        """The same as a clock that was set sees it."""
        return replace(self, anchor=self.anchor + by)

    def _slot_after(self, moment: datetime) -> datetime:
        if moment < self.anchor:
            return self.anchor
        return self.anchor + ((moment - self.anchor) // self.interval + 1) * self.interval


def first_due(last: datetime | None, interval: timedelta, now: datetime) -> datetime:
    """When the first run is due after the last one; never later than an interval from now."""
    return now if last is None else min(max(now, last + interval), now + interval)


def staggered(
    intervals: Mapping[str, timedelta],
    windows: Mapping[str, Windows],
    first: Mapping[str, datetime],
) -> dict[str, Timetable]:
    """Timetables whose ticks are spread: target *i* of *n* ticks *i/n* of its interval after the
    first target does. What comes before, the ``first`` ticks, may come all at once; from half an
    interval after its own each keeps to its place.
    """
    tables: dict[str, Timetable] = {}
    base = next(iter(first.values()), None)
    for number, (name, interval) in enumerate(intervals.items()):
        assert base is not None  # noqa: S101 - for mypy; every target has a first tick
        place = Timetable(interval, base + interval * number / len(intervals))
        early = place.moved(-interval * (1 + max(0, (place.anchor - first[name]) // interval)))
        anchor = early.after(first[name] + interval / 2 - timedelta.resolution)
        tables[name] = Timetable(interval, anchor, windows.get(name, ()))
    return tables
