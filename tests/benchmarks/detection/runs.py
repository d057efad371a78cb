"""Recorded runs as the daemon knows them, drawn anew in blocks and slowed where one wants."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.environment import Environment
from monitor.measure.summary import summarise
from monitor.model import Case, CaseResult, Run, Sample, rest_of
from monitor.suite import catalog, plan

BLOCK = 12
_INTERVAL = timedelta(minutes=10)
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Recorded:
    """A run, and what had been done to the canary by then."""

    run: Run
    injected: tuple[str, ...]


def read(file: Path) -> list[Recorded]:
    """All runs of a recording in order, ten minutes apart."""
    cases: dict[tuple[Any, ...], Case] = {}
    with gzip.open(file, "rt") as lines:
        return [_recorded(json.loads(line), number, cases) for number, line in enumerate(lines)]


def _recorded(plain: dict[str, Any], number: int, cases: dict[tuple[Any, ...], Case]) -> Recorded:
    results = tuple(_result(each, cases) for each in plain["cases"])
    environment = plain["run"]["environment"]
    run = Run(
        id=plain["run"]["id"],
        target="canary",
        trigger="scheduled",
        started_at=_START,
        finished_at=_START,
        outcome=plain["run"]["outcome"],
        environment=Environment(**environment) if environment else None,
        cases=results,
        probes={name: tuple(probe["values"]) for name, probe in plain["probes"].items()},
        rounds=5,
    )
    return Recorded(at(run, number), tuple(plain["injected"]))


def _result(plain: dict[str, Any], cases: dict[tuple[Any, ...], Case]) -> CaseResult:
    key = (plain["strategy"], plain["batch_size"], plain["transaction"], plain["rows"])
    if key not in cases:
        strategy, batch_size, transaction, rows = key
        settings = CaseSettings(
            strategy=strategy, batch_size=batch_size, transaction=transaction, rows=rows
        )
        suite = SuiteSettings(cases=(settings,), rows=rows)
        cases[key] = plan.resolve(suite, catalog.load()).cases[0]
    names = {field.name for field in fields(Sample)}
    samples = []
    for each in plain["rounds"]:
        values = {name: value for name, value in each.items() if name in names}
        values["started_at"] = datetime.fromisoformat(values["started_at"])
        values["disturbed"] = tuple(values["disturbed"])
        samples.append(Sample(**values))
    return summed(CaseResult(cases[key], tuple(samples), ()))


def summed(result: CaseResult) -> CaseResult:
    """With the figures that its rounds give."""
    return replace(result, summary=summarise(result.counted, 5))


def at(run: Run, number: int) -> Run:
    """The run as number so many of a series, ten minutes apart."""
    started_at = _START + number * _INTERVAL
    return replace(run, started_at=started_at, finished_at=started_at + timedelta(seconds=7))


def drawn(runs: Sequence[Run], count: int, choice: Random) -> Iterator[Run]:
    """Runs in which nothing changed, in blocks of 12 from anywhere, in a new order of time."""
    number = 0
    while True:
        start = choice.randrange(len(runs) - BLOCK + 1)
        for run in runs[start : start + BLOCK]:
            if number == count:
                return
            yield at(run, number)
            number += 1


def slowed(run: Run, which: Callable[[Case], bool], **factors: float) -> Run:
    """With the server or client clock of some cases dearer by factors, and the wall with it."""
    return replace(run, cases=tuple(_slowed(r, factors) if which(r.case) else r for r in run.cases))


def _slowed(result: CaseResult, factors: dict[str, float]) -> CaseResult:
    return summed(replace(result, samples=tuple(_dearer(s, **factors) for s in result.samples)))


def _dearer(sample: Sample, server: float = 1.0, client: float = 1.0, all: float = 1.0) -> Sample:
    clocks = {
        "server_seconds": (sample.server_seconds or 0.0) * server * all,
        "client_seconds": sample.client_seconds * client * all,
        "commit_seconds": sample.commit_seconds * all,
    }
    before = (sample.server_seconds or 0.0, sample.client_seconds, sample.commit_seconds)
    wall = sample.insert_seconds * all + sum(clocks.values()) - all * sum(before)
    return replace(
        sample,
        insert_seconds=wall,
        rest_seconds=rest_of(insert_seconds=wall, **clocks),
        **clocks,
    )
