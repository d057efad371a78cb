"""``ingest-canary history`` on real stores: its forms, its refusals, what it says of nothing."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from functools import partial

import pytest

from monitor.environment import Environment
from monitor.store.database import Location
from monitor.store.records import SeriesKey
from tests.integration.commands import Command, Ended, command_fixture  # noqa: F401
from tests.integration.histories import (
    DAY,
    FIRST,
    HOUR,
    NOW,
    A,
    alternating,
    failure,
    fill,
    one_series,
    with_failures,
)
from tests.stores import (
    COPY,
    location_fixture,  # noqa: F401
    record,
    records_every,
)


@pytest.fixture
def history(location: Location, command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``ingest-canary history`` with some arguments, on the store at ``location``."""
    monkeypatch.setenv("INGEST_CANARY_DATA_DIR", str(location.path.parent))
    monkeypatch.setenv("COLUMNS", "100")
    if location.url:
        monkeypatch.setenv("INGEST_CANARY_STORE__URL", location.url)
        monkeypatch.setenv("INGEST_CANARY_STORE__SCHEMA", location.schema)
    return partial(command, "history")


def complaint(ended: Ended) -> str:
    """The one sentence of a command that was refused."""
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    return ended.err.removeprefix("ingest-canary: ").rstrip("\n")


SINCE = ("--since", FIRST.isoformat())


def test_the_forms_tell_the_same(location: Location, history: Command) -> None:
    runs = records_every(HOUR, NOW - DAY, NOW)
    runs[-1] = with_failures(runs[-1], failure(runs[-1], COPY), outcome="partial")
    fill(location, *runs)
    table, as_json, as_csv = (history(*SINCE, *form) for form in ((), ("--json",), ("--csv",)))
    assert [each.code for each in (table, as_json, as_csv)] == [0, 0, 0]
    assert [each.err for each in (table, as_json, as_csv)] == ["", "", ""]

    whole = json.loads(as_json.out)
    assert list(whole) == ["since", "until", "series", "targets"]
    assert whole["since"] == FIRST.isoformat()
    assert whole["targets"] == [
        {
            "target": "main",
            "begins_at": (NOW - DAY).isoformat(),
            "runs": 24,
            "outcomes": {"ok": 23, "partial": 1},
            "run_failures": {},
            "last_run": {
                "started_at": runs[-1].started_at.isoformat(),
                "outcome": "partial",
                "failure": {"reason": "timeout", "message": "too late", "case": COPY._asdict()},
            },
        }
    ]
    first = whole["series"][0]
    assert list(first) == ["target", *SeriesKey._fields, "runs", "failures", "last", "median",
                           "spread_ratio", "points", "signals"]  # fmt: skip
    assert {name: first[name] for name in SeriesKey._fields} == COPY._asdict()
    assert (first["target"], first["runs"], first["failures"]) == ("main", 24, 1)
    series = one_series(location)
    assert (first["last"], first["median"]) == (series.last, series.median)
    assert first["spread_ratio"] == series.spread_ratio
    assert first["points"] == [
        {**point._asdict(), "started_at": point.started_at.isoformat()} for point in series.points
    ]

    lines = list(csv.DictReader(io.StringIO(as_csv.out)))
    points = [
        {"target": "main", **{name: each[name] for name in SeriesKey._fields}, **point}
        for each in whole["series"]
        for point in each["points"]
    ]
    assert lines == [
        {name: "" if value is None else str(value) for name, value in point.items()}
        for point in points
    ]

    line = next(line for line in table.out.splitlines() if line.startswith(" asyncpg_copy"))
    assert line.split()[-5:] == [
        f"{first['last']:,.0f}",
        f"{first['median']:,.0f}",
        f"{first['spread_ratio']:.1%}",
        "24",
        "1",
    ]
    assert "24 runs (1 partial)" in table.out
    assert table.out.endswith(": partial (timeout in asyncpg_copy): too late\n\n")


def test_many_targets_are_explained_once(location: Location, history: Command) -> None:
    fill(location, record(NOW), record(NOW, target="other"))
    text = history(*SINCE).out
    assert text.count("median absolute deviation") == 1
    assert [line.split(":")[0] for line in text.splitlines() if "UTC, 1 run" in line] == [
        "main", "other",
    ]  # fmt: skip
    only = history(*SINCE, "--target", "other").out
    assert "main" not in only
    assert "median absolute deviation" in only


def test_without_since_a_week_is_told(location: Location, history: Command) -> None:
    today = datetime.now(UTC)
    fill(location, record(today - 8 * DAY), record(today - 6 * DAY))
    (copy, bulk) = json.loads(history("--json").out)["series"]
    assert (copy["runs"], bulk["runs"]) == (1, 1)


def test_until_is_not_before_the_last_run(location: Location, history: Command) -> None:
    """A target's time never goes back, though the clock of who asks may have."""
    ahead = datetime.now(UTC).replace(microsecond=0) + 5 * DAY
    fill(location, record(ahead))
    assert json.loads(history("--json").out)["until"] == ahead.isoformat()
    assert "just now" in history().out


def test_nothing_stored_is_a_sentence(location: Location, history: Command) -> None:
    empty = history()
    assert (empty.code, empty.err) == (0, "")
    assert empty.out == f"Nothing has been stored yet ({location}).\n"
    assert history("--environments").out == empty.out
    as_json = json.loads(history("--json").out)
    assert (as_json["series"], as_json["targets"]) == ([], [])
    assert json.loads(history("--environments", "--json").out)["targets"] == []
    assert history("--csv").out.count("\n") == 1
    assert complaint(history("--between", "aaaa", "bbbb")) == "no environment has been stored yet."
    assert not location.path.exists()


def test_a_store_without_runs_is_told_alike(location: Location, history: Command) -> None:
    fill(location)
    assert history().out == f"Nothing has been stored yet ({location}).\n"
    assert complaint(history("--between", "aaaa", "bbbb")) == (
        "unknown environment 'aaaa'; none is stored."
    )


def test_unknown_names_are_refused_with_the_known_ones(
    location: Location, history: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__NEW__DSN", "postgresql://h/db")
    fill(location, record(NOW), record(NOW, target="other", keys=(COPY,)))
    for more in ((), ("--json",), ("--environments",)):
        assert complaint(history("--target", "nope", *more)) == (
            "unknown target 'nope'; known: main, new, other."
        )
    assert complaint(history("--strategy", "nope")) == (
        "nothing is stored of a strategy 'nope'; stored: asyncpg_copy, orm_bulk."
    )
    assert complaint(history("--strategy", "orm_bulk", "--target", "other")) == (
        "nothing is stored of a strategy 'orm_bulk'; stored: asyncpg_copy."
    )
    configured = history("--target", "new")
    assert (configured.code, configured.out) == (
        0, f"Nothing has been stored of new yet ({location}).\n",
    )  # fmt: skip


def test_environments_as_text_and_json(location: Location, history: Command) -> None:
    fill(location, *alternating())
    text = history("--environments", "--target", "main").out.splitlines()
    assert [line.split()[5:] for line in text if line.startswith("2026")] == [
        ["aaaa00000000", "18.6"],
        ["bbbb00000000", "18.7"],
        ["aaaa00000000", "18.6", "again"],
        ["bbbb00000000", "18.7", "again"],
    ]
    changed = ["server: 18.6 → 18.7", "orders: removed id integer", "orders: added id bigint"]
    assert [line.strip() for line in text if line.startswith("    ")] == changed
    whole = json.loads(history("--environments", "--json").out)
    assert list(whole) == ["since", "until", "targets"]
    (target,) = whole["targets"]
    assert target["target"] == "main"
    assert [each["runs"] for each in target["periods"]] == [3, 2, 2, 2]
    assert [each["text"] for each in target["periods"][1]["differences"]] == changed
    late = history("--environments", "--since", (NOW - HOUR).isoformat()).out
    assert late == "main: no environment is known of this time.\n\n"


def test_any_two_environments_are_compared(location: Location, history: Command) -> None:
    c = Environment("19.0", {}, {}, {}, "aaab00000000")
    fill(location, *alternating(), record(NOW, environment=c))
    assert history("--environments", "--between", "bbbb", "aaaa").out.splitlines() == [
        "bbbb00000000 (server 18.7) → aaaa00000000 (server 18.6)",
        "    server: 18.7 → 18.6",
        "    orders: removed id bigint",
        "    orders: added id integer",
    ]
    whole = json.loads(history("--between", "aaaa", "aaab", "--json").out)
    assert (whole["before"], whole["after"]) == ("aaaa00000000", "aaab00000000")
    assert [each["text"] for each in whole["differences"]] == [
        str(each) for each in A.differences(c)
    ]
    assert complaint(history("--between", "aaa", "bbbb")) == (
        "'aaa': give 4 digits of a fingerprint."
    )
    assert complaint(history("--between", "aaaa", "cccc")) == (
        "unknown environment 'cccc'; stored: aaaa00000000, aaab00000000, bbbb00000000."
    )


@pytest.mark.parametrize("location", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ("--csv", "--json"),
        ("--csv", "--environments"),
        ("--csv", "--between", "aaaa", "bbbb"),
        ("--strategy", "orm_bulk", "--environments"),
        ("--strategy", "orm_bulk", "--between", "aaaa", "bbbb"),
        ("--target", "main", "--between", "aaaa", "bbbb"),
        ("--since", "7d", "--between", "aaaa", "bbbb"),
        ("--between", "aaaa"),
        ("--since", "yesterday"),
    ],
)
def test_what_makes_no_sense_together_is_refused(
    history: Command, arguments: tuple[str, ...]
) -> None:
    assert "--" in complaint(history(*arguments))
