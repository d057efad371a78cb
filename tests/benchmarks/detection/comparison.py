"""Our detector beside others: the same noise, the same changes, one table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from tests.benchmarks.detection.data import SIGNALS, recorded
from tests.benchmarks.detection.detectors import Detector, hindsight, streaming
from tests.benchmarks.detection.simulated import MODELS, Model, bootstrapped, slowed

DROPS = (0.20, 0.10, 0.05, 0.03)

#: Runs before a change that is put in and after it, and of a series without.
BEFORE, AFTER, QUIET = 200, 60, 1000

#: Strategies whose rows asyncpg pipelines: they switch between two levels.
TWO_LEVELLED = ("executemany", "orm_bulk")

#: A series costs Otava seconds; a part of them must do.
_PART = 4


@dataclass(frozen=True)
class Noise:
    """One way in which series vary when nothing changed."""

    group: str
    name: str
    model: Model
    pairs: bool = False


@dataclass(frozen=True)
class Result:
    """What a detector did on a group: alarms and runs without a change, delays with one."""

    detector: str
    alarms: int
    runs: int
    seconds: float
    delays: Mapping[float, tuple[int | None, ...]]

    @property
    def per_thousand(self) -> float:
        return 1000 * self.alarms / self.runs if self.runs else 0.0


def noises(recording: Path | None) -> list[Noise]:
    """Simulated noise, and what was recorded on a real canary, drawn in blocks."""
    found = [Noise("simulated", name, model) for name, model in MODELS.items()]
    series = recorded(recording) if recording else {}
    for name, values in series.items():
        strategy, signal = name.rpartition(" ")[::2]
        two = strategy in TWO_LEVELLED and signal in ("server", "wall")
        modes = " (two modes)" if two else ""
        found.append(Noise(f"{signal} clock{modes}", name, bootstrapped(values), two))
    return found


def groups(found: Sequence[Noise]) -> list[str]:
    order = ["simulated", *(f"{s} clock{m}" for s in SIGNALS for m in ("", " (two modes)"))]
    return [name for name in order if any(noise.group == name for noise in found)]


def compare(found: Sequence[Noise], series: int) -> Iterator[tuple[str, list[Result]]]:
    """Group by group, every detector's result; noises in parallel."""
    for group in groups(found):
        own = [noise for noise in found if noise.group == group]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            parts = list(pool.map(_results, own, [series] * len(own)))
        yield group, [_joined([part[n] for part in parts]) for n in range(len(parts[0]))]


def _results(noise: Noise, series: int) -> list[Result]:
    return [
        _result(noise, label, detector, max(1, series // _PART) if "Otava" in label else series)
        for label, detector in every(noise.pairs).items()
    ]


def every(pairs: bool) -> dict[str, Detector]:
    """All that see a series run by run, and the one in hindsight where it is installed."""
    oracle = hindsight()
    return {**streaming(pairs), **({"KernelCPD, hindsight": oracle} if oracle else {})}


def _result(noise: Noise, label: str, detector: Detector, count: int) -> Result:
    started, alarms = perf_counter(), 0
    for seed in range(count):
        alarms += len(detector(noise.model(Random(f"quiet {noise.name} {seed}"), QUIET)))
    seconds = perf_counter() - started
    delays = {drop: tuple(_delays(noise, label, detector, drop, count)) for drop in DROPS}
    return Result(label, alarms, count * QUIET, seconds, delays)


def _delays(
    noise: Noise, label: str, detector: Detector, drop: float, count: int
) -> Iterator[int | None]:
    """Runs at the new level until it was told; in hindsight 1 if its place is found to 3 runs."""
    for seed in range(count):
        values = slowed(
            noise.model(Random(f"drop {noise.name} {seed}"), BEFORE + AFTER), BEFORE, drop
        )
        if "hindsight" in label:
            yield 1 if any(abs(at - BEFORE) <= 3 for at in detector(values)) else None
        else:
            told = [run for run in detector(values) if run >= BEFORE]
            yield told[0] - BEFORE + 1 if told else None


def _joined(parts: Sequence[Result]) -> Result:
    return Result(
        parts[0].detector,
        sum(part.alarms for part in parts),
        sum(part.runs for part in parts),
        sum(part.seconds for part in parts),
        {drop: tuple(d for part in parts for d in part.delays[drop]) for drop in DROPS},
    )


def told(delays: Sequence[int | None], hindsight: bool = False) -> str:
    """Share found and, of all, the median delay and that of nine tenths, in runs."""
    ordered = sorted(AFTER + 1 if each is None else each for each in delays)
    found = sum(each is not None for each in delays) / len(delays)
    if hindsight:
        return f"{found:.0%}"
    middle, late = median(ordered), ordered[ceil(0.9 * len(ordered)) - 1]
    texts = ["–" if each > AFTER else f"{each:g}" for each in (middle, late)]
    return f"{found:.0%} {texts[0]}/{texts[1]}"
