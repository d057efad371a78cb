"""``python -m tests.benchmarks.detection``: our detector beside others, in one table.

Otava and ruptures take part where they are installed; they are no dependency of ours. The detector
itself needs only the standard library, so this runs in an environment that holds just those two.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from monitor.detect.parameters import Parameters
from tests.benchmarks.detection.data import recorded, rocksdb, tigerbeetle
from tests.benchmarks.detection.detectors import Detector, hindsight, ours, streaming
from tests.benchmarks.detection.simulated import MODELS, Model, bootstrapped, slowed

DROPS = (0.20, 0.10, 0.05, 0.03)

#: Runs before an injected change and after it, and of a series without.
BEFORE, AFTER, QUIET = 300, 60, 1000

DATA = "INGEST_CANARY_CHANGEPOINTS"


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detection")
    parser.add_argument("--data", default=os.environ.get(DATA), help=f"directory; or ${DATA}")
    parser.add_argument("--recording", help="gzip file that record.py wrote")
    parser.add_argument("--series", type=int, default=20, help="of each kind (default 20)")
    options = parser.parse_args()
    models = dict(MODELS)
    if options.recording:
        found = recorded(Path(options.recording))
        models |= {name: bootstrapped(values) for name, values in found.items()}
    else:
        print("recorded runs: left out, no --recording\n")
    _header()
    for name, model in models.items():
        _compare(name, model, options.series)
    if options.data:
        _public(Path(options.data))
    else:
        print(f"\npublic data: left out, neither --data nor ${DATA} names its directory")


def _header() -> None:
    drops = "".join(f"{f'-{drop:.0%}':>16}" for drop in DROPS)
    print(f"{'noise':<25}{'detector':<22}{'false/1000':>11}{drops}{'µs/update':>11}")
    print(f"{'':<25}{'':<22}{'':>11}" + f"{'found med/90%':>16}" * len(DROPS))


def _compare(name: str, model: Model, series: int) -> None:
    for label, detector in streaming().items():
        # A series costs Otava seconds; a quarter of them must do.
        count = max(1, series // 4) if label.startswith("Otava") else series
        false, seconds = _false(name, model, detector, count)
        cells = "".join(f"{_delays(name, model, detector, drop, count):>16}" for drop in DROPS)
        print(f"{name:<25}{label:<22}{false:>11.2f}{cells}{seconds * 1e6:>11.0f}", flush=True)
    oracle = hindsight()
    if oracle is None:
        print(f"{name:<25}{'KernelCPD, hindsight':<22}{'not installed':>11}")
        return
    false, _ = _false(name, model, oracle, series)
    cells = "".join(f"{_places(name, model, oracle, drop, series):>16}" for drop in DROPS)
    print(f"{name:<25}{'KernelCPD, hindsight':<22}{false:>11.2f}{cells}{'–':>11}", flush=True)


def _false(name: str, model: Model, detector: Detector, count: int) -> tuple[float, float]:
    """Alarms per 1,000 runs without a change, and seconds per run."""
    alarms, started = 0, perf_counter()
    for seed in range(count):
        alarms += len(detector(model(Random(f"quiet {name} {seed}"), QUIET)))
    return 1000 * alarms / (count * QUIET), (perf_counter() - started) / (count * QUIET)


def _delays(name: str, model: Model, detector: Detector, drop: float, count: int) -> str:
    """Share found, and after how many runs at the new level: median and nine tenths of all."""
    delays = []
    for seed in range(count):
        values = model(Random(f"drop {name} {seed}"), BEFORE + AFTER)
        told = [run for run in detector(slowed(values, BEFORE, drop)) if run >= BEFORE]
        delays.append(told[0] - BEFORE + 1 if told else None)
    return _summary(delays)


def _places(name: str, model: Model, oracle: Detector, drop: float, count: int) -> str:
    """Share of changes whose place is found to within three runs."""
    near = 0
    for seed in range(count):
        values = model(Random(f"drop {name} {seed}"), BEFORE + AFTER)
        near += any(abs(at - BEFORE) <= 3 for at in oracle(slowed(values, BEFORE, drop)))
    return f"{near / count:.0%}"


def _summary(delays: Sequence[int | None]) -> str:
    ordered = sorted(AFTER + 1 if each is None else each for each in delays)
    found = sum(each is not None for each in delays) / len(delays)
    middle, late = median(ordered), ordered[int(0.9 * (len(ordered) - 1))]
    texts = ["–" if each > AFTER else f"{each:g}" for each in (middle, late)]
    return f"{found:.0%} {texts[0]}/{texts[1]}"


def _public(directory: Path) -> None:
    """False drops on data with real noise, the same with a drop put in, and what else is known."""
    series = rocksdb(directory)
    if not series:
        print(f"\npublic data: left out, not in {directory}")
        return
    runs = sum(len(values) for values in series.values())
    print(f"\nRocksDB, {len(series)} tests, {runs} runs: drops told where none is known, and drops")
    print("put in at run 70 that were told within 29")
    for label, detector in _all().items():
        false = sum(len(detector(values)) for values in series.values())
        cells = "".join(f"{_put_in(series, detector, drop):>16}" for drop in DROPS)
        print(f"{'':<25}{label:<22}{false:>11}{cells}", flush=True)
    values = tigerbeetle(directory)
    print(f"\nTigerBeetle, throughput, {len(values)} runs, both directions, floor 1.5 %")
    rules = Parameters(floor=0.015)
    for direction, those in (("drops", values), ("rises", [-value for value in values])):
        print(f"  {direction} told in runs {ours(those, rules)}")


def _all() -> Mapping[str, Detector]:
    oracle = hindsight()
    extra = {"KernelCPD, hindsight": oracle} if oracle else {}
    return {**streaming(), **extra}


def _put_in(series: Mapping[str, Sequence[float]], detector: Detector, drop: float) -> str:
    delays: list[int | None] = []
    for values in series.values():
        told = [run for run in detector(slowed(values, 70, drop)) if run >= 67]
        delays.append(told[0] - 69 if told else None)
    found = [each for each in delays if each is not None]
    return f"{len(found)}/{len(delays)} {f'{median(found):g}' if found else '–'}"


if __name__ == "__main__":
    main()
