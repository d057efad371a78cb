"""Series with real noise: public ones, and runs of our own recorded by record.py."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from math import log
from pathlib import Path
from typing import Any

#: Signals of a recording that are compared, and the field of a round that each comes from.
SIGNALS = {
    "server": "server_seconds",
    "client": "client_seconds",
    "wall": "insert_seconds",
}


def rocksdb(directory: Path) -> dict[str, list[float]]:
    """Logarithms of cost per test; empty where the file is not there."""
    file = directory / "rocksdb2023.json"
    if not file.exists():
        return {}
    tests = json.loads(file.read_text())["tests"]
    return {
        name: [-log(rate) for rate in test["metrics"]["ops_sec"]] for name, test in tests.items()
    }


def tigerbeetle(directory: Path) -> list[float]:
    """Logarithms of cost of the throughput metric."""
    rows = json.loads((directory / "tigerbeetle_full.json").read_text())
    return [
        -log(metric["value"])
        for row in rows
        for metric in row["metrics"]
        if metric["name"] == "load_accepted"
    ]


def recorded(file: Path) -> dict[str, list[float]]:
    """Per strategy and clock, the logarithm of the fastest round of each run without injection."""
    series: dict[str, list[float]] = defaultdict(list)
    with gzip.open(file, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("injected"):
                continue
            for case in row["cases"]:
                for signal, field in SIGNALS.items():
                    value = _fastest(case["rounds"], field)
                    if value is not None:
                        series[f"{_name(case)} {signal}"].append(value)
    return {name: values for name, values in series.items() if len(values) >= 2 * 12}


def recorded_probes(file: Path) -> dict[str, list[float]]:
    """Per probe, the logarithm of its median in each run without injection."""
    probes: dict[str, list[float]] = defaultdict(list)
    with gzip.open(file, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if not row.get("injected"):
                for name, probe in row["probes"].items():
                    probes[name].append(log(probe["median"]))
    return dict(probes)


def _name(case: dict[str, Any]) -> str:
    parts = "" if case["batch_size"] == case["rows"] else f" by {case['batch_size']}"
    return case["strategy"].removeprefix("asyncpg_").removeprefix("core_") + parts


def _fastest(rounds: list[dict[str, Any]], field: str) -> float | None:
    known = [each[field] / each["rows"] for each in rounds if each.get(field)]
    return log(min(known)) if known else None
