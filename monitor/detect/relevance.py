"""Whether a proved change is a reason to call somebody, or only something to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import median

from monitor.detect.attribution import Moved, support
from monitor.detect.cores import NETWORK_SECONDS
from monitor.detect.parameters import Parameters
from monitor.detect.series import Opened, SeriesState
from monitor.detect.signals import DECIDING, MATTERING, PROBE_SCOPES, two_levelled
from monitor.detect.target import TargetState
from monitor.judgement import Place
from monitor.model import CaseKey

#: Share of the change of wall time that client, server and commit must account for, so that a
#: change of throughput alarms: real changes have 0.8 and more, a busy machine less than 0.3.
_SUPPORT = 0.5

#: Share of the wall time that a clock's change must make, so that it alarms.
_MATERIAL = 0.01

#: Of an effect, that a probe must share to have moved with it; and of its own scale.
_PROBE_SHARE = 0.4
_SCALES = 2.0

#: Runs before a change that say where a series was, and after it, where it is.
_BEFORE_RUNS, _NOW_RUNS = 12, 5


@dataclass(frozen=True, slots=True)
class Relevance:
    """What decides it: the target's state after the run, and the rules."""

    state: TargetState
    rules: Parameters

    def alarms(self, place: Place, found: Opened, probes: Sequence[str]) -> bool:
        """Whether a rise of a series is worth a call; ``probes`` moved with it.

        A clock's must matter for the wall time; throughput needs the support of the clocks, the
        rest, which is what the others leave, that of the network's probe, and probes of network and
        disk that of the inserts.
        """
        case = place.case
        if case is None:
            return place.signal not in MATTERING or self._felt(place, found)
        if place.signal == "spread":
            # The modes of a pipelined strategy can meet in one run, and nothing stalls.
            return not two_levelled(case)
        if place.signal == "rest":
            return "round_trip" in probes
        wall = self.moved(Place(case, "throughput"), found)
        if place.signal in DECIDING:
            return wall is None or self._matters(place.signal, found, wall)
        if wall is None:
            return False
        return support(self.clocks(case, found), wall) >= _SUPPORT or "round_trip" in probes

    def moved(self, place: Place, found: Opened) -> Moved | None:
        """A clock around a change; None if it is not known."""
        state = self.state.series.get(place)
        if state is None or state.baseline is None:
            return None
        return Moved(exp(state.baseline.level), recent(state, found.age))

    def clocks(self, case: CaseKey, found: Opened) -> list[Moved]:
        """The clocks that decide, as far as they are known."""
        moved = [self.moved(Place(case, signal), found) for signal in DECIDING]
        return [each for each in moved if each is not None]

    def moved_probes(self, found: Opened) -> tuple[str, ...]:
        """Probes that moved with a change, in its direction."""
        return tuple(name for name in PROBE_SCOPES if self._probe_moved(name, found))

    def _probe_moved(self, name: str, found: Opened) -> bool:
        state = self.state.series.get(Place(None, name))
        if state is None or state.baseline is None:
            return False
        distance = recent(state, found.age)
        least = max(_PROBE_SHARE * abs(found.effect), _SCALES * state.baseline.scale)
        seconds = exp(state.baseline.level) * abs(exp(distance) - 1)
        if name == "round_trip" and seconds < NETWORK_SECONDS:
            return False
        return distance * found.effect > 0 and abs(distance) >= least

    def _matters(self, signal: str, found: Opened, wall: Moved) -> bool:
        seconds = Moved(exp(found.before), found.effect).seconds
        # One commit of a large round may take twice as long, and nobody waits for it.
        share = self.rules.floor if signal == "commit" else _MATERIAL
        return seconds >= share * wall.before

    def _felt(self, place: Place, found: Opened) -> bool:
        """Whether inserts wait for what a probe shows: the wall time of any case rose with it."""
        seconds = Moved(exp(found.before), found.effect).seconds
        if place.signal == "round_trip" and seconds < NETWORK_SECONDS:
            return False
        walls = [state for p, state in self.state.series.items()
                 if p.case and p.signal == "throughput" and state.baseline]  # fmt: skip
        return any(rise(state, found.age) >= self.rules.log_floor for state in walls)


def recent(state: SeriesState, runs: int) -> float:
    """How far the newest runs of a series lie above its baseline, logarithmic."""
    if state.baseline is None:
        return 0.0
    points = (state.history + state.segment)[-max(1, runs) :]
    return median(points.corrected(state.beta)) - state.baseline.level


def rise(state: SeriesState, runs: int) -> float:
    """How far a series rose when so many of its newest runs began, whatever stood before."""
    values = (state.history + state.segment).corrected(state.beta)
    before, after = values[: -max(1, runs)][-_BEFORE_RUNS:], values[-max(1, runs) :][-_NOW_RUNS:]
    return median(after) - median(before) if before else 0.0
