"""Extra runs that tell a suspicion from a change, and how many of them a day may have."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta

from monitor.judgement import Judgement
from monitor.model import Run

#: Seconds between extra runs: far enough apart that a short disturbance does not meet them all.
CONFIRMATION_SECONDS = 90.0
#: Share of a day's runs that extra ones may add.
_SHARE_OF_DAY = 0.05
_DAY = timedelta(days=1)


class Confirmations:
    """Grants extra runs at an interval in seconds: ``count`` at a time."""

    def __init__(self, interval: float, count: int) -> None:
        worth_it = interval > count * CONFIRMATION_SECONDS
        self._count = count if worth_it else 0
        self._per_day = max(count, int(_SHARE_OF_DAY * _DAY.total_seconds() / interval))
        self._made: dict[str, deque[datetime]] = defaultdict(deque)

    def note(self, target: str, run: Run) -> None:
        """A run that was made; extra ones count."""
        if run.trigger == "confirmation":
            self._made[target].append(run.started_at)

    def granted(self, run: Run, judgement: Judgement, now: datetime) -> int:
        """How many extra runs a scheduled run's suspicion brings."""
        if run.trigger != "scheduled" or not judgement.confirm:
            return 0
        made = self._made[run.target]
        while made and now - made[0] >= _DAY:
            made.popleft()
        return max(0, min(self._count, self._per_day - len(made)))
