"""From events of series to changes with a kind, a place and a cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from math import expm1
from statistics import median

from monitor.detect.attribution import (
    cause_of,
    component,
    differences_between,
    where,
)
from monitor.detect.parameters import Parameters
from monitor.detect.relevance import Relevance, recent
from monitor.detect.series import Event, Opened, SeriesState
from monitor.detect.signals import PROBE_SCOPES, TOGETHER, rules_for
from monitor.detect.target import TargetState, time_of
from monitor.environment import Difference
from monitor.judgement import (
    NONE_RECORDED,
    Change,
    ChangeKind,
    Closing,
    Component,
    Ending,
    Place,
    Where,
)
from monitor.model import CaseKey

#: Of its own scale, that a series must stand off its baseline to have moved with others.
_SCALES = 2.0

#: Signals and probes that are a clock themselves.
_COMPONENTS: Mapping[str, Component] = {
    "server": "server",
    "client": "client",
    "commit": "commit",
    "rest": "rest",
    f"{TOGETHER}server": "server",
    f"{TOGETHER}client": "client",
    "server_insert": "server",
    "client_cpu": "client",
    "round_trip": "rest",
}

#: Runs that the estimated starts of changes with one story lie apart at most.
_APART_RUNS = 6

#: Runs by which the estimated start of a clock's change may be off.
_SLACK_RUNS = 2

#: Runs at the most that say where a series is now.
_NOW_RUNS = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What changes are made from: the target's name, its state after the run, and the rules."""

    target: str
    state: TargetState
    rules: Parameters

    @property
    def _relevance(self) -> Relevance:
        return Relevance(self.state, self.rules)

    def opened(self, place: Place, event: Event, counter: str | None = None) -> Change:
        """The change that an event opens."""
        found = self._dated(place, event.change, counter)
        moved, of = self._strategies(place, found, counter)
        probes = self._relevance.moved_probes(found)
        rate = self._recent(Place(place.case, "throughput"), found) if place.case else None
        told = self._same_story(found)
        cause, differences = self._cause(place, found, counter, told)
        own_id = change_id(self.target, place, counter, event.change)
        return Change(
            id=own_id,
            group=told[0].group if told else own_id,
            target=self.target,
            kind="work" if counter else self._kind(place, found, probes),
            place=place,
            counter=counter,
            since=time_of(found.start),
            since_low=time_of(_neighbour(self.state.numbers, found.low, -1)),
            since_high=time_of(found.high),
            told_at=time_of(found.alarm),
            effect_ratio=_told(found.effect, share=place.signal == "rest"),
            rows_per_second_ratio=None if rate is None else _told(-rate),
            statistic=round(found.statistic, 3),
            fast=found.fast,
            where=self._where(place, counter, moved, probes),
            component="server" if counter else self._component(place, found),
            strategies=moved,
            of=of,
            cause=cause,
            differences=differences,
        )

    def _dated(self, place: Place, found: Opened, counter: str | None) -> Opened:
        """Minima of two runs show a rise a run late, and what began in runs that were not judged
        shows in the first that was."""
        low, numbers = self._after_previous(place, found), self.state.numbers
        if counter or found.effect < 0 or not rules_for(place, self.rules).pairs:
            return replace(found, low=low)
        return replace(
            found,
            start=_neighbour(numbers, found.start, -1),
            low=_neighbour(numbers, low, -1),
            high=_neighbour(numbers, found.high, -1),
        )

    def _after_previous(self, place: Place, found: Opened) -> int:
        """The earliest run since the last one that is known to have been before the change."""
        own = place if place in self.state.series else Place(place.case, "throughput")
        series = self.state.series.get(own, SeriesState())
        if len(series.changes) > 1:
            return found.low
        numbers = series.history.numbers + series.segment.numbers
        before = max((number for number in numbers if number < found.low), default=None)
        if before is None:
            return found.low
        return min((n for n in self.state.numbers if before < n), default=found.low)

    # --- kind ------------------------------------------------------------------------------------

    def _kind(self, place: Place, found: Opened, probes: Sequence[str]) -> ChangeKind:
        if found.kind != "regression":
            return found.kind
        if not self._relevance.alarms(place, found, probes):
            return "drift"
        if place.case is None and place.signal in PROBE_SCOPES:
            return "server" if PROBE_SCOPES[place.signal] == "server" else "host"
        if "client_cpu" in probes or "round_trip" in probes:
            return "host"
        all_of_server = place.signal == f"{TOGETHER}server"
        return "server" if all_of_server or "server_insert" in probes else "regression"

    # --- where -----------------------------------------------------------------------------------

    def _where(self, place: Place, counter: str | None, moved: int, probes: Sequence[str]) -> Where:
        if place.case is None and place.signal in PROBE_SCOPES:
            return PROBE_SCOPES[place.signal]
        signal = "server" if counter else place.signal.removeprefix(TOGETHER)
        return where(signal, moved, probes)

    def _recent(self, place: Place, found: Opened) -> float | None:
        """How far a series has risen over its baseline in the runs of a change."""
        state = self.state.series.get(place)
        if state is None or state.baseline is None:
            return None
        return recent(state, found.age)

    def _component(self, place: Place, found: Opened) -> Component:
        own = _COMPONENTS.get(place.signal)
        if own is not None or place.case is None:
            return own or "several"
        wall = self._relevance.moved(Place(place.case, "throughput"), found)
        names: tuple[Component, ...] = ("server", "client", "commit")
        clocks: dict[Component, float] = {}
        for name in names:
            moved = self._relevance.moved(Place(place.case, name), found)
            if moved is not None:
                clocks[name] = moved.seconds
        if wall is not None:
            clocks["rest"] = wall.seconds - sum(clocks.values())
        return component(clocks)

    def _strategies(self, place: Place, found: Opened, counter: str | None) -> tuple[int, int]:
        """How many strategies moved the same way on this signal, and how many there are."""
        moved, known = set(), set()
        for case in self.state.work if counter else _cases(self.state, place.signal):
            known.add(case.strategy)
            distance = (
                _work_distance(self.state, case, counter)
                if counter
                else self._distance(Place(case, place.signal.removeprefix(TOGETHER)), found)
            )
            if distance * found.effect > 0:
                moved.add(case.strategy)
        return len(moved), len(known)

    def _distance(self, place: Place, found: Opened) -> float:
        """How far a series stands off its baseline; 0 where that is its usual noise."""
        state = self.state.series.get(place)
        if state is None or state.baseline is None:
            return 0.0
        distance = recent(state, min(found.age, _NOW_RUNS))
        least = max(rules_for(place, self.rules).log_floor, _SCALES * state.baseline.scale)
        return distance if abs(distance) >= least or place_is_open(self.state, place) else 0.0

    # --- why -------------------------------------------------------------------------------------

    def _cause(
        self, place: Place, found: Opened, counter: str | None, told: Sequence[Change]
    ) -> tuple[str, tuple[Difference, ...]]:
        """The cause in a word and all that it is read from: its own, else that of its story.

        Work counters know the run in which a change began; clocks know it within a few.
        """
        differences = self._differences(found)
        calls = counter == "calls" or self._calls_changed(place.case, found)
        cause = cause_of(differences, calls)
        explained = next((change for change in told if change.explained), None)
        if cause == NONE_RECORDED and explained is not None:
            return explained.cause, explained.differences
        return cause, differences

    def _differences(self, found: Opened) -> tuple[Difference, ...]:
        """What changed in the environment between the last run before and the first run after.

        The environment is read when a run starts, so what changes during a run shows in the next.
        Where nothing did, a start that was estimated two runs off is allowed for.
        """
        numbers, transitions, dearer = self.state.numbers, self.state.transitions, found.effect > 0
        low, high = found.low, _neighbour(numbers, found.high, 1)
        exact = differences_between(transitions, low, high, dearer=dearer)
        if exact:
            return exact
        low, high = _neighbour(numbers, low, -_SLACK_RUNS), _neighbour(numbers, high, _SLACK_RUNS)
        return differences_between(transitions, low, high, dearer=dearer)

    def _calls_changed(self, case: CaseKey | None, found: Opened) -> bool:
        if case is None:
            return False
        calls = self.state.work.get(case, {}).get("calls")
        if calls is None:
            return False
        pending = calls.pending is not None and calls.pending[0] >= found.low
        return pending or any(change.start >= found.low for change in calls.changes)

    def _same_story(self, found: Opened) -> tuple[Change, ...]:
        """Open changes of the group that this one belongs to: those that began at the same time in
        the same direction as it, first told first; none if it begins a group."""
        step = typical_step(self.state.numbers)
        for change in self.state.changes:
            together = (
                abs(change.since.timestamp() - found.start) <= _APART_RUNS * step
                and change.since_low.timestamp() - 2 * step <= found.high
                and change.since_high.timestamp() + 2 * step >= found.low
            )
            if together and change.effect_ratio * found.effect > 0:
                return tuple(each for each in self.state.changes if each.group == change.group)
        return ()


def closing(target: str, place: Place, event: Event, counter: str | None = None) -> Closing:
    """The end of a change."""
    ending: Mapping[str, Ending] = {
        "recovered": "recovered",
        "absorbed": "absorbed",
        "accepted": "accepted",
    }
    name = change_id(target, place, counter, event.change)
    return Closing(name, ending[event.what], time_of(event.number))


def _told(effect: float, *, share: bool = False) -> float:
    """A logarithm, or a share, as the ratio that is told: to a millionth, wherever it is kept."""
    return round(effect if share else expm1(effect), 6)


def rounded_ratio(effect: float | None, *, share: bool = False) -> float | None:
    """The same of an effect that may be unknown."""
    return None if effect is None else _told(effect, share=share)


def change_id(target: str, place: Place, counter: str | None, found: Opened) -> str:
    """Twelve hex digits, the same whenever the same runs are judged."""
    text = "\n".join((target, repr(place), str(counter), str(found.alarm), str(found.kind)))
    return sha256(text.encode()).hexdigest()[:12]


def place_is_open(state: TargetState, place: Place) -> bool:
    """Whether a change of this series is open."""
    return any(change.place == place for change in state.changes)


def typical_step(numbers: Sequence[int]) -> float:
    """Seconds from run to run."""
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    return median(steps) if steps else 0.0


def _cases(state: TargetState, signal: str) -> list[CaseKey]:
    wanted = signal.removeprefix(TOGETHER)
    return [place.case for place in state.series if place.case and place.signal == wanted]


def _work_distance(state: TargetState, case: CaseKey, counter: str) -> float:
    found = state.work[case].get(counter)
    if found is None or found.level is None:
        return 0.0
    if found.pending is not None:
        return found.pending[1] - found.level
    return found.now - found.level if found.now is not None else 0.0


def _neighbour(numbers: Sequence[int], number: int, step: int) -> int:
    """The number of the run that many before or after one, as far as runs are known."""
    if number not in numbers:
        return number
    index = numbers.index(number) + step
    return numbers[min(max(index, 0), len(numbers) - 1)]
