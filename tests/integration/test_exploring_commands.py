"""``sweep``, ``overhead`` and ``explain`` as a user calls them, on a real server, with a store."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.canary.connection import Canary
from monitor.config.load import load
from monitor.daemon.evidence import keep_evidence
from monitor.daemon.exploration import recall
from monitor.daemon.fingerprint_key import fingerprint_key
from monitor.measure.runner import Runner
from monitor.model import Target
from tests.conftest import Database
from tests.integration.commands import Command, command_fixture  # noqa: F401
from tests.integration.helpers import (
    LIMITS,
    SCHEMA,
    locks_of_ours,
    make_plan,
    measure,
    sessions_of_ours,
)
from tests.servers import wait_until


@pytest.fixture
def canary(database: Database, command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``ingest-canary`` with some arguments, its target the test's database."""
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    return command


SWEEP = ("sweep", "--values", "10,50,100,200", "--rows", "200", "--rounds", "2")
COPY = ("--strategy", "asyncpg_copy")


def tables_of(database: Database) -> list[Any]:
    return database.sql(
        f"SELECT relname FROM pg_class WHERE relkind = 'r'"
        f" AND relnamespace = '{SCHEMA}'::regnamespace"
    )


def test_a_sweep_prints_table_chart_and_elbow_and_leaves_nothing(
    canary: Command, database: Database
) -> None:
    done = canary(*SWEEP, *COPY, "--strategy", "core_insertmanyvalues")
    assert done.code == 0, done.err
    assert "rows/s over batch_size on orders, 200 rows × 2 rounds" in done.out
    assert done.out.count("◀ elbow") == 2
    assert tables_of(database) == []
    assert (sessions_of_ours(database), locks_of_ours(database)) == (0, 0)


def test_a_second_sweep_is_shown_beside_the_first(canary: Command) -> None:
    assert "beside the sweep" not in canary(*SWEEP, *COPY).out
    done = canary(*SWEEP, *COPY)
    assert "beside the sweep of " in done.out
    assert "asyncpg_copy: elbow " in done.out
    other = canary("sweep", "--values", "10,50,100", "--rows", "100", "--rounds", "1", *COPY)
    assert "beside the sweep" not in other.out  # other rows: another question
    listed = canary("sweep", "--stored")
    assert listed.out.count("batch_size on orders, rows 200") == 2
    assert listed.out.count("batch_size on orders, rows 100") == 1
    assert [each["rows"] for each in canary("sweep", "--stored", "--json").json] == [100, 200, 200]


def test_a_sweep_as_json_has_every_point(canary: Command) -> None:
    done = canary(*SWEEP, *COPY, "--json")
    whole = done.json
    assert (whole["over"], whole["trend"], whole["values"]) == (
        "batch_size", "rising", [10, 50, 100, 200],
    )  # fmt: skip
    (curve,) = whole["curves"]
    assert curve["elbow"] in whole["values"]
    for point in curve["points"]:
        assert point["rows_per_second"]["low"] <= point["rows_per_second"]["median"]
        assert point["rows_per_call"] == point["value"]
        assert len(point["seconds"]) == point["rounds"] == 2
        assert (point["late_batch_ratio"] is None) is (point["value"] > 50)


def test_page_size_and_width_are_swept_too(canary: Command) -> None:
    done = canary("sweep", "--over", "page_size", "--values", "20,100,200", "--rows", "200",
                  "--rounds", "1", "--json")  # fmt: skip
    (curve,) = done.json["curves"]
    assert [point["rows_per_call"] for point in curve["points"]] == [20, 100, 200]
    done = canary("sweep", "--over", "width", "--values", "10,1k,2k", "--rows", "100",
                  "--rounds", "1", *COPY, "--json")  # fmt: skip
    whole = done.json
    assert (whole["shape"], whole["trend"]) == ("orders_wide", "falling")
    wal = [point["wal_bytes_per_row"] for point in whole["curves"][0]["points"]]
    assert wal == sorted(wal)
    assert wal[-1] > 1500


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sweep", "--values", "10,ten"), "'ten' is no whole number above 0"),
        (("sweep", "--values", "10,0"), "'0' is no whole number above 0"),
        (("sweep", "--over", "pagesize"), "--over pagesize: no strategy chosen and not the shape"),
        (("sweep", "--strategy", "copy"), "unknown strategy 'copy'"),
        (("overhead", "--of", "idx"), "shape orders declares no 'idx'"),
        (("overhead", "--concurrently"), "--concurrently belongs to --rebuild"),
        (("overhead", "--rows", "1k,2k"), "--rows: one number, or --rebuild with several"),
        (("overhead", "--rebuild", "--of", "customer_fk"), "declares no 'customer_fk'"),
        (("explain", "--shape", "order"), "did you mean 'orders'?"),
        (("explain", "--target", "other"), "unknown target 'other'; configured: main"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    canary: Command, database: Database, arguments: tuple[str, ...], said: str
) -> None:
    done = canary(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
    assert database.sql(f"SELECT FROM pg_namespace WHERE nspname = '{SCHEMA}'") == []


def test_overhead_prints_a_line_each_and_that_it_is_a_lower_bound(canary: Command) -> None:
    done = canary("overhead", "--of", "customer_idx", "--of", "customer_fk", *COPY,
                  "--rows", "500", "--rounds", "6")  # fmt: skip
    assert done.code == 0, done.err
    assert "overhead on orders, 500 rows × 6 blocks" in done.out
    for name in ("customer_idx", "customer_fk"):
        (line,) = [line for line in done.out.splitlines() if line.startswith(f" {name}  ")]
        assert "asyncpg_copy" in line
        assert " % " in line
    assert "this is a lower bound" in done.out


def test_overhead_as_json_after_prefilled_rows(canary: Command, database: Database) -> None:
    done = canary("overhead", "--of", "five_idx", *COPY, "--rows", "300", "--rounds", "6",
                  "--prefill", "1000", "--json")  # fmt: skip
    (found,) = done.json["overheads"]
    assert (found["index"], found["pairs"], found["lower_bound"]) == ("five_idx", 6, False)
    assert found["overhead_ratio"]["coverage"] > 0.95
    assert found["server_overhead_ratio"]["median"] > 0
    assert tables_of(database) == []


def test_rebuild_names_where_it_pays(canary: Command) -> None:
    done = canary("overhead", "--rebuild", "--concurrently", "--of", "customer_idx", *COPY,
                  "--rows", "100,400", "--rounds", "2")  # fmt: skip
    assert done.code == 0, done.err
    assert "customer_idx with asyncpg_copy: CREATE INDEX afterwards" in done.out
    assert "customer_idx with asyncpg_copy: CREATE INDEX CONCURRENTLY afterwards" in done.out
    done = canary("overhead", "--rebuild", "--of", "customer_idx", *COPY, "--rows", "100,400",
                  "--rounds", "2", "--json")  # fmt: skip
    (found,) = done.json["break_evens"]
    assert [each["rows"] for each in found["comparisons"]] == [100, 400]
    assert all(each["build_seconds"] > 0 for each in found["comparisons"])


def test_explain_prints_sql_verdict_and_plan(canary: Command) -> None:
    done = canary("explain", "--rows", "300", "--strategy", "core_executemany",
                  "--strategy", "core_insertmanyvalues", *COPY)  # fmt: skip
    assert done.code == 0, done.err
    assert "NOT BATCHED: no RETURNING" in done.out
    assert "batched: insertmanyvalues, up to 300 rows a statement" in done.out
    assert "… 299 more" in done.out
    assert "answered COPY 300" in done.out
    assert "EXPLAIN cannot take COPY" in done.out
    assert "WAL: records=" in done.out
    full = canary("explain", "--rows", "300", "--strategy", "core_insertmanyvalues", "--full")
    assert "… 299 more" not in full.out
    assert "$900" in full.out


def test_each_target_is_explored_by_its_own_suite(
    canary: Command, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__SUITE", "narrow")
    cases = '[{"strategy": "asyncpg_unnest", "batch_size": 7}]'
    monkeypatch.setenv("INGEST_CANARY_SUITES__NARROW__CASES", cases)
    done = canary("explain", "--rows", "50", "--json")
    assert [each["strategy"] for each in done.json["cases"]] == ["asyncpg_unnest"]
    done = canary(*SWEEP, "--target", "main", "--json")
    assert [each["strategy"] for each in done.json["curves"]] == ["asyncpg_unnest"]


def test_what_is_explained_is_kept_for_each_environment(
    canary: Command, database: Database
) -> None:
    arguments = ("explain", "--rows", "200", "--strategy", "core_insertmanyvalues")
    first = canary(*arguments)
    assert "environment" in first.out
    assert " as on " not in canary(*arguments).out  # the same environment: replaced
    database.sql(f"CREATE INDEX by_status ON {SCHEMA}.orders (status)")
    again = canary(*arguments)
    assert "core_insertmanyvalues on orders, batch 200: as on " in again.out
    database.sql(f"ALTER TABLE {SCHEMA}.orders ADD COLUMN extra int")
    third = canary(*arguments)
    assert ": as on " in third.out


def test_a_target_that_is_refused_is_exit_code_2(canary: Command, database: Database) -> None:
    database.sql(f"CREATE SCHEMA {SCHEMA}")
    for command in (SWEEP, ("overhead", "--of", "id_brin"), ("explain",)):
        done = canary(*command)
        assert done.code == 2
        assert "was not made by ingest-canary" in done.out + done.err


def test_a_sweep_that_would_write_too_much_wal_ends_after_its_warm_up(
    canary: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_LIMITS__MAX_WAL_BYTES_PER_DAY", "1MB")
    done = canary("sweep", "--values", "500,1k,2k", "--rows", "2000", *COPY)
    assert done.code == 1
    assert "it would write some" in done.out
    assert "max_wal_bytes_per_day leaves" in done.out


def test_evidence_is_kept_once_for_an_environment(database: Database, tmp_path: Path) -> None:
    settings = load(None, {"data_dir": tmp_path, "targets": {"main": {"dsn": database.dsn}}})
    plan = make_plan(rows=50)

    async def kept() -> list[bool]:
        canary = Canary(Target("main", database.dsn))
        key = fingerprint_key(settings)
        runner = Runner(make_plan(), LIMITS, SCHEMA, fingerprint_key=key)
        run = await measure(database.dsn, runner)
        assert run.environment
        done = [await keep_evidence(settings, plan, canary, run.environment) for _ in range(2)]
        await canary.dispose()
        return done

    assert asyncio.run(kept()) == [True, True]
    found = asyncio.run(recall(settings, "explain", "main"))
    assert [each.result["strategy"] for each in found] == ["asyncpg_copy"]


#: As a script's shell starts what it does not wait for: deaf to Ctrl-C.
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


@pytest.mark.parametrize("started_by", [(), IN_BACKGROUND])
def test_a_sweep_that_is_told_to_end_leaves_no_tables(
    database: Database, tmp_path: Path, started_by: tuple[str, ...]
) -> None:
    settings = {
        "INGEST_CANARY_DATA_DIR": str(tmp_path),
        "INGEST_CANARY_TARGETS__MAIN__DSN": database.dsn,
    }
    sweep = (sys.executable, "-m", "monitor", "sweep", *COPY, "--rounds", "50")
    process = subprocess.Popen(
        (*started_by, *sweep), env=os.environ | settings, stderr=subprocess.PIPE
    )
    look = f"SELECT to_regclass('{SCHEMA}.orders') IS NOT NULL"
    wait_until(lambda: database.sql(look) == [(True,)], "the sweep to begin")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.strip()) == (130, b"")  # click ends the line of a ^C
    assert tables_of(database) == []
    assert (sessions_of_ours(database), locks_of_ours(database)) == (0, 0)
