"""Runs as lines of the export's tables, and those tables' rows as runs again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from operator import attrgetter, itemgetter
from typing import Any

from monitor.environment import Environment
from monitor.judgement import Detector, Judgement, decode_verdicts, encode_verdicts
from monitor.model import Notice
from monitor.store.records import FailureRow, RunRecord, SampleRow, SeriesKey
from monitor.store.transfer.layout import (
    ENVIRONMENTS,
    FAILURES,
    RUNS,
    SAMPLES,
    VERDICTS,
    Table,
)
from monitor.store.transfer.lines import encoded, line_of, quoted, time_field

Row = Sequence[Any]

_RUN_COLUMNS = ("run_id", "target", "started_at")
#: Where in rows that belong to a run the case's columns lie.
_FAILED_SERIES = slice(4, 9)
_SERIES = slice(3, 8)
#: A sample's own values: as the file orders them, and as they are kept.
_to_file = attrgetter(*SAMPLES.header[_SERIES.stop :])
_from_file = itemgetter(*(SAMPLES.header.index(name) for name in SampleRow._fields))


def lines_of(record: RunRecord) -> dict[str, list[str]]:
    """A run's lines, by the name of the table that they go to."""
    return {
        RUNS.name: _lines(RUNS, [_run(record)]),
        FAILURES.name: _lines(FAILURES, _failures(record)),
        SAMPLES.name: list(_sample_lines(record)),
        VERDICTS.name: _lines(VERDICTS, _verdict(record)),
    }


def environment_lines(environments: Mapping[str, Environment]) -> list[str]:
    """Environments by fingerprint as lines, in their order."""
    rows = (
        (each.fingerprint, each.server_version, each.server, each.client, each.tables)
        for _, each in sorted(environments.items())
    )
    return _lines(ENVIRONMENTS, ([_plain(value) for value in row] for row in rows))


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _lines(table: Table, rows: Iterable[Row]) -> list[str]:
    return [line_of(encoded(table, row)) for row in rows]


def _verdict(record: RunRecord) -> Iterator[Row]:
    judgement = record.judgement
    if judgement is not None:
        yield (
            *_prefix(record),
            judgement.number,
            judgement.detector.version,
            dict(judgement.detector.parameters),
            int(judgement.contended),
            encode_verdicts(judgement),
        )


def _prefix(record: RunRecord) -> Row:
    return record.id, record.target, record.started_at


def _run(record: RunRecord) -> Row:
    return (
        record.id,
        record.target,
        record.started_at,
        record.finished_at,
        record.trigger,
        record.outcome,
        record.rounds,
        record.wal_bytes,
        record.environment.fingerprint if record.environment else None,
        # Not every engine gives back 1.0 for 1.0 or 1e+16 for 1e16.
        {name: [float(each) for each in values] for name, values in record.probes.items()},
        [asdict(notice) for notice in record.notices],
    )


def _failures(record: RunRecord) -> Iterator[Row]:
    for number, row in enumerate(record.failures):
        series = row.series or (None,) * len(SeriesKey._fields)
        own = (row.round, int(row.of_run), row.at, row.reason, row.message)
        yield (*_prefix(record), number, *series, *own)


def _sample_lines(record: RunRecord) -> Iterator[str]:
    """Samples are the many: what a series' lines have in common is encoded once."""
    run = (quoted(record.id), quoted(record.target), time_field(record.started_at))
    for key in sorted(record.samples):
        case = (quoted(key.strategy), quoted(key.shape), str(key.batch_size), quoted(key.variant))
        common = ",".join((*run, *case, str(key.rows)))
        for row in sorted(record.samples[key], key=attrgetter("round")):
            values = ",".join(["" if value is None else str(value) for value in _to_file(row)])
            yield f"{common},{values}\n"


# --- and back ------------------------------------------------------------------------------------


def environments_of(rows: Iterable[Row]) -> dict[str, Environment]:
    """Environments by fingerprint."""
    return {
        fingerprint: Environment(version, server, client, tables, fingerprint)
        for fingerprint, version, server, client, tables in rows
    }


def records_of(
    environments: Mapping[str, Environment],
    runs: Iterable[Row],
    failures: Iterator[Row],
    samples: Iterator[Row],
    verdicts: Iterator[Row],
    states: Iterator[Row],
) -> Iterator[RunRecord]:
    """Runs, put together from rows that all lie in the order of the runs.

    A state outlives its run sometimes, and is left out then. Raises ValueError where another row
    belongs to no run, or a run to no environment.
    """
    of_run, of_target = itemgetter(0), itemgetter(0, 1)
    own, measured = _Joined(failures, of_run), _Joined(samples, of_run)
    judged = _Joined(verdicts, of_run)
    remembered = _Joined(states, of_target)
    for run in runs:
        run_id, place = run[0], (run[1], run[2])
        remembered.skip_before(place)
        parts = (
            own.take(run_id),
            measured.take(run_id),
            judged.take(run_id),
            remembered.take(place),
        )
        yield _record(run, *parts, environments)
    own.finish()
    measured.finish()
    judged.finish()


class _Joined:
    """Rows of a table, handed out by a key in whose order they lie."""

    def __init__(self, rows: Iterator[Row], key: Callable[[Row], Any]) -> None:
        self._rows = rows
        self._key = key
        self._next = next(rows, None)

    def take(self, key: Any) -> list[Row]:
        taken = []
        while self._next is not None and self._key(self._next) == key:
            taken.append(self._next)
            self._next = next(self._rows, None)
        return taken

    def skip_before(self, key: Any) -> None:
        while self._next is not None and self._key(self._next) < key:
            self._next = next(self._rows, None)

    def finish(self) -> None:
        if self._next is not None:
            raise ValueError(f"{self._key(self._next)} is not among the runs, or out of order")


def _record(
    row: Row,
    failures: Iterable[Row],
    samples: Iterable[Row],
    verdicts: Sequence[Row],
    states: Sequence[Row],
    environments: Mapping[str, Environment],
) -> RunRecord:
    run = dict(zip(RUNS.header, row, strict=True))
    fingerprint = run.pop("fingerprint")
    if fingerprint is not None and fingerprint not in environments:
        raise ValueError(f"run {run['id']}: environment {fingerprint} is missing")
    run["probes"] = {name: tuple(values) for name, values in run["probes"].items()}
    run["notices"] = tuple(Notice(**notice) for notice in run["notices"])
    return RunRecord(
        **run,
        environment=None if fingerprint is None else environments[fingerprint],
        failures=tuple(_failure(each) for each in failures),
        samples=_samples(samples),
        judgement=_judgement(verdicts[0]) if verdicts else None,
        state=states[-1][-1] if states else None,
    )


def _failure(row: Row) -> FailureRow:
    series = row[_FAILED_SERIES]
    key = None if series[0] is None else SeriesKey(*series)
    round_number, of_run, at, reason, message = row[_FAILED_SERIES.stop :]
    return FailureRow(at, reason, message, key, round_number, bool(of_run))


def _judgement(row: Row) -> Judgement:
    """What was said of the run's series; changes have rows of their own."""
    number, version, parameters, contended, plain = row[len(_RUN_COLUMNS) :]
    verdicts, cases = decode_verdicts(plain)
    return Judgement(
        number=number,
        detector=Detector(version, parameters),
        verdicts=verdicts,
        cases=cases,
        contended=bool(contended),
    )


def _samples(rows: Iterable[Row]) -> dict[SeriesKey, tuple[SampleRow, ...]]:
    found: dict[SeriesKey, list[SampleRow]] = {}
    for row in rows:
        found.setdefault(SeriesKey(*row[_SERIES]), []).append(SampleRow(*_from_file(row)))
    return {key: tuple(each) for key, each in found.items()}
