"""What a run says of each series: the fast end of every signal, the probes, and all cases together.

Values are logarithms of seconds per row, so a rise is always for the worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import inf, log
from statistics import median
from typing import Literal

from monitor.detect.parameters import Parameters
from monitor.judgement import Place, Signal
from monitor.model import CaseKey, CaseResult, Run, Sample

Scope = Literal["server", "host", "network"]

#: The clocks that decide; throughput is stated with them, and alarms with their support.
DECIDING: tuple[Signal, ...] = ("server", "client", "commit")

#: Which part of the world a probe measures.
PROBE_SCOPES: Mapping[str, Scope] = {
    "server_insert": "server",
    "client_cpu": "host",
    "round_trip": "network",
    "commit": "server",
}

#: Probes whose deviation says that the machine was busy with something else.
GATING = ("server_insert", "client_cpu")

#: Probes of things that inserts may hardly wait for: their change matters where inserts feel it.
MATTERING = ("round_trip", "commit")

#: The probes that explain noise: of the server's work on the server clock and in the wall time, of
#: the processor on the client clock.
_CORRECTING: Mapping[str, str] = {
    "server": "server_insert",
    "throughput": "server_insert",
    "client": "client_cpu",
}

#: asyncpg sends their rows one by one without waiting for answers.
_PIPELINED = frozenset({"core_executemany", "orm_bulk"})

#: Their signals that have two levels.
LEVELLED: tuple[Signal, ...] = ("throughput", "server", "commit", "rest", "spread")

#: Signals of all cases together, as targets know them.
TOGETHER = "all:"

#: Floors of what repeats worse than a clock: the distance of median and fast end; the clocks of
#: cases of two levels, which even the minimum of two runs does not quite tell apart; probes of CPU;
#: probes of network and disk.
_SPREAD_FLOOR = 0.15
_TWO_LEVELS_FLOOR = 0.10
_PROBE_FLOORS = {"server_insert": 0.15, "client_cpu": 0.15, "round_trip": 0.25, "commit": 0.25}


@lru_cache(maxsize=1024)
def rules_for(place: Place, rules: Parameters) -> Parameters:
    """The parameters of one series."""
    if place.case is None and place.signal in _PROBE_FLOORS:
        floor = max(rules.floor, _PROBE_FLOORS[place.signal])
        threshold = rules.threshold + rules.young_margin
        return replace(rules, floor=floor, threshold=threshold, fast_floor=inf)
    signal = place.signal.removeprefix(TOGETHER)
    if signal not in DECIDING:
        rules = replace(rules, fast_floor=inf)
    if signal == "spread":
        return replace(rules, floor=max(rules.floor, _SPREAD_FLOOR), pairs=True)
    if place.case and two_levelled(place.case) and signal in ("throughput", "server", "rest"):
        return replace(rules, floor=max(rules.floor, _TWO_LEVELS_FLOOR), pairs=True)
    return rules


def two_levelled(case: CaseKey) -> bool:
    """Whether a case switches between two levels with the host's second core: asyncpg pipelines
    its rows, or it commits every batch, and so waits for the server again and again."""
    return case.strategy in _PIPELINED or "transaction=batch" in case.variant.split(",")


def judgeable(result: CaseResult) -> bool:
    """Whether enough rounds were undisturbed for their fast end to mean something."""
    if result.contended or result.summary is None:
        return False
    return result.summary.rows_per_second_fast is not None


def values(result: CaseResult, wall: float | None) -> Iterator[tuple[Signal, float]]:
    """Each signal's value in a run; those that cannot be known are left out.

    ``wall`` is what a row usually takes, in seconds: the rest, which may be below zero, is judged
    as a share of it.
    """
    samples = result.counted
    clocks: tuple[tuple[Signal, Sequence[float | None]], ...] = (
        ("throughput", [sample.insert_seconds for sample in samples]),
        ("client", [sample.client_seconds for sample in samples]),
        ("server", [sample.server_seconds for sample in samples]),
        ("commit", [sample.commit_seconds for sample in samples]),
    )
    for signal, seconds in clocks:
        least = _least_per_row(samples, seconds)
        if least is not None and least > 0:
            yield signal, log(least)
    rest = _least_per_row(samples, [sample.rest_seconds for sample in samples])
    if wall is not None and rest is not None:
        yield "rest", rest / wall
    walls = [sample.insert_seconds for sample in samples]
    yield "spread", log(median(walls) / min(walls))


def _least_per_row(samples: Sequence[Sample], seconds: Sequence[float | None]) -> float | None:
    known = [
        each / sample.rows
        for each, sample in zip(seconds, samples, strict=True)
        if each is not None
    ]
    return min(known) if len(known) == len(samples) else None


def probe_values(run: Run) -> dict[str, float]:
    """The logarithm of each probe's median over the run's blocks."""
    return {
        name: log(median(seconds))
        for name, seconds in run.probes.items()
        if name in PROBE_SCOPES and seconds and median(seconds) > 0
    }


def probe_of(signal: str, probes: Mapping[str, float]) -> float | None:
    """The probe that may explain a case's signal."""
    return probes.get(_CORRECTING.get(signal, ""))
