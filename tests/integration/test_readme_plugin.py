"""The README's example of a strategy and shape of one's own, as a reader would use it."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.daemon.assembly import resolve_plan
from monitor.measure.runner import Runner
from monitor.suite import catalog
from monitor.suite.exploration import Conditions, explain_cases, sweep
from tests.conftest import Database
from tests.integration.helpers import (
    LIMITS,
    SCHEMA,
    all_empty,
    explained,
    remove_all,
    run_once,
)

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str, word: str) -> str:
    """The README's code block of a language that holds a word."""
    (found,) = [b for b in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if word in b]
    return str(found)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the README's two files, as the current one."""
    (tmp_path / "staging.py").write_text(block("python", "copy_staging_upsert"))
    (tmp_path / "canary.toml").write_text(block("toml", "copy_staging_upsert"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readmes_example_is_measured(database: Database, folder: Path) -> None:
    settings = load(folder / "canary.toml", {"suite": {"rows": 20_000, "rounds": 2}})
    runner = Runner(resolve_plan(settings), LIMITS, SCHEMA)
    run = run_once(database.dsn, runner)
    assert run.outcome == "ok", run.failures
    (case,) = run.cases
    assert str(case.case.key) == "copy_staging_upsert on stock, batch 5,000"
    for sample in case.samples:
        assert sample.rows == 20_000
        # Four batches of COPY, INSERT … ON CONFLICT and DELETE, each of 5,000 rows.
        assert (sample.calls, sample.rows_per_call) == (12, 5000)
    ((inserted, updated),) = database.sql(
        "SELECT n_tup_ins, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'stock'"
    )
    assert updated == 3 * inserted - 3 * 100  # the warm-up of 100 rows has no second batch
    ((mark, persistence),) = database.sql(
        "SELECT obj_description(oid, 'pg_class'), relpersistence::text FROM pg_class"
        " WHERE relname = 'stock:staging'"
    )
    assert mark.startswith("ingest-canary ")
    assert persistence == "u"
    assert all_empty(database)
    assert "stock:staging" in remove_all(database.dsn).tables


def test_a_row_that_got_lost_is_still_missed(database: Database, folder: Path) -> None:
    text = (folder / "staging.py").read_text()
    where = 'select(into.staging).where(into.staging.c.sku != "sku-000007")'
    (folder / "staging.py").write_text(text.replace("select(into.staging)", where))
    settings = load(folder / "canary.toml", {"suite": {"rows": 10_000, "rounds": 1}})
    run = run_once(database.dsn, Runner(resolve_plan(settings), LIMITS, SCHEMA))
    assert run.outcome == "failed"
    assert {failure.reason for failure in run.failures} == {"rows_missing"}
    assert "holds 4,999 rows after 5,000 were sent" in run.failures[0].message


def test_the_staging_table_takes_a_likeness_too(database: Database, folder: Path) -> None:
    database.sql(
        "CREATE TYPE public.mood AS ENUM ('fine', 'so-so'); CREATE TABLE public.t"
        " (id bigint PRIMARY KEY, mood public.mood NOT NULL, tags text[])"
    )
    settings = load(
        folder / "canary.toml",
        {"suite": {"rows": 500, "rounds": 1, "cases": [
            {"strategy": "copy_staging_upsert", "shape": {"from_table": "public.t"}}]}},
    )  # fmt: skip
    for change in ("SELECT 1", "ALTER TYPE public.mood ADD VALUE 'bad'"):
        database.sql(change)
        run = run_once(database.dsn, Runner(resolve_plan(settings), LIMITS, SCHEMA))
        assert run.outcome == "ok", run.failures
    assert remove_all(database.dsn).schema


def test_prefilled_rows_are_merged_with(database: Database, folder: Path) -> None:
    settings = load(
        folder / "canary.toml",
        {"suite": {"rows": 4500, "rounds": 1, "cases": [
            {"strategy": "copy_staging_upsert", "shape": "stock", "prefill": 1000}]}},
    )  # fmt: skip
    run = run_once(database.dsn, Runner(resolve_plan(settings), LIMITS, SCHEMA))
    assert run.outcome == "ok", run.failures
    ((updated,),) = database.sql(
        "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'stock'"
    )
    assert updated == 2 * 500  # of 5,000 products 1,000 were there; in warm-up and round


def test_the_readmes_example_is_swept_and_explained(database: Database, folder: Path) -> None:
    settings = load(folder / "canary.toml")
    known = catalog.load(settings.suite.plugins)
    conditions = Conditions(("copy_staging_upsert",), "stock", rows=200, rounds=1)
    swept = sweep("batch_size", (50, 200), conditions, settings.suite, known)
    run = run_once(database.dsn, Runner(swept.plan, LIMITS, SCHEMA, exploring=True))
    assert run.outcome == "ok", run.failures
    assert run.environment
    assert {"stock", "stock:staging"} < set(run.environment.tables)
    assert remove_all(database.dsn).tables == ()
    plan = explain_cases(settings.suite, known, rows=200)
    (found,) = explained(database.dsn, plan).explanations
    assert found.failure is None
    assert [sent.text.split()[0] for sent in found.sent] == ["COPY", "INSERT", "DELETE"]
    assert sum(each.work.rows for each in found.recorded) == 600
    assert all_empty(database)


def test_an_entry_point_is_found_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = folder / "canary_extras-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: canary-extras\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ingest_canary.strategies]\nupsert = staging:copy_staging_upsert\n"
        "[ingest_canary.shapes]\nstock = staging:stock\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    assert entry_points(group=catalog.STRATEGY_GROUP)
    found = catalog.load()
    assert found.strategies["copy_staging_upsert"].staging
    assert found.shapes["stock"].parameters == {"products": 5000}
