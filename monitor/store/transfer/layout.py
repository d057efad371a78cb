"""What an export holds: tables, their columns, units and meaning.

The manifest of every file repeats this, so that the file explains itself. A change that a reader
could notice needs another ``VERSION``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from monitor.model import Disturbance

FORMAT = "ingest-canary store export"
VERSION = 2
MANIFEST = "manifest.json"

#: How the members are written, for those who read them by other means.
CONVENTIONS = (
    "A plain tar of this manifest and one gzip CSV (UTF-8, lines end in a line feed, header row)"
    " per table. Texts stand in double quotes, doubled inside; an empty field without quotes is"
    " unknown or absent (NULL), which PostgreSQL's COPY ... WITH (FORMAT csv, HEADER) reads just"
    " so. Times are ISO-8601 in UTC with microseconds; json is JSON text; base64 is bytes."
)

_DISTURBANCES = ", ".join(f"{1 << bit} {name}" for bit, name in enumerate(get_args(Disturbance)))

Type = Literal["text", "integer", "time", "json", "base64"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; ``optional`` if it can be empty, ``unit`` where it is a quantity."""

    name: str
    type: Type
    description: str
    unit: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of an export; its rows lie in the order that ``description`` says."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def member(self) -> str:
        """Its file within the archive."""
        return f"{self.name}.csv.gz"

    @property
    def header(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def _text(name: str, description: str, **options: Any) -> Column:
    return Column(name, "text", description, **options)


def _time(name: str, description: str, **options: Any) -> Column:
    return Column(name, "time", description, **options)


def _json(name: str, description: str) -> Column:
    return Column(name, "json", description)


def _count(name: str, description: str, unit: str | None = None, **options: Any) -> Column:
    return Column(name, "integer", description, unit, **options)


def _unknown(name: str, description: str, unit: str | None = None) -> Column:
    """A quantity that not every server, or not every right, lets us measure."""
    return Column(name, "integer", description, unit, optional=True)


def _series(optional: bool = False) -> tuple[Column, ...]:
    """The case: with the target what a series is."""
    return (
        _text("strategy", "strategy of the case", optional=optional),
        _text("shape", "table that was inserted into", optional=optional),
        _count("batch_size", "rows per call of the strategy", "rows", optional=optional),
        _text("variant", "every other difference of the case, as k=v,k=v", optional=optional),
        _count("rows", "rows of a round", "rows", optional=optional),
    )


_RUN = (
    _text("run_id", "id of the run, see runs"),
    _text("target", "the run's target"),
    _time("started_at", "when the run began"),
)

ENVIRONMENTS = Table(
    "environments",
    "What runs were made with, once per fingerprint; ordered by it. Of settings that could be"
    " secret only a keyed hash is kept.",
    (
        _text("fingerprint", "identifies the environment"),
        _text("server_version", "version of the target's server"),
        _json("server", "settings of the server by name"),
        _json("client", "versions and host facts by name"),
        _json("tables", "definitions of the canary's tables by name"),
    ),
)

RUNS = Table(
    "runs",
    "One row per run; ordered by target and started_at.",
    (
        _text("id", "identifies the run everywhere: importing it twice adds nothing"),
        _text("target", "name of the canary database"),
        _time("started_at", "when the run began; never twice for a target"),
        _time("finished_at", "when it ended"),
        _text("trigger", "scheduled, confirmation or manual"),
        _text("outcome", "ok, partial, failed or skipped"),
        _count("rounds", "rounds planned per case"),
        _unknown("wal_bytes", "WAL that the server wrote meanwhile", "bytes"),
        _text("fingerprint", "its environment, see environments", optional=True),
        _json("probes", "seconds of each round of each probe, by the probe's name"),
        _json("notices", "what the user was told: subject, message, remedy"),
    ),
)

FAILURES = Table(
    "failures",
    "Rounds, or whole runs, that gave no sample; ordered as runs are, then by number.",
    (
        *_RUN,
        _count("number", "counts the run's failures from 0"),
        *_series(optional=True),
        _count("round", "the round that failed", optional=True),
        _count("of_run", "1: it ended the run; 0: it is of one round"),
        _time("at", "when it failed"),
        _text("reason", "why, a word of a closed list"),
        _text("message", "why, for people"),
    ),
)

SAMPLES = Table(
    "samples",
    "One row per round; ordered as runs are, then by the case's columns and round.",
    (
        *_RUN,
        *_series(),
        _count("round", "counts the case's rounds of the run from 1"),
        _unknown("other_sessions", "sessions of others that were active"),
        _count("disturbed", f"what disturbed it, a sum of: {_DISTURBANCES}"),
        _count("insert_ns", "wall time from first statement to commit returned", "nanoseconds"),
        _count("commit_ns", "part of it that the commit took", "nanoseconds"),
        _count("client_ns", "CPU time of the inserting thread", "nanoseconds"),
        _unknown("server_ns", "execution time by pg_stat_statements", "nanoseconds"),
        _unknown("wal_bytes", "WAL of our statements", "bytes"),
        _unknown("blocks_hit", "shared buffers found", "blocks"),
        _count("offset_us", "when the round began, since started_at", "microseconds"),
        _count("round_trip_ns", "a SELECT 1 just before", "nanoseconds"),
        _unknown("calls", "executions that the server counted"),
        _unknown("counted_rows", "rows that the server counted, where they are not all", "rows"),
        _unknown("wal_records", "WAL records of our statements"),
        _unknown("wal_fpi", "full-page images among them"),
        _unknown("blocks_read", "shared buffers read in", "blocks"),
        _unknown("blocks_dirtied", "shared buffers made dirty", "blocks"),
        _unknown("late_batch_ppm", "time of the last quarter of the batches over the first",
                 "millionths"),
        _unknown("steal_ppm", "share of CPU time stolen from the machine", "millionths"),
        _unknown("pressure_ppm", "share of time that tasks waited for CPU", "millionths"),
    ),
)  # fmt: skip

STATES = Table(
    "detector_states",
    "The detector's memory after the last run of a day; ordered by target and started_at.",
    (
        _text("target", "name of the canary database"),
        _time("started_at", "when that run began"),
        Column("state", "base64", "bytes that the detector alone understands"),
    ),
)


VERDICTS = Table(
    "verdicts",
    "One row per judged run; ordered as runs are.",
    (
        *_RUN,
        _count("number", "counts the target's judged runs from 1"),
        _count("version", "of the detector that judged"),
        _json("parameters", "the detector's parameters by name"),
        _count("contended", "1: the machine was too busy for the run to be judged"),
        _json(
            "verdicts",
            "a list per case, and with null one of the target: case (strategy, shape, batch size,"
            " variant), state, and by signal: state, statistic, effect, baseline (seconds a row),"
            " smallest effect that 12 runs would show, since",
        ),
    ),
)

CHANGES = Table(
    "changes",
    "Levels that shifted, as they were told; ordered by target, started_at and id.",
    (
        _text("id", "identifies the change"),
        _text("target", "name of the canary database"),
        _time("started_at", "when the run began that told it"),
        _json("change", "all that was told of it"),
    ),
)

CHANGE_ENDS = Table(
    "change_ends",
    "How changes ended; ordered by target, started_at and change_id.",
    (
        _text("change_id", "the change, see changes"),
        _text("target", "name of the canary database"),
        _time("started_at", "when the run began that told it"),
        _text("ending", "recovered, absorbed, accepted or retired"),
        _time("at", "when it ended"),
    ),
)


def _of_signal(signal: str, description: str, optional: bool = False) -> tuple[Column, ...]:
    ends = (("", "median"), ("_low", "lower quartile"), ("_high", "upper quartile"))
    return tuple(
        Column(f"{signal}_ns{end}", "integer", f"{what} of {description}", "nanoseconds", optional)
        for end, what in ends
    )


ROLLUPS = Table(
    "rollups",
    "Hours and days of series, computed from samples; ordered by target, the case's columns, hours"
    " and started_at.",
    (
        _text("target", "name of the canary database"),
        *_series(),
        _count("hours", "length: 1 or 24", "hours"),
        _time("started_at", "when the hour or day began"),
        _count("runs", "runs within it"),
        _count("samples", "samples within it"),
        _count("fast_ns", "the fast end's wall time of a round", "nanoseconds"),
        *_of_signal("insert", "wall time of a round"),
        *_of_signal("commit", "commit time"),
        *_of_signal("client", "client CPU time"),
        *_of_signal("server", "server execution time", optional=True),
        _unknown("wal_bytes", "WAL of a round", "bytes"),
        _unknown("calls", "executions of a round"),
    ),
)

CONTROL = Table(
    "control",
    "What people asked for: pauses, resumptions, acceptances; ordered by at and id.",
    (
        _text("id", "identifies the request"),
        _time("at", "when it was made"),
        _text("action", "pause, resume or accept"),
        _text("target", "of which target; empty: of all", optional=True),
        _text("subject", "what an acceptance accepts", optional=True),
        _text("by", "who asked"),
        _text("note", "why"),
    ),
)

EXPLORATIONS = Table(
    "explorations",
    "What was found by hand: sweeps and explained statements; ordered by started_at and id.",
    (
        _text("id", "identifies the finding"),
        _text("target", "name of the canary database"),
        _time("started_at", "when it was begun"),
        _text("kind", "sweep or explain"),
        _text("subject", "the question: two of one subject can be compared"),
        _text("fingerprint", "its environment, see environments", optional=True),
        _json("result", "what the command printed with --json"),
    ),
)

#: In the order in which they lie in a file.
TABLES = (
    ENVIRONMENTS,
    RUNS,
    FAILURES,
    SAMPLES,
    VERDICTS,
    STATES,
    CHANGES,
    CHANGE_ENDS,
    ROLLUPS,
    EXPLORATIONS,
    CONTROL,
)
