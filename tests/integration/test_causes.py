"""What is done to a real canary is told with its cause, by work counters and the fingerprint.

The work of a round is the same to the bit from run to run, so this holds on any machine, however
busy. What only the clocks show is in tests/acceptance/test_causes_by_clock.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.canary import environment
from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.detect.parameters import Parameters
from monitor.detect.story import Story, why
from monitor.model import Plan
from monitor.suite import catalog, plan
from tests.builders import change
from tests.conftest import Database
from tests.judging import TABLE, Bench, bench

ROWS = 1000
#: Runs before anything is done: what work counters learn from.
LEARNING = 7
#: The statistics of clocks are not what is tested here.
RULES = Parameters(learning=1000)
CASES = (CaseSettings(strategy="asyncpg_copy"), CaseSettings(strategy="core_insertmanyvalues"))


def planned(cases: tuple[CaseSettings, ...] = CASES, plugins: tuple[Path, ...] = ()) -> Plan:
    suite = SuiteSettings(rows=ROWS, rounds=5, cases=cases, plugins=plugins)
    return plan.resolve(suite, catalog.load(suite.plugins))


def work_of(canary: Bench) -> list[Story]:
    return [story for story in canary.told if story.headline[0].kind == "work"]


async def told_after(canary: Bench, act: Callable[[], object]) -> Story:
    """The one story that is told when something was done, in two runs; it stands."""
    canary.forget()
    act()
    await canary.runs(2)
    (story,) = work_of(canary)
    assert story.open == story.changes
    return story


async def recovers_after(canary: Bench, act: Callable[[], object]) -> None:
    act()
    await canary.runs(2)
    (story,) = work_of(canary)
    assert story.open == ()
    assert {end.ending for end in story.ends} == {"recovered"}


def test_what_is_done_to_the_table_is_told_in_two_runs_with_its_cause(database: Database) -> None:
    def sql(text: str) -> Callable[[], object]:
        return lambda: database.sql(text)

    async def go() -> None:
        async with bench(database.dsn, planned(), RULES) as canary:
            await canary.runs(LEARNING)
            assert canary.told == []
            index = await told_after(canary, sql(f"CREATE INDEX one ON {TABLE} (customer_id)"))
            _check_index(index)
            await recovers_after(canary, sql("DROP INDEX ingest_canary.one"))
            fill = await told_after(canary, sql(f"ALTER TABLE {TABLE} SET (fillfactor = 50)"))
            assert fill.cause == "table"
            assert "fillfactor=50" in why(fill)
            await recovers_after(canary, sql(f"ALTER TABLE {TABLE} RESET (fillfactor)"))
            gin = f"CREATE INDEX two ON {TABLE} USING gin (to_tsvector('simple', status))"
            text = why(await told_after(canary, sql(gin)))
            assert text.startswith(f"index added on {TABLE}(to_tsvector(")
            assert text.endswith(" by gin")

    asyncio.run(go())


def _check_index(story: Story) -> None:
    assert story.cause == "index"
    assert why(story) == f"index added on {TABLE}(customer_id)"
    strategies = {change.place.case.strategy for change in story.changes if change.place.case}
    assert strategies == {"asyncpg_copy", "core_insertmanyvalues"}
    assert story.effect_ratio > 0.1
    assert story.alarming
    assert all(change.told_at > change.since for change in story.changes)


PLUGIN = '''
from pathlib import Path

from monitor.suite.strategies import strategy

PAGE = Path(__file__).with_name("page_size")


@strategy(rows="dicts")
async def paged(destination, rows):
    """insertmanyvalues with the page size that a file holds"""
    size = int(PAGE.read_text())
    statement = destination.table.insert().returning(destination.table.c.id)
    options = {"insertmanyvalues_page_size": size}
    result = await destination.connection.execute(statement, rows, execution_options=options)
    result.all()
'''


@pytest.fixture
def paged(tmp_path: Path) -> tuple[Plan, Path]:
    """A strategy whose page size is changed behind the daemon's back, as a library might."""
    (tmp_path / "paged.py").write_text(PLUGIN)
    size = tmp_path / "page_size"
    size.write_text("1000")
    plan = planned((CaseSettings(strategy="paged"),), (tmp_path / "paged.py",))
    return plan, size


def test_other_statements_are_told_and_the_library_that_sends_them(
    database: Database, paged: tuple[Plan, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, size = paged
    facts = dict(environment.client_facts())

    def upgrade() -> None:
        size.write_text("500")
        newer = {**facts, "sqlalchemy": "9.9.9"}
        monkeypatch.setattr(environment, "client_facts", lambda: newer)

    async def go() -> None:
        async with bench(database.dsn, plan, RULES) as canary:
            await canary.runs(LEARNING)
            single = await told_after(canary, lambda: size.write_text("1"))
            calls = next(each for each in single.changes if each.counter == "calls")
            assert calls.effect_ratio == pytest.approx(ROWS - 1)
            assert single.cause == "statement"
            assert why(single) == "other statements for the same rows (+99900 % calls)"
            await recovers_after(canary, lambda: size.write_text("1000"))
            story = await told_after(canary, upgrade)
            assert story.cause == "version:sqlalchemy"
            assert why(story) == f"sqlalchemy: {facts['sqlalchemy']} → 9.9.9"

    asyncio.run(go())


def test_what_is_recorded_of_triggers_and_settings_reads_well(database: Database) -> None:
    """They change no counter of work; what would be said of them once a clock has shown them."""

    async def go() -> list[str]:
        async with bench(database.dsn, planned(), RULES) as canary:
            await canary.run()
            database.sql(
                "CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql"
                " AS 'BEGIN RETURN NEW; END';"
                f" CREATE TRIGGER nothing BEFORE INSERT ON {TABLE} FOR EACH ROW"
                " EXECUTE FUNCTION public.nothing();"
                f' ALTER DATABASE "{database.name}" SET synchronous_commit = off'
            )
            await canary.run()
            transition = canary.state.transitions[-1]
            told = change(differences=transition.differences)
            return why(Story((told,))).split("; ")

    assert asyncio.run(go()) == [
        f"trigger nothing added on {TABLE}",
        "synchronous_commit: on → off",
    ]
