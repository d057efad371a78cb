"""What our detector promises, on recorded noise drawn in blocks: silence, delay, spikes, recovery.

Each line names the figure that is wanted beside the one that was measured. As in the daemon, the
server clock and the wall are corrected by the server's probe and the client clock by that of the
CPU; a run is drawn with its probe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from pickle import dumps
from random import Random
from statistics import median
from time import perf_counter

from monitor.detect.detector import update
from monitor.detect.parameters import Parameters
from monitor.detect.series import Event, Observation, SeriesState
from tests.benchmarks.detection.data import recorded, recorded_probes
from tests.benchmarks.detection.simulated import host

_TWO = ("executemany", "orm_bulk", "copy by 1000")
_PROBES = {"server": "server_insert", "wall": "server_insert", "client": "client_cpu"}
_RUNS, _BEFORE, _AFTER = 2000, 300, 60
_BLOCK = 12
_MONTH = 2880

#: A run: the value, and the probe's.
Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A recorded clock of a case, run by run."""

    name: str
    signal: str
    two_levels: bool
    points: tuple[Point, ...]

    def rules(self, floor: float) -> Parameters:
        return replace(Parameters(floor=floor), pairs=self.two_levels and self.signal != "client")

    def drawn(self, count: int, seed: object) -> list[Point]:
        """Runs drawn anew in blocks of 12."""
        choice, found = Random(f"{self.name} {seed}"), list[Point]()
        while len(found) < count:
            start = choice.randrange(len(self.points) - _BLOCK + 1)
            found += self.points[start : start + _BLOCK]
        return found[:count]


def show(recording: Path, series: int) -> None:
    """Print all figures of one recording."""
    found = _read(recording)
    print(f"{recording.name}: {len(found[0].points)} runs without a change\n")
    for signal in ("server", "client", "wall"):
        own = [each for each in found if each.signal == signal]
        _silence(signal, own)
        _delay(signal, own, series)
    clocks = [each for each in found if each.signal != "wall"]
    _spikes(clocks, series)
    _episodes(clocks, series)
    steady = [each for each in found if each.signal == "server" and not each.two_levels]
    _recovery(steady, series)
    _simulated_host()
    _cost(found[0])


def _read(recording: Path) -> list[Series]:
    probes = recorded_probes(recording)
    found = []
    for name, values in recorded(recording).items():
        strategy, signal = name.rpartition(" ")[::2]
        points = tuple(zip(values, probes[_PROBES[signal]], strict=True))
        found.append(Series(name, signal, strategy in _TWO, points))
    return found


def events(points: Sequence[Point], rules: Parameters) -> Iterator[Event]:
    """All that the detector says of a series."""
    state = SeriesState()
    for number, (value, probe) in enumerate(points):
        state, verdict = update(state, Observation(number, value, probe), rules)
        yield from verdict.events


def alarms(points: Sequence[Point], rules: Parameters) -> list[int]:
    """The runs in which it told a regression."""
    return [
        event.number
        for event in events(points, rules)
        if event.what == "opened" and event.change.kind == "regression"
    ]


def _slowed(points: Sequence[Point], at: int, drop: float, until: int | None = None) -> list[Point]:
    end = len(points) if until is None else until
    return [(v - log(1 - drop) * (at <= n < end), p) for n, (v, p) in enumerate(points)]


def _silence(signal: str, found: Sequence[Series]) -> None:
    counts = {s.name: len(alarms(s.drawn(_RUNS, "silence"), s.rules(0.05))) for s in found}
    loud = {name: count for name, count in counts.items() if count}
    wanted = "0 wanted" if signal != "wall" else "stated"
    print(f"{signal}: {sum(counts.values())} alarms in {_RUNS:,} runs of each of {len(counts)}"
          f" cases ({wanted}){f': {loud}' if loud else ''}")  # fmt: skip


def _delay(signal: str, found: Sequence[Series], series: int) -> None:
    for two in (False, True):
        own = [each for each in found if each.two_levels is two]
        cells = []
        for drop, most in ((0.20, 0), (0.10, 4), (0.05, 5), (0.03, 12)):
            delays = sorted(d for each in own for d in _delays(each, drop, series))
            wanted = f" (≤ {most})" if most and signal == "server" and not two else ""
            share = sum(d <= _AFTER for d in delays) / len(delays)
            late = delays[int(0.9 * (len(delays) - 1))]
            cells.append(f"-{drop:.0%} {median(delays):g}/{late:g}{wanted} {share:.0%}")
        kind = "two-levelled" if two else "steady"
        print(f"  {kind} {signal}, floor 1.5 %, median/90 % of runs, found: {'; '.join(cells)}")


def _delays(of: Series, drop: float, series: int) -> Iterator[int]:
    for seed in range(series):
        points = _slowed(of.drawn(_BEFORE + _AFTER, f"delay {seed}"), _BEFORE, drop)
        told = [number for number in alarms(points, of.rules(0.015)) if number >= _BEFORE]
        yield told[0] - _BEFORE + 1 if told else _AFTER + 1


def _spikes(found: Sequence[Series], series: int) -> None:
    """One run of any size: on a quiet series never an alarm, on real noise hardly a difference."""
    quiet = sum(len(alarms(_quiet_with(size, seed), Parameters()))
                for seed in range(20) for size in (0.1, 0.5, 2.0, 10.0))  # fmt: skip
    changed = tried = 0
    for each in found:
        for seed in range(4 * series):
            points, choice = each.drawn(400, f"spike {seed}"), Random(f"{each.name} {seed}")
            at, size = choice.randrange(100, 400), choice.choice((0.2, 0.5, 1.0, 3.0))
            spiked = [(v + size * (n == at), p) for n, (v, p) in enumerate(points)]
            rules = each.rules(0.05)
            changed += bool(alarms(points, rules)) != bool(alarms(spiked, rules))
            tried += 1
    share = f"{changed} of {tried} outcomes changed ({changed / tried:.2%}, ≤ 0.2 % wanted)"
    print(f"spikes of one run: {quiet} alarms on quiet series (0 wanted); recorded noise: {share}")


def _quiet_with(spike: float, seed: int) -> list[Point]:
    choice = Random(f"quiet {seed}")
    return [(0.001 * choice.gauss(0, 1) + spike * (n == 120), 0.0) for n in range(200)]


def _episodes(found: Sequence[Series], series: int) -> None:
    """Held by everything, the probe too, as when the host is busy with something else."""
    for length in (2, 3, 4):
        told = tried = 0
        for each in found:
            for seed in range(series):
                points = each.drawn(330, f"episode {seed}")
                up = [0.182 * (300 <= number < 300 + length) for number in range(330)]
                held = [(v + more, p + more) for (v, p), more in zip(points, up, strict=True)]
                told += any(300 <= n < 310 for n in alarms(held, each.rules(0.05)))
                tried += 1
        print(f"episodes of {length} runs of +20 % on everything: {told / tried:.0%} told (stated;"
              " before the contention gate)")  # fmt: skip


def _recovery(found: Sequence[Series], series: int) -> None:
    cells, flaps = [], 0
    for drop, most in ((0.10, 2), (0.05, 3), (0.03, 8)):
        delays = []
        for each in found:
            for seed in range(series):
                points = _slowed(each.drawn(460, f"back {seed}"), 300, drop, until=360)
                told = [e for e in events(points, each.rules(0.015)) if e.number >= 300]
                opened = [e for e in told if e.what == "opened" and e.number < 360]
                ends = [e.number for e in told if e.what == "recovered"]
                flaps += sum(number < 360 for number in ends)
                if opened:
                    back = [number for number in ends if number >= 360]
                    delays.append(back[0] - 359 if back else 101)
        late = sorted(delays)[int(0.9 * (len(delays) - 1))]
        cells.append(f"-{drop:.0%} {median(delays):g}/{late:g} (≤ {most}) of {len(delays)} told")
    print(f"recovery, median/90 % of runs: {'; '.join(cells)}; {flaps} ended while they stood")


def _simulated_host() -> None:
    """A month of 15-minute runs of each of a hundred series."""
    count = sum(
        len(alarms([(v, 0.0) for v in host(Random(f"host {n}"), _MONTH)], Parameters()))
        for n in range(100)
    )
    print(f"simulated host: {count / 100:.3f} alarms per series and month (≤ 0.05 wanted; Otava"
          " streaming on such a score: 17)")  # fmt: skip


def _cost(of: Series) -> None:
    """Time of an update once the window is full, and what a series then takes."""
    rules, points = of.rules(0.05), of.drawn(1240, "cost")
    state = SeriesState()
    for number, (value, probe) in enumerate(points[:240]):
        state, _ = update(state, Observation(number, value, probe), rules)
    started = perf_counter()
    for number, (value, probe) in enumerate(points[240:], 240):
        state, _ = update(state, Observation(number, value, probe), rules)
    each = (perf_counter() - started) / 1000
    print(f"cost: {1e6 * each:.0f} µs an update (≤ 50 wanted); {len(dumps(state)) / 1000:.1f} kB a"
          " series (≤ 20 wanted)")  # fmt: skip
