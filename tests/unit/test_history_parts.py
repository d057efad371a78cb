"""The parts of ``history`` that need no store: when a span begins, medians, environments."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from monitor.cli.environments import periods_as_json, print_between, print_periods, resolve
from monitor.cli.history import since_when
from monitor.environment import Environment
from monitor.errors import ConfigurationError
from monitor.measure import summary
from monitor.store import points
from monitor.store.history import Period, weighted_median
from tests import builders

NOW = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)

A = builders.environment("aaaa00000000")
B = Environment(
    "18.7",
    {"fsync": "on", "shared_buffers": "32768 8kB", "secret": "hash:1"},
    A.client,
    {"orders": "id integer\nCREATE INDEX orders_amount ON orders (amount)"},
    "bbbb00000000",
)
C = replace(A, client={**A.client, "sqlalchemy": "2.1.10"}, fingerprint="cccc00000000")
A_TO_B = """\
    server: 18.6 → 18.7
    secret: added hash:1
    shared_buffers: added 32768 8kB
    orders: added CREATE INDEX orders_amount ON orders (amount)
"""


# --- since ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("90min", NOW - timedelta(minutes=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("20261120", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:30", datetime(2026, 11, 20, 8, 30, tzinfo=UTC)),
        ("2026-11-20 08:30:15Z", datetime(2026, 11, 20, 8, 30, 15, tzinfo=UTC)),
        ("2026-11-20T08:30+02:00", datetime(2026, 11, 20, 6, 30, tzinfo=UTC)),
        ("1900-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00+05:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1000000d", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999999999999d", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_since_is_a_duration_back_or_a_moment_in_utc(text: str, begins: datetime) -> None:
    assert since_when(text, NOW) == begins
    assert since_when(text, NOW).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["", "yesterday", "7 days", "-7d", "0d", "2026-13-01", "true"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write a duration such as 7d .* 2026-11-22"):
        since_when(text, NOW)


# --- medians -------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(1, 1e9), st.integers(1, 5)), min_size=1, max_size=30))
def test_a_weighted_median_is_that_of_repeated_values(values: list[tuple[float, int]]) -> None:
    repeated = [value for value, times in values for _ in range(times)]
    assert weighted_median(values) == median(repeated)


def test_the_fast_end_needs_the_same_share_of_rounds_everywhere() -> None:
    assert points.MIN_VALID_SHARE == summary.MIN_VALID_SHARE


# --- environments --------------------------------------------------------------------------------


def console(output: io.StringIO) -> Console:
    return Console(file=output, width=80, highlight=False)


def periods(*environments: Environment) -> list[Period]:
    """An hour each, the second of 1,234 runs."""
    return [
        Period(each, NOW + n * HOUR, NOW + n * HOUR + 50 * HOUR / 60, 1234 if n == 1 else 6)
        for n, each in enumerate(environments)
    ]


def printed(*environments: Environment) -> str:
    output = io.StringIO()
    print_periods("main", periods(*environments), console(output))
    return output.getvalue()


def test_what_changed_stands_between_the_periods() -> None:
    assert printed(A, B) == (
        "main: 2 environments; first and last run in UTC\n"
        "first run         last run             runs  fingerprint   server\n"
        "2026-11-22 14:10  2026-11-22 15:00        6  aaaa00000000  18.6\n"
        f"{A_TO_B}"
        "2026-11-22 15:10  2026-11-22 16:00    1,234  bbbb00000000  18.7\n"
        "\n"
    )


def test_a_change_back_and_forth_is_told_once() -> None:
    lines = printed(A, B, A, B, C, B).splitlines()
    assert [line.split()[5:] for line in lines if line.startswith("2026")] == [
        ["aaaa00000000", "18.6"],
        ["bbbb00000000", "18.7"],
        ["aaaa00000000", "18.6", "again"],
        ["bbbb00000000", "18.7", "again"],
        ["cccc00000000", "18.6"],
        ["bbbb00000000", "18.7", "again"],
    ]
    text = "\n".join(lines)
    assert text.count("server: 18.6 → 18.7") == 1
    assert text.count("server: 18.7 → 18.6") == 1
    assert text.count("sqlalchemy: 2.1.9 → 2.1.10") == 1
    assert lines[0] == "main: 3 environments; first and last run in UTC"


def test_one_environment_and_none() -> None:
    assert printed(A).startswith("main: 1 environment; ")
    assert printed() == "main: no environment is known of this time.\n\n"


def test_two_environments_side_by_side() -> None:
    output = io.StringIO()
    print_between(A, B, console(output))
    print_between(A, replace(A, fingerprint="dddd00000000"), console(output))
    assert output.getvalue() == (
        "aaaa00000000 (server 18.6) → bbbb00000000 (server 18.7)\n"
        f"{A_TO_B}"
        "aaaa00000000 (server 18.6) → dddd00000000 (server 18.6)\n"
        "    no difference is recorded\n"
    )


def test_a_new_table_is_indented_as_a_whole() -> None:
    output = io.StringIO()
    wider = replace(A, tables={**A.tables, "wide": "id integer\nnote text"})
    print_between(A, wider, console(output))
    assert output.getvalue().splitlines()[1:] == [
        "    wide: added id integer",
        "    note text",
    ]


def test_json_tells_every_difference_every_time() -> None:
    first, second, third = periods_as_json(periods(A, B, A))
    assert first["differences"] == []
    assert second == {
        "fingerprint": "bbbb00000000",
        "server_version": "18.7",
        "first_run_at": "2026-11-22T15:10:00+00:00",
        "last_run_at": "2026-11-22T16:00:00+00:00",
        "runs": 1234,
        "differences": second["differences"],
    }
    assert second["differences"][0] == {
        "part": "version",
        "name": "server",
        "before": "18.6",
        "after": "18.7",
        "text": "server: 18.6 → 18.7",
    }
    assert [each["text"] for each in second["differences"]] == [
        line.strip() for line in A_TO_B.splitlines()
    ]
    assert len(third["differences"]) == len(second["differences"])


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("abc", "'abc': give 4 digits of a fingerprint."),
        ("abcd", "'abcd' is ambiguous: abcd00000000, abcd11111111."),
        ("ffff", "unknown environment 'ffff'; stored: abcd00000000, abcd11111111, abce00000000."),
    ],
)
def test_a_prefix_must_mean_one_environment(prefix: str, says: str) -> None:
    stored = ["abcd00000000", "abcd11111111", "abce00000000"]
    assert resolve("ABCE", stored) == resolve("abce00000000", stored) == "abce00000000"
    assert resolve("abcd1", stored) == "abcd11111111"
    with pytest.raises(ConfigurationError) as refused:
        resolve(prefix, stored)
    assert str(refused.value) == says
