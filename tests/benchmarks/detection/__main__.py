"""``python -m tests.benchmarks.detection``: what the detector promises, and others beside it.

Parts: ``figures`` (our promises on recorded noise), ``whole`` (whole runs as the daemon judges
them), ``comparison`` (Apache Otava, ruptures, a t-test and a moving window on the same series).
``make bench`` runs the last in an environment of its own: Otava pins what we do not want.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from monitor.detect.parameters import Parameters
from tests.benchmarks.detection import comparison, figures
from tests.benchmarks.detection.data import rocksdb, tigerbeetle
from tests.benchmarks.detection.detectors import ours
from tests.benchmarks.detection.recordings import QUIET
from tests.benchmarks.detection.simulated import slowed

DATA = "INGEST_CANARY_CHANGEPOINTS"


def main() -> None:
    """Print the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detection")
    parser.add_argument("--part", choices=("figures", "comparison"), action="append")
    parser.add_argument("--recording", type=Path, default=QUIET, help="of a canary left alone")
    parser.add_argument("--series", type=int, default=20, help="of each kind (default 20)")
    parser.add_argument("--data", default=os.environ.get(DATA), help=f"directory; or ${DATA}")
    parser.add_argument("--svg", type=Path, help="draw the comparison's table there")
    options = parser.parse_args()
    parts = options.part or ("figures", "comparison")
    if "figures" in parts:
        figures.show(options.recording, options.series)
        _public(Path(options.data) if options.data else None)
    if "comparison" in parts:
        _compare(options.recording, options.series, options.svg)


def _compare(recording: Path, series: int, svg: Path | None) -> None:
    console = Console(width=118, record=True)
    console.print(
        "False alarms in 1,000 runs without a change; share found of a drop that was put in,\n"
        "and after how many runs it was told: median / nine tenths of all. Not found counts.\n"
    )
    for group, results in comparison.compare(comparison.noises(recording), series):
        console.print(_table(group, results))
    if svg:
        console.save_svg(str(svg), title="python -m tests.benchmarks.detection")


def _table(group: str, results: Sequence[comparison.Result]) -> Table:
    table = Table(title=group, title_justify="left", title_style="bold")
    table.add_column("detector", width=24)
    table.add_column("false/1000", justify="right", width=10)
    for drop in comparison.DROPS:
        table.add_column(f"-{drop:.0%}", justify="right", width=12)
    table.add_column("µs/run", justify="right", width=8)
    for result in results:
        oracle = "hindsight" in result.detector
        table.add_row(
            result.detector,
            f"{result.per_thousand:.2f}",
            *(comparison.told(result.delays[drop], oracle) for drop in comparison.DROPS),
            "–" if oracle else f"{1e6 * result.seconds / result.runs:,.0f}",
            style="bold" if result.detector.startswith("ours") else None,
        )
    return table


def _public(directory: Path | None) -> None:
    """Series of other projects: false drops, the same with a drop put in, and what is known."""
    series = rocksdb(directory) if directory else {}
    if directory is None or not series:
        print(f"\npublic data: left out, neither --data nor ${DATA} names its directory")
        return
    runs = sum(len(values) for values in series.values())
    print(f"\nRocksDB, {len(series)} tests, {runs} runs: drops told where none is known, and drops"
          " put in at run 70 that were told within 29 (found, median runs)")  # fmt: skip
    for label, detector in comparison.every(pairs=False).items():
        false = sum(len(detector(values)) for values in series.values())
        cells = []
        for drop in comparison.DROPS:
            told = [[n - 69 for n in detector(slowed(values, 70, drop)) if n >= 67]
                    for values in series.values()]  # fmt: skip
            cells.append(comparison.told([each[0] if each else None for each in told]))
        print(f"  {label:<24}{false:>4} false   {'   '.join(cells)}")
    values = tigerbeetle(directory)
    rules = Parameters(floor=0.015)
    print(f"TigerBeetle, throughput, {len(values)} runs, floor 1.5 %; known near 15 61 71 95 129"
          " 192, noise at 10")  # fmt: skip
    for direction, those in (("drops", values), ("rises", [-value for value in values])):
        print(f"  {direction} told in runs {ours(those, rules)}")


if __name__ == "__main__":
    main()
