"""Ends a process whose scheduler stands still: better a restart than frozen values for ever.

A thread of its own looks, since it is the loop that may hang. A process that was stopped as a whole
(SIGSTOP, a suspended machine) finds all its signs of life old when it goes on, so that it gets
a whole cycle of grace to show new ones; a clock that is set changes nothing here but the grace.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic, time

log = logging.getLogger(__name__)

#: What the process ends with: EX_SOFTWARE, an internal fault.
EXIT_CODE = 70
#: Looks per patience.
_LOOKS = 8


@dataclass(slots=True)
class Vigil:
    """Decides from the moments it is given; seconds of a monotonic and of the wall clock."""

    patience: float
    beat_at: float
    looked_at: float
    wall: float

    def beat(self, now: float) -> None:
        """The scheduler lives."""
        self.beat_at = max(self.beat_at, now)

    def is_over(self, now: float, wall: float) -> bool:
        """Whether the scheduler has shown no sign of life for longer than patience lasts."""
        passed, by_wall = now - self.looked_at, wall - self.wall
        self.looked_at, self.wall = now, wall
        stopped = passed > 3 * self.patience / _LOOKS
        if stopped or abs(by_wall - passed) > self.patience / _LOOKS:
            self.beat_at = now
        return now - self.beat_at > self.patience


def _end() -> None:
    faulthandler.dump_traceback(file=sys.stderr)
    os._exit(EXIT_CODE)


@dataclass(slots=True)
class Watchdog:
    """``start`` it, let the loop ``beat``, ``stop`` it before the loop ends."""

    patience: float
    end: Callable[[], None] = _end
    _vigil: Vigil = field(init=False)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._vigil = Vigil(self.patience, monotonic(), monotonic(), time())

    def start(self) -> None:
        """Begin to look."""
        self._vigil.beat(monotonic())
        threading.Thread(target=self._look, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """End nothing any more."""
        self._stopped.set()

    def beat(self) -> None:
        """A sign of life."""
        self._vigil.beat(monotonic())

    def _look(self) -> None:
        while not self._stopped.wait(self.patience / _LOOKS):
            if self._vigil.is_over(monotonic(), time()):
                log.critical(
                    "the scheduler has stood still for %g s; the process ends to be started again",
                    self.patience,
                )
                self.end()
                return


def clock_set_by(before: tuple[float, float], now: tuple[float, float]) -> timedelta | None:
    """By how much the wall clock was set between two pairs of monotonic and wall seconds.

    None if it was not, but for the slewing that keeps it right.
    """
    by = (now[1] - before[1]) - (now[0] - before[0])
    return timedelta(seconds=by) if abs(by) > 2.0 else None
