"""What our detector promises, on recorded noise drawn in blocks: silence, delay, spikes, recovery.

Each line names the figure that is wanted beside the one that was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median

from monitor.detect.detector import update
from monitor.detect.parameters import Parameters
from monitor.detect.series import Event, Observation, SeriesState
from tests.benchmarks.detection.data import recorded
from tests.benchmarks.detection.detectors import ours
from tests.benchmarks.detection.simulated import bootstrapped, host, slowed

_TWO = ("executemany", "orm_bulk")
_RUNS, _BEFORE, _AFTER = 2000, 300, 60
_MONTH = 2880


def show(recording: Path, series: int) -> None:
    """Print all figures of one recording."""
    found = recorded(recording)
    print(f"{recording.name}: {len(next(iter(found.values())))} runs without a change\n")
    for signal in ("server", "client", "wall"):
        own = {name: values for name, values in found.items() if name.endswith(f" {signal}")}
        _silence(signal, own)
        _delay(signal, own, series)
    server = {n: v for n, v in found.items() if n.endswith((" server", " client"))}
    _spikes(server, series)
    _episodes(server, series)
    _recovery({n: v for n, v in found.items() if n.endswith(" server")}, series)
    _simulated_host()


def rules_of(name: str, floor: float = 0.05) -> Parameters:
    strategy, signal = name.rpartition(" ")[::2]
    return replace(Parameters(floor=floor), pairs=strategy in _TWO and signal != "client")


def _silence(signal: str, found: Mapping[str, Sequence[float]]) -> None:
    counts = {
        name: len(ours(bootstrapped(values)(Random(f"silence {name}"), _RUNS), rules_of(name)))
        for name, values in found.items()
    }
    loud = {name: count for name, count in counts.items() if count}
    wanted = "0 wanted" if signal != "wall" else "stated"
    print(f"{signal}: {sum(counts.values())} alarms in {_RUNS:,} runs of each of {len(counts)}"
          f" cases ({wanted}){f': {loud}' if loud else ''}")  # fmt: skip


def _delay(signal: str, found: Mapping[str, Sequence[float]], series: int) -> None:
    for two in (False, True):
        own = {n: v for n, v in found.items() if (n.rpartition(" ")[0] in _TWO) is two}
        cells = []
        for drop, most in ((0.20, 0), (0.10, 4), (0.05, 5), (0.03, 12)):
            delays = [
                d for name, values in own.items() for d in _delays(name, values, drop, series)
            ]
            wanted = f" (≤ {most})" if most and signal == "server" and not two else ""
            share = sum(d <= _AFTER for d in delays) / len(delays)
            late = sorted(delays)[int(0.9 * (len(delays) - 1))]
            cells.append(f"-{drop:.0%} {median(delays):g}/{late:g}{wanted} {share:.0%}")
        kind = "two-moded" if two else "steady"
        print(f"  {kind} {signal}, floor 1.5 %, median/90 % of runs, found: {'; '.join(cells)}")


def _delays(name: str, values: Sequence[float], drop: float, series: int) -> Iterator[int]:
    for seed in range(series):
        drawn = bootstrapped(values)(Random(f"delay {name} {seed}"), _BEFORE + _AFTER)
        told = [
            n for n in ours(slowed(drawn, _BEFORE, drop), rules_of(name, 0.015)) if n >= _BEFORE
        ]
        yield told[0] - _BEFORE + 1 if told else _AFTER + 1


def _spikes(found: Mapping[str, Sequence[float]], series: int) -> None:
    """One run of any size: on a quiet series never an alarm, on real noise hardly a difference."""
    quiet = sum(len(ours(_quiet_with(size, seed), Parameters()))
                for seed in range(20) for size in (0.1, 0.5, 2.0, 10.0))  # fmt: skip
    changed = tried = 0
    for name, values in found.items():
        for seed in range(series):
            choice = Random(f"spike {name} {seed}")
            drawn = bootstrapped(values)(choice, 400)
            spiked = list(drawn)
            spiked[choice.randrange(100, 400)] += choice.choice((0.2, 0.5, 1.0, 3.0))
            changed += bool(ours(drawn, rules_of(name))) != bool(ours(spiked, rules_of(name)))
            tried += 1
    share = f"{changed} of {tried} outcomes changed ({changed / tried:.2%}, ≤ 0.2 % wanted)"
    print(
        f"spikes of one run: {quiet} alarms on quiet series (0 wanted); on recorded noise {share}"
    )


def _quiet_with(spike: float, seed: int) -> list[float]:
    choice = Random(f"quiet {seed}")
    return [0.001 * choice.gauss(0, 1) + spike * (n == 120) for n in range(200)]


def _episodes(found: Mapping[str, Sequence[float]], series: int) -> None:
    for length in (2, 3, 4):
        told = tried = 0
        for name, values in found.items():
            for seed in range(series):
                choice = Random(f"episode {name} {seed}")
                drawn = bootstrapped(values)(choice, 330)
                held = [v + 0.182 * (300 <= n < 300 + length) for n, v in enumerate(drawn)]
                told += any(300 <= n < 310 for n in ours(held, rules_of(name)))
                tried += 1
        print(f"episodes of {length} runs of +20 %: {told / tried:.0%} told (stated)")


def _recovery(found: Mapping[str, Sequence[float]], series: int) -> None:
    cells, flaps = [], 0
    for drop, most in ((0.10, 2), (0.05, 3), (0.03, 8)):
        delays = []
        for name, values in found.items():
            if name.rpartition(" ")[0] in _TWO:
                continue
            for seed in range(series):
                drawn = bootstrapped(values)(Random(f"back {name} {seed}"), 460)
                held = slowed(drawn, 300, drop)[:360] + drawn[360:]
                ends = [e.number for e in _events(held, rules_of(name, 0.015))
                        if e.what == "recovered" and e.number >= 300]  # fmt: skip
                early = [number for number in ends if number < 360]
                flaps += len(early)
                back = [number for number in ends if number >= 360]
                delays.append(back[0] - 359 if back else 101)
        late = sorted(delays)[int(0.9 * (len(delays) - 1))]
        cells.append(f"-{drop:.0%} {median(delays):g}/{late:g} (≤ {most})")
    print(f"recovery, median/90 % of runs: {'; '.join(cells)}; {flaps} ended while they stood")


def _events(values: Sequence[float], rules: Parameters) -> Iterator[Event]:
    state = SeriesState()
    for number, value in enumerate(values):
        state, verdict = update(state, Observation(number, value), rules)
        yield from verdict.events


def _simulated_host() -> None:
    """A month of 15-minute runs of each of a hundred series."""
    alarms = sum(len(ours(host(Random(f"host {n}"), _MONTH), Parameters())) for n in range(100))
    print(f"simulated host: {alarms / 100:.3f} alarms per series and month (≤ 0.05 wanted;"
          " Otava streaming on such a score: 17)")  # fmt: skip
