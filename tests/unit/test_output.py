"""What people and programs read of a run: the table and the JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from monitor.cli.run_json import run_as_json
from monitor.cli.table import print_run
from monitor.model import Failure
from tests.builders import AT, case, result, run, sample, usual_run

GOLDEN = Path(__file__).parent / "golden" / "table.txt"


def printed() -> str:
    output = io.StringIO()
    print_run(usual_run(), Console(file=output, width=100, highlight=False))
    return "".join(line.rstrip() + "\n" for line in output.getvalue().splitlines())


def test_the_table_is_the_golden_one() -> None:
    assert printed() == GOLDEN.read_text(), "rewrite it by python -m tests.unit.test_output"


def test_a_run_that_measured_nothing_says_why() -> None:
    failure = Failure(AT, "unavailable", "connection refused")
    output = io.StringIO()
    print_run(run(outcome="failed", failure=failure, environment=None), Console(file=output))
    assert output.getvalue() == "run failed (unavailable): connection refused\n"


def test_the_json_has_the_promised_shape() -> None:
    whole = json.loads(json.dumps(run_as_json(usual_run())))
    assert set(whole) == {"run", "cases", "probes"}
    assert {"id", "target", "started_at", "finished_at", "outcome", "environment"} <= set(
        whole["run"]
    )
    one = whole["cases"][0]
    assert {
        "strategy", "shape", "batch_size", "variant", "rows", "rows_per_second",
        "mean_exec_time_seconds", "rows_per_call", "seconds_per_row", "wal_bytes_per_row",
        "rounds", "disturbed", "failures",
    } <= set(one)  # fmt: skip
    assert {"median", "low", "high"} <= set(one["rows_per_second"])
    assert set(one["seconds_per_row"]) == {"client", "server", "commit", "rest"}
    assert {
        "rows", "insert_seconds", "commit_seconds", "client_seconds", "server_seconds",
        "rest_seconds", "calls", "rows_per_call", "wal_bytes", "wal_records", "wal_fpi",
        "blocks_hit", "blocks_read", "blocks_dirtied", "round_trip_seconds", "late_batch_ratio",
        "disturbed",
    } <= set(one["rounds"][0])  # fmt: skip
    other = whole["cases"][1]
    assert other["failures"] == {"server_error": 1}
    assert other["disturbed"] == {"checkpoint": 1, "pressure": 1}
    assert len(other["rounds"]) == 4


def test_what_is_not_known_is_null() -> None:
    blind = sample(server_seconds=None, rest_seconds=None, calls=None, rows_per_call=None,
                   wal_bytes=None, wal_fpi=None)  # fmt: skip
    (one,) = run_as_json(run(result(case(), blind)))["cases"]
    assert one["rows_per_call"] is None
    assert one["seconds_per_row"]["server"] is None
    assert one["rounds"][0]["server_seconds"] is None


if __name__ == "__main__":
    GOLDEN.write_text(printed())
