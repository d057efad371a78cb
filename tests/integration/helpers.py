"""What the tests of the safety contract share: small runs, and looks at what they left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from monitor.canary import tables
from monitor.canary.connection import Canary, Session
from monitor.canary.identifiers import quote
from monitor.canary.lock import exclusive
from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.measure.attempt import attempt
from monitor.measure.explain import Explained, explain
from monitor.measure.runner import Progress, Runner, no_progress
from monitor.model import Failure, Limits, Plan, Run, Target
from monitor.suite import catalog, plan
from tests.conftest import Database
from tests.servers import wait_until

SCHEMA = "ingest_canary"
COPY = ("asyncpg_copy",)
ALL_SIX = (
    "orm_add_all",
    "orm_bulk",
    "core_executemany",
    "core_insertmanyvalues",
    "asyncpg_unnest",
    "asyncpg_copy",
)
LIMITS = Limits(round_seconds=30, run_seconds=120, table_bytes=1 << 30, wal_bytes_per_day=1 << 40)
PLENTY = 1 << 40
#: Seconds after which a run that has not ended counts as hanging; none here takes a third of it.
HANGS_SECONDS = 30

#: Everything that a user made in a database, such that making, dropping, emptying, rewriting,
#: renaming, commenting and granting all show.
_INVENTORY = """
WITH theirs AS (
    SELECT oid FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema')
SELECT 'schema', n.oid, nspname::text, nspacl::text, nspowner,
       obj_description(n.oid, 'pg_namespace')
FROM pg_namespace AS n JOIN theirs USING (oid)
UNION ALL
SELECT 'relation', c.oid, relname::text, concat_ws(' ', relkind, relfilenode, relacl), relowner,
       obj_description(c.oid, 'pg_class')
FROM pg_class AS c JOIN theirs AS t ON t.oid = relnamespace
UNION ALL
SELECT 'function', p.oid, proname::text, proacl::text, proowner, obj_description(p.oid, 'pg_proc')
FROM pg_proc AS p JOIN theirs AS t ON t.oid = pronamespace
UNION ALL
SELECT 'type', y.oid, typname::text, typacl::text, typowner, obj_description(y.oid, 'pg_type')
FROM pg_type AS y JOIN theirs AS t ON t.oid = typnamespace
ORDER BY 1, 2
"""


def make_plan(
    rows: int = 200,
    rounds: int = 1,
    strategies: Sequence[str] = COPY,
    shapes: Sequence[str] = ("orders",),
) -> Plan:
    """Every strategy on every shape."""
    cases = tuple(CaseSettings(strategy=s, shape=shape) for s in strategies for shape in shapes)
    suite = SuiteSettings(rows=rows, rounds=rounds, cases=cases)
    return plan.resolve(suite, catalog.load())


def make_runner(
    limits: Limits = LIMITS,
    schema: str = SCHEMA,
    progress: Progress = no_progress,
    **planned: Any,
) -> Runner:
    """A runner in a fresh state; ``planned`` goes to ``make_plan``."""
    return Runner(make_plan(**planned), limits, schema, progress)


def target_of(dsn: str | Target, **settings: Any) -> Target:
    return dsn if isinstance(dsn, Target) else Target("t", dsn, **settings)


async def measure(
    dsn: str | Target,
    runner: Runner | None = None,
    *,
    allowance: int = PLENTY,
    wait_seconds: float = 0.0,
    **planned: Any,
) -> Run:
    """One attempt at a run, as the daemon and the command line make it."""
    target = target_of(dsn)
    canary = Canary(target)
    try:
        return await attempt(
            canary,
            runner or make_runner(schema=target.schema, **planned),
            "manual",
            wal_allowance=allowance,
            wait_seconds=wait_seconds,
        )
    finally:
        await canary.dispose()


def run_once(dsn: str | Target, runner: Runner | None = None, **options: Any) -> Run:
    return asyncio.run(asyncio.wait_for(measure(dsn, runner, **options), HANGS_SECONDS))


def measured(dsn: str | Target, **options: Any) -> Run:
    """A run that must be fine; makes our tables as a side effect."""
    run = run_once(dsn, **options)
    assert run.outcome == "ok", run.failures
    return run


def explained(dsn: str, of: Plan, *, passing: bool = False) -> Explained:
    """What ``ingest-canary explain`` finds out."""

    async def go() -> Explained:
        canary = Canary(target_of(dsn))
        try:
            return await explain(
                canary,
                of,
                LIMITS,
                hash_key=b"",
                wal_allowance=PLENTY,
                wait_seconds=0,
                passing=passing,
            )
        finally:
            await canary.dispose()

    return asyncio.run(go())


def refusal(dsn: str | Target, **options: Any) -> str:
    """The message of a run that must be refused."""
    run = run_once(dsn, **options)
    assert run.outcome == "failed"
    assert run.failure is not None
    assert run.failure.reason == "refused", run.failure
    return run.failure.message


@asynccontextmanager
async def locked_session(target: Target) -> AsyncIterator[Session]:
    """A session of ours that holds the lock."""
    canary = Canary(target)
    try:
        async with canary.session() as session, exclusive(session):
            yield session
    finally:
        await canary.dispose()


def with_session(dsn: str | Target, work: Callable[[Session], Awaitable[Any]]) -> Any:
    """Do some work in a session of ours that holds the lock."""

    async def go() -> Any:
        async with locked_session(target_of(dsn)) as session:
            return await work(session)

    return asyncio.run(go())


def remove_all(dsn: str | Target) -> tables.Removal:
    """What ``ingest-canary cleanup`` does."""
    removal: tables.Removal = with_session(dsn, tables.remove_all)
    return removal


@asynccontextmanager
async def bystander(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's session."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        yield connection
    finally:
        connection.terminate()


def inventory(database: Database) -> list[tuple[Any, ...]]:
    return database.sql(_INVENTORY)


@contextmanager
def unchanged(database: Database) -> Iterator[None]:
    """Fails if the block makes, drops, empties, rewrites, comments or grants anything."""
    before = inventory(database)
    yield
    assert inventory(database) == before


def count(database: Database, table: str) -> int:
    """Rows of a table, those of its children left out; ``table`` as written in SQL."""
    return int(database.sql(f"SELECT count(*) FROM ONLY {table}")[0][0])


def all_empty(database: Database, schema: str = SCHEMA) -> bool:
    """Whether no table in our schema holds a byte, dead rows included."""
    sizes = database.sql(
        "SELECT pg_relation_size(oid) FROM pg_class"
        f" WHERE relkind = 'r' AND relnamespace = '{quote(schema)}'::regnamespace"
    )
    assert sizes, "there are no tables of ours"
    return not any(size for (size,) in sizes)


def sessions_of_ours(database: Database) -> int:
    return int(
        database.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'ingest-canary'"
        )[0][0]
    )


def locks_of_ours(database: Database) -> int:
    """Advisory locks in the database; nobody else takes any in these tests."""
    return int(
        database.sql(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )[0][0]
    )


def slow_rows(database: Database, table: str, seconds: float) -> None:
    """Let every row that is inserted into the table take at least so long on the server."""
    row_trigger(database, table, f"PERFORM pg_sleep({seconds}); RETURN NEW;")


def row_trigger(database: Database, table: str, body: str) -> None:
    """Run ``body`` before every row that is inserted into the table."""
    database.sql(
        "CREATE OR REPLACE FUNCTION public.before_row() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {body} END $$;"
        f" CREATE TRIGGER before_row BEFORE INSERT ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION public.before_row();"
    )


def gone(database: Database) -> None:
    """Wait until nothing of ours is connected or locked any more; 3 s is the daemon's promise."""
    wait_until(
        lambda: not sessions_of_ours(database) and not locks_of_ours(database),
        "our sessions and locks to go",
        seconds=3,
    )


def at(rounds: int, act: Callable[[], object]) -> Progress:
    """Progress that acts once: when so many rounds are done and the next one begins."""
    acted: list[bool] = []

    def progress(done: int, _total: int, what: str) -> None:
        if done == rounds and " on " in what and not what.startswith("warming up") and not acted:
            acted.append(True)
            act()

    return progress


def failures_by_shape(run: Run) -> dict[str, set[str]]:
    """Reasons of the failures by the shape that they happened on."""
    found: dict[str, set[str]] = {}
    for case in run.cases:
        found.setdefault(case.case.shape.name, set()).update(f.reason for f in case.failures)
    return found


def only_orders_fail(run: Run, reason: str) -> list[Failure]:
    """The failures, all on ``orders`` and for this reason, while ``orders_wide`` was measured."""
    assert run.failure is None
    assert run.outcome == "partial"
    assert failures_by_shape(run) == {"orders": {reason}, "orders_wide": set()}
    assert all(case.samples for case in run.cases if case.case.shape.name == "orders_wide")
    return list(run.failures)
