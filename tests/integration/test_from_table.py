"""Shapes made like existing tables: ten of a realistic schema, and what becomes of their source."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monitor.canary import tables
from monitor.config.suite import CaseSettings, FromTableSettings, SuiteSettings
from monitor.errors import TargetRefused
from monitor.measure.runner import Runner
from monitor.model import Run, Target
from monitor.suite import catalog, plan
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    COPY,
    HANGS_SECONDS,
    LIMITS,
    SCHEMA,
    all_empty,
    count,
    inventory,
    measure,
    refusal,
    remove_all,
    run_once,
    unchanged,
    with_session,
)
from tests.servers import Server, wait_until

SHOP = Path(__file__).with_name("shop.sql")
#: The same in small, for tests of one kind of object each.
SMALL = """
    CREATE TYPE public.mood AS ENUM ('fine', 'so-so');
    CREATE DOMAIN public.amount AS numeric(8, 2) CHECK (VALUE > 0);
    CREATE TABLE public.parents (id int PRIMARY KEY);
    CREATE TABLE public.t (id serial PRIMARY KEY, mood public.mood NOT NULL,
        amount public.amount NOT NULL, parent int NOT NULL REFERENCES public.parents);
"""
TEN = (
    "crm.customers",
    "public.orders",
    "public.order_tags",
    "crm.tickets",
    "public.events",
    "crm.contacts",
    "public.measurements",
    '"Odd Place"."All ""Types"""',
    "public.shipments",
    "public.wide",
)
THEIRS = "('public', 'crm', 'Odd Place')"


def open_shop(server: Server, name: str) -> Database:
    database = Database(name, server.create_database(name), server)
    database.sql("CREATE EXTENSION pg_stat_statements")
    database.sql(SHOP.read_text())
    # Nothing but us may touch the tables while a test looks whether we did.
    database.sql(
        "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT c.oid FROM pg_class AS c JOIN pg_namespace"
        f" AS n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname IN {THEIRS} LOOP"
        " EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', t); END LOOP; END $$;"
        " ANALYZE"
    )
    return database


@pytest.fixture(scope="module")
def shop(server: Server) -> Iterator[Database]:
    """The schema of shop.sql in a database of its own; tests leave it as it is."""
    yield open_shop(server, "shop")
    server.sql("DROP DATABASE shop WITH (FORCE)")


def like(
    *names: str, strategies: tuple[str, ...] = COPY, rows: int = 300, **settings: Any
) -> Runner:
    """A runner of every strategy on every one of the tables."""
    cases = tuple(
        CaseSettings(strategy=strategy, shape=FromTableSettings(from_table=name, **settings))
        for name in names
        for strategy in strategies
    )
    suite = SuiteSettings(rows=rows, rounds=1, cases=cases)
    return Runner(plan.resolve(suite, catalog.load()), LIMITS, SCHEMA)


def told(run: Run) -> str:
    return " ".join(str(notice) for notice in run.notices)


def state(database: Database) -> dict[str, Any]:
    """What a table's owner could notice: catalogue, rows, sequences."""
    names = [
        name
        for (name,) in database.sql(
            "SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON"
            f" n.oid = relnamespace WHERE relkind = 'r' AND nspname IN {THEIRS} ORDER BY 1"
        )
    ]
    sequences = [
        name
        for (name,) in database.sql(
            "SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON"
            f" n.oid = relnamespace WHERE relkind = 'S' AND nspname IN {THEIRS} ORDER BY 1"
        )
    ]
    return {
        "catalogue": database.sql(
            "SELECT c.oid, c.xmin, c.* FROM pg_class AS c JOIN pg_namespace AS n ON n.oid ="
            f" relnamespace WHERE nspname IN {THEIRS} ORDER BY c.oid"
        ),
        "objects": inventory(database),
        "rows": [
            database.sql(
                f"SELECT '{name}', count(*), md5(string_agg(concat(t.ctid, t.xmin, t::text), ' '"
                f" ORDER BY t.ctid)) FROM ONLY {name} AS t".replace(f"'{name}'", "1", 1)
            )
            for name in names
        ],
        "sequences": [database.sql(f"SELECT * FROM {name}") for name in sequences],
    }


def counters(database: Database) -> list[tuple[Any, ...]]:
    """How often anything of theirs was read or written, by the server's own counters."""
    return database.sql(
        "SELECT t.relid, t.seq_scan, t.seq_tup_read, t.idx_scan, t.idx_tup_fetch, t.n_tup_ins,"
        " t.n_tup_upd, t.n_tup_del, i.heap_blks_read + i.heap_blks_hit"
        " FROM pg_stat_user_tables AS t JOIN pg_statio_user_tables AS i USING (relid)"
        f" WHERE t.schemaname IN {THEIRS} ORDER BY 1"
    )


@dataclass(frozen=True)
class Measured:
    database: Database
    run: Run
    before: dict[str, Any]
    after: dict[str, Any]
    read_before: list[tuple[Any, ...]]
    read_after: list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def ten(server: Server) -> Iterator[Measured]:
    """One run of all six strategies on all ten tables."""
    database = open_shop(server, "shop_of_ten")
    before = state(database)
    wait_until(lambda: alone(database), "the test's own sessions to end")
    read_before = counters(database)
    runner = like(*TEN, strategies=ALL_SIX, rows=120)
    # Sixty cases; a busy machine may take longer than for other runs here.
    run = asyncio.run(asyncio.wait_for(measure(database.dsn, runner), 4 * HANGS_SECONDS))
    wait_until(lambda: alone(database), "our sessions to end")
    read_after = counters(database)
    yield Measured(database, run, before, state(database), read_before, read_after)
    server.sql("DROP DATABASE shop_of_ten WITH (FORCE)")


def alone(database: Database) -> bool:
    """Whether every other session is gone; its counters are written by then."""
    others = database.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    return others == [(0,)]


def test_all_ten_are_measured_by_all_six(ten: Measured) -> None:
    assert ten.run.outcome == "ok", ten.run.failures
    measured = {(c.case.shape.name, c.case.strategy.name) for c in ten.run.cases if c.samples}
    assert measured == {(table, strategy) for table in TEN for strategy in ALL_SIX}
    assert all(s.rows == 120 and s.calls for c in ten.run.cases for s in c.samples)


@pytest.mark.slow
def test_all_ten_hold_at_the_size_of_a_default_run(server: Server) -> None:
    database = open_shop(server, "shop_at_size")
    try:
        for name in TEN:
            runner = like(name, strategies=ALL_SIX, rows=20_000)
            run = asyncio.run(asyncio.wait_for(measure(database.dsn, runner), 300))
            assert run.outcome == "ok", (name, run.failures)
            assert "rows made here do not satisfy it" not in told(run)
    finally:
        server.sql("DROP DATABASE shop_at_size WITH (FORCE)")


def test_their_source_is_as_it_was(ten: Measured) -> None:
    assert ten.after["sequences"] == ten.before["sequences"]
    assert ten.after["rows"] == ten.before["rows"]
    assert ten.after["catalogue"] == ten.before["catalogue"]
    assert set(ten.before["objects"]) <= set(ten.after["objects"])


def test_not_one_of_their_rows_was_read(ten: Measured) -> None:
    assert ten.read_after == ten.read_before
    assert any(row[1] for row in ten.read_before), "the counters count nothing here"


def test_nothing_of_theirs_depends_on_ours_or_ours_on_theirs(ten: Measured) -> None:
    crossing = ten.database.sql(
        "SELECT pg_describe_object(classid, objid, objsubid),"
        " pg_describe_object(refclassid, refobjid, refobjsubid) FROM ("
        "  SELECT d.*, place(classid, objid) AS one, place(refclassid, refobjid) AS other"
        "  FROM pg_depend AS d WHERE refclassid <> 'pg_namespace'::regclass) AS d"
        f" WHERE (one = '{SCHEMA}') <> (other = '{SCHEMA}')"
        "   AND one <> 'pg_toast' AND other NOT IN ('pg_catalog', '')".replace(
            "place(classid, objid)", _PLACE.format(c="d.classid", o="d.objid")
        ).replace("place(refclassid, refobjid)", _PLACE.format(c="d.refclassid", o="d.refobjid"))
    )
    assert crossing == []


#: The schema of an object, or of the table that it belongs to.
_PLACE = (
    "(SELECT coalesce(i.schema,"
    " split_part(regexp_replace(i.identity, '^.*( on |for )', ''), '.', 1), '')"
    " FROM pg_identify_object({c}, {o}, 0) AS i)"
)


def test_everything_that_was_made_is_marked_and_empty(ten: Measured) -> None:
    objects = ten.database.sql(
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class"
        f" WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind IN ('r', 'p', 'S')"
        " AND oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'i')"
        " UNION ALL SELECT typname, obj_description(oid, 'pg_type') FROM pg_type"
        f" WHERE typnamespace = '{SCHEMA}'::regnamespace AND typtype IN ('e', 'd')"
    )
    assert len(objects) > 35
    assert [name for name, mark in objects if not str(mark).startswith("ingest-canary ")] == []
    assert all_empty(ten.database)


def test_what_is_not_copied_is_named_with_the_reason(ten: Measured) -> None:
    text = told(ten.run)
    for part in (
        "trigger audited",
        "default of public_id (volatile function gen_random_uuid())",
        "default of code (volatile function public.short_code())",
        "index customers_slug (function public.slug(text))",
        "rule quiet",
        "policy everybody",
        "foreign key shipments_replaces_fkey (it points to its own table)",
        "exclusion constraint shipments_during_excl",
        "column search: tsvector is measured as text",
        "public.events: rows go round its 3 partitions",
    ):
        assert part in text, part
    assert "dates_in_order" not in text


def test_keys_checks_and_indexes_are_those_of_the_source(ten: Measured) -> None:
    environment = ten.run.environment
    assert environment is not None
    orders = environment.tables["public.orders"]
    for part in (
        "CHECK ((tax >= (0)::numeric))",
        "CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES"
        f' {SCHEMA}."public.orders/crm.customers"(id)',
        "(placed_on, id) INCLUDE (net)",
        "WITH (fillfactor='70')",
        "GENERATED",
        "rows: customer_id 2000 distinct, 0 null",
    ):
        assert part in orders or part == "GENERATED", part
    assert "fillfactor=85" in environment.tables["crm.customers"]
    assert "PARTITION BY RANGE (happened_at)" in environment.tables["public.events"]
    assert "fillfactor=90" in environment.tables["public.events/events_2026_09"]
    assert "PARTITION BY LIST (channel)" in environment.tables["crm.contacts"]
    assert "PARTITION BY HASH (device)" in environment.tables["public.measurements"]
    assert "CONSTRAINT" not in environment.tables["public.events/events_other"]


def test_rows_have_the_sources_distinct_counts_and_nulls(shop: Database) -> None:
    """Looked at through a check that counts: the rows themselves are gone after the run."""
    runner = like("crm.customers", rows=2000)
    assert run_once(shop.dsn, runner).outcome == "ok"
    row = runner._plan.cases[0].shape.row
    rows = [row(n) for n in range(2000)]
    assert len({r["tenant_id"] for r in rows}) == 20
    assert len({r["public_id"] for r in rows}) == 2000
    assert {r["channel"] for r in rows} == {"web", "shop"}
    assert 0.2 < sum(r["country"] is None for r in rows) / 2000 < 0.3
    assert 0.85 < sum(r["deleted_at"] is None for r in rows) / 2000 < 0.95
    assert rows == [row(n) for n in range(2000)]
    remove_all(shop.dsn)


def test_a_role_without_a_privilege_on_the_table_measures_it_all_the_same(shop: Database) -> None:
    shop.sql(f'CREATE ROLE stranger LOGIN; GRANT CREATE ON DATABASE "{shop.name}" TO stranger')
    dsn = shop.server.dsn(shop.name, user="stranger")
    try:
        with pytest.raises(Exception, match="permission denied for schema crm"):
            shop.sql("SELECT * FROM crm.customers", user="stranger")
        with pytest.raises(Exception, match="permission denied for table events"):
            shop.sql("SELECT * FROM public.events", user="stranger")
        run = run_once(dsn, like("crm.customers", "public.events", strategies=ALL_SIX))
        assert run.outcome == "ok", run.failures
        assert "crm.customers: distinct counts, widths and null shares of its columns are" in told(
            run
        )
        assert remove_all(dsn).schema
    finally:
        shop.sql("DROP OWNED BY stranger; DROP ROLE stranger")


def test_the_table_may_be_in_another_database(shop: Database, database: Database) -> None:
    runner = like("public.orders", strategies=ALL_SIX, dsn=shop.dsn, name="orders of the shop")
    run = run_once(database.dsn, runner)
    assert run.outcome == "ok", run.failures
    assert {c.case.shape.name for c in run.cases} == {"orders of the shop"}
    assert count(database, f'{SCHEMA}."orders of the shop"') == 0
    names = [name for (name,) in database.sql("SELECT nspname FROM pg_namespace")]
    assert "crm" not in names


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("public.ordrs", "there is no such table in database shop; did you mean public.orders?"),
        ("zzz", "write it with its schema as in SQL, for example public.orders."),
        ("public.a.b.c.d", "there is no such table in database shop"),
        ('public."orders', "there is no such table in database shop"),
        ("PUBLIC.Nothing", "there is no such table in database shop"),
        ("public.order_status", "there is no such table in database shop"),
        ("public.orders_id_seq", "it is a sequence; name a table."),
        ("pg_catalog.pg_stats", "it is a view; name a table."),
    ],
)
def test_what_is_no_table_is_refused_and_nothing_is_made(
    shop: Database, name: str, said: str
) -> None:
    with unchanged(shop):
        message = refusal(shop.dsn, runner=like(name))
    assert message.startswith(f"from_table {name}: ")
    assert said in message


def test_a_table_that_cannot_be_read_leaves_the_other_cases_measured(shop: Database) -> None:
    run = run_once(shop.dsn, like("public.orders", "public.nowhere"))
    assert run.outcome == "partial"
    (failure,) = run.failures
    assert failure.reason == "refused"
    assert failure.case is not None
    assert failure.case.shape == "public.nowhere"
    assert [bool(c.samples) for c in run.cases] == [True, False]
    remove_all(shop.dsn)


def oids(database: Database) -> list[tuple[Any, ...]]:
    return database.sql(
        f"SELECT oid, relname FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace"
        " AND relkind IN ('r', 'p', 'i', 'I') ORDER BY 1"
    )


def test_it_is_built_once_and_anew_when_the_source_has_changed(server: Server) -> None:
    shop = open_shop(server, "changing_shop")
    try:
        first = run_once(shop.dsn, like("public.orders"))
        built = oids(shop)
        again = run_once(shop.dsn, like("public.orders"))
        assert oids(shop) == built
        assert told(again) == told(first)
        shop.sql("CREATE INDEX orders_note ON public.orders (note)")
        later = run_once(shop.dsn, like("public.orders"))
        assert first.environment
        assert again.environment
        assert later.environment
        assert again.environment.fingerprint == first.environment.fingerprint
        (added,) = again.environment.differences(later.environment)
        assert (added.name, added.before) == ("public.orders", None)
        assert "(note)" in str(added.after)
        assert remove_all(shop.dsn).schema
    finally:
        server.sql("DROP DATABASE changing_shop WITH (FORCE)")


def test_likenesses_whose_names_begin_alike_leave_each_other_alone(database: Database) -> None:
    database.sql(SMALL)
    names = (None, "public.t/x", "public.t/mood and more")
    cases = tuple(
        CaseSettings(strategy=COPY[0], shape=FromTableSettings(from_table="public.t", name=name))
        for name in names
    )
    resolved = plan.resolve(SuiteSettings(rows=50, rounds=1, cases=cases), catalog.load())
    assert run_once(database.dsn, Runner(resolved, LIMITS, SCHEMA)).outcome == "ok"
    built = oids(database)
    assert run_once(database.dsn, Runner(resolved, LIMITS, SCHEMA)).outcome == "ok"
    assert oids(database) == built
    assert run_once(database.dsn, like("public.t", rows=51)).outcome == "ok"
    assert remove_all(database.dsn).schema


def test_a_check_that_rows_do_not_satisfy_is_left_out_and_named_in_every_run(
    database: Database,
) -> None:
    database.sql(
        "CREATE TABLE public.t (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL,"
        " CONSTRAINT odd CHECK (a * 7 = b), CONSTRAINT fine CHECK (a >= 10))"
    )
    for _ in range(2):
        run = run_once(database.dsn, like("public.t"))
        assert run.outcome == "ok"
        assert "measured without: check constraint odd (rows made here do not satisfy it)." in told(
            run
        )
        assert run.environment
        assert "CONSTRAINT fine CHECK ((a >= 10))" in run.environment.tables["public.t"]


def test_partitions_of_partitions_are_measured_as_one_plain_table(database: Database) -> None:
    database.sql(
        "CREATE TABLE public.t (a int, b text, PRIMARY KEY (a, b)) PARTITION BY RANGE (a);"
        " CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES FROM (1) TO (9)"
        " PARTITION BY LIST (b); CREATE TABLE public.t2 PARTITION OF public.t1 DEFAULT"
    )
    run = run_once(database.dsn, like("public.t", strategies=ALL_SIX))
    assert run.outcome == "ok", run.failures
    assert "measured as a plain table: its partitions are partitioned themselves" in told(run)
    run = run_once(database.dsn, like("public.t2"))
    assert run.outcome == "ok", run.failures


def test_types_of_extensions_are_substituted_or_left_out_and_named(database: Database) -> None:
    database.sql(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm;"
        " CREATE TABLE public.t (id serial PRIMARY KEY, name citext NOT NULL UNIQUE, more hstore,"
        " twice text GENERATED ALWAYS AS (more -> 'a') STORED, words text);"
        " CREATE INDEX words ON public.t USING gin (words gin_trgm_ops);"
    )
    run = run_once(database.dsn, like("public.t", strategies=ALL_SIX))
    assert run.outcome == "ok", run.failures
    text = told(run)
    assert "column more (type hstore of extension hstore)" in text
    assert "generated column twice (it needs operator" in text or "twice (it needs" in text
    assert "index words (operator class public.gin_trgm_ops" in text
    assert "column name: citext is measured as text" in text
    database.sql("DROP EXTENSION citext CASCADE; DROP EXTENSION hstore CASCADE")
    assert remove_all(database.dsn).schema


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ('CREATE TABLE public.theirs (m {s}."public.t/mood")', "theirs"),
        ('CREATE DOMAIN public.theirs AS {s}."public.t/mood"', "theirs"),
        ('CREATE FUNCTION public.theirs({s}."public.t/amount") RETURNS int LANGUAGE sql'
         " AS 'SELECT 1'", "theirs"),
        ('CREATE TABLE public.theirs (n int REFERENCES {s}."public.t/parents")', "theirs"),
        ("CREATE TABLE public.theirs (n bigint DEFAULT nextval('{s}.\"public.t/id sequence\"'))",
         "theirs"),
        ("CREATE TYPE {s}.foreign_enum AS ENUM ('a')", "foreign_enum"),
        ('COMMENT ON TYPE {s}."public.t/mood" IS NULL', "public.t/mood"),
        ('COMMENT ON DOMAIN {s}."public.t/amount" IS \'mine\'', "public.t/amount"),
        ('COMMENT ON TABLE {s}."public.t/parents" IS NULL', "public.t/parents"),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_is_not_ours_among_the_new_kinds_is_refused_and_named(
    database: Database, statement: str, named: str
) -> None:
    database.sql(SMALL)
    assert run_once(database.dsn, like("public.t", rows=50)).outcome == "ok"
    database.sql(statement.format(s=SCHEMA))
    with unchanged(database):
        assert named in refusal(database.dsn, runner=like("public.t", rows=50))
        with pytest.raises(TargetRefused, match=named):
            remove_all(database.dsn)


def test_a_partition_of_somebody_elses_keeps_its_rows(database: Database) -> None:
    database.sql(SHOP.read_text())
    assert run_once(database.dsn, like("public.events")).outcome == "ok"
    database.sql(
        f'CREATE TABLE public.theirs PARTITION OF {SCHEMA}."public.events"'
        " FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');"
        f' INSERT INTO {SCHEMA}."public.events" (happened_at, source, payload)'
        " VALUES ('2030-06-01', '10.0.0.1', '{}')"
    )
    with unchanged(database):
        assert "public.theirs" in refusal(database.dsn, runner=like("public.events"))
        with pytest.raises(TargetRefused, match="theirs"):
            with_session(database.dsn, lambda s: tables.empty(s, "public.events"))
        with pytest.raises(TargetRefused, match="theirs"):
            remove_all(database.dsn)
    assert count(database, "public.theirs") == 1


def test_cleanup_removes_types_parents_and_partitions_and_only_ours(database: Database) -> None:
    database.sql(SHOP.read_text())
    with unchanged(database):
        run = run_once(database.dsn, like("public.orders", "public.events", "crm.contacts"))
        assert run.outcome == "ok", run.failures
        removal = remove_all(database.dsn)
        assert removal.schema
        assert "public.events/events_other" in removal.tables
        assert "public.orders/order_status" in removal.types


def test_rows_that_a_crash_left_are_gone_after_the_next_start(database: Database) -> None:
    database.sql(SHOP.read_text())
    assert run_once(database.dsn, like("public.orders", "public.events")).outcome == "ok"
    database.sql(
        f'INSERT INTO {SCHEMA}."public.orders/crm.customers" SELECT generate_series(1, 9);'
        f' INSERT INTO {SCHEMA}."public.orders" (customer_id, status, net, currency)'
        " VALUES (1, 'new', 1, 'EUR');"
        f" INSERT INTO {SCHEMA}.\"public.events\" (source, payload) VALUES ('10.0.0.1', '{{}}')"
    )
    assert not all_empty(database)
    with_session(database.dsn, tables.empty_all)
    assert all_empty(database)


def test_targets_that_share_a_canary_share_its_likeness(database: Database) -> None:
    database.sql(SMALL)
    other = Target("other", database.dsn)
    assert run_once(database.dsn, like("public.t")).outcome == "ok"
    built = oids(database)
    assert run_once(other, like("public.t", strategies=ALL_SIX)).outcome == "ok"
    assert oids(database) == built
