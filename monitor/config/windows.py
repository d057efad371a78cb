"""Times of the week at which runs may begin, in UTC: ``01:00-05:00``, ``sat,sun 00:00-24:00``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from monitor.config.fields import told

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_WINDOW = re.compile(r"(?:([a-z,\- ]+?)\s+)?(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)(?:\s+utc)?")
_FORM = "write for example 01:00-05:00, or sat,sun 00:00-24:00; times are UTC"


@dataclass(frozen=True, slots=True)
class Window:
    """From ``begins`` to before ``ends``, both from midnight; beyond 24 h it ends the next day.

    ``days`` are those on which it begins, Monday being 0.
    """

    days: frozenset[int]
    begins: timedelta
    ends: timedelta

    def around(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Its openings with their ends, from the day before ``at`` to eight days after it."""
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for number in range(-1, 9):
            day = midnight + number * _DAY
            if day.weekday() in self.days:
                yield day + self.begins, day + self.ends


Windows = tuple[Window, ...]


def parse_window(text: str) -> Window:
    """A window from its text. Raises ValueError."""
    match = _WINDOW.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{told(text)} is no window; {_FORM}")
    begins, ends = _time(match[2], match[3], text), _time(match[4], match[5], text)
    if begins in (ends, _DAY):
        raise ValueError(f"'{text}' is an empty window; {_FORM}")
    if ends < begins:
        ends += _DAY
    return Window(_days(match[1], text), begins, ends)


def closing(windows: Windows, at: datetime) -> datetime | None:
    """When the window that holds a moment ends; None outside of all. Windows may touch."""
    end = None
    while True:
        moment = end or at
        ends = [last for window in windows for first, last in window.around(moment)
                if first <= moment < last]  # fmt: skip
        if not ends or (end is not None and end - at > 7 * _DAY):
            return end
        end = max(ends)


def next_opening(windows: Windows, after: datetime) -> datetime:
    """The first moment after this one at which a window begins."""
    return min(first for window in windows for first, _ in window.around(after) if first > after)


def _time(hours: str, minutes: str, text: str) -> timedelta:
    found = timedelta(hours=int(hours), minutes=int(minutes))
    if int(minutes) > 59 or found > _DAY:
        raise ValueError(f"'{text}': there is no {hours}:{minutes}; {_FORM}")
    return found


def _days(text: str | None, whole: str) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = (each.strip() for each in part.partition("-"))
        begin, end = _day(first, whole), _day(last or first, whole)
        found |= {number % 7 for number in range(begin, end + 1 + 7 * (end < begin))}
    return frozenset(found)


def _day(name: str, whole: str) -> int:
    if name[:3] not in _DAYS or not name:
        raise ValueError(f"'{whole}': '{name}' is no day of the week; {_FORM}")
    return _DAYS.index(name[:3])
