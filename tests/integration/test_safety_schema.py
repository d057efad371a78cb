"""Safety contract 1, 2 and 8: we work in our schema only, on what is ours only, and leave it so."""

from __future__ import annotations

import re

import pytest

from monitor.canary import tables
from monitor.errors import ServerError, TargetRefused
from monitor.model import Target
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    COPY,
    SCHEMA,
    all_empty,
    count,
    measured,
    refusal,
    remove_all,
    unchanged,
    with_session,
)

ORDERS = f"{SCHEMA}.orders"

#: Somebody else's objects inside our schema, and how the refusal names them.
INSIDE = {
    "table": ("CREATE TABLE {s}.notes (n int)", "table ingest_canary.notes"),
    "partitioned table": ("CREATE TABLE {s}.p (n int) PARTITION BY LIST (n)", "ingest_canary.p"),
    "view": ("CREATE VIEW {s}.report AS SELECT 1 AS n", "view ingest_canary.report"),
    "materialised view": (
        "CREATE MATERIALIZED VIEW {s}.m AS SELECT 1 AS n",
        "materialized view ingest_canary.m",
    ),
    "sequence": ("CREATE SEQUENCE {s}.numbers", "sequence ingest_canary.numbers"),
    "function": (
        "CREATE FUNCTION {s}.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "function ingest_canary.one()",
    ),
    "enum": ("CREATE TYPE {s}.mood AS ENUM ('fine')", "type ingest_canary.mood"),
    "composite type": ("CREATE TYPE {s}.pair AS (a int, b int)", "type ingest_canary.pair"),
    "domain": ("CREATE DOMAIN {s}.whole AS int", "type ingest_canary.whole"),
    "collation": ('CREATE COLLATION {s}.plain FROM "C"', "collation ingest_canary.plain"),
    "operator": (
        "CREATE OPERATOR {s}.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
        "operator ingest_canary.===",
    ),
    "text search configuration": (
        "CREATE TEXT SEARCH CONFIGURATION {s}.words (COPY = simple)",
        "text search configuration ingest_canary.words",
    ),
    "statistics on another table": (
        "CREATE TABLE public.t (a int, b int); CREATE STATISTICS {s}.pairs ON a, b FROM public.t",
        "statistics object ingest_canary.pairs",
    ),
}

#: Somebody else's objects outside our schema that depend on our table.
ON_IT = {
    "view": "CREATE VIEW public.theirs AS SELECT * FROM {t}",
    "materialised view": "CREATE MATERIALIZED VIEW public.theirs AS SELECT * FROM {t}",
    "rule": "CREATE TABLE public.theirs (n int);"
    " CREATE RULE copy AS ON INSERT TO public.theirs DO ALSO DELETE FROM {t}",
    "foreign key": "CREATE TABLE public.theirs (n int REFERENCES {t})",
    "child table": "CREATE TABLE public.theirs () INHERITS ({t})",
    "column of our row type": "CREATE TABLE public.theirs (o {t})",
    "column default": "CREATE TABLE public.theirs (n int DEFAULT nextval('{t}_id_seq'))",
    "function": "CREATE FUNCTION public.theirs({t}) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "policy": "CREATE TABLE public.theirs (n int);"
    " CREATE POLICY p ON public.theirs USING (EXISTS (SELECT FROM {t}))",
    "statistics": "CREATE STATISTICS public.theirs ON customer_id, status FROM {t}",
}


def test_a_schema_that_is_not_ours_is_refused_and_keeps_its_rows(database: Database) -> None:
    database.sql(
        f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {ORDERS} (id int);"
        f" INSERT INTO {ORDERS} SELECT generate_series(1, 1000);"
    )
    with unchanged(database):
        assert f"schema {SCHEMA} exists and was not made by ingest-canary" in refusal(database.dsn)
        with pytest.raises(TargetRefused, match=f"schema {SCHEMA}"):
            remove_all(database.dsn)
    assert count(database, ORDERS) == 1000


def test_a_comment_that_merely_mentions_us_is_no_mark(database: Database) -> None:
    database.sql(
        f"CREATE SCHEMA {SCHEMA};"
        f" COMMENT ON SCHEMA {SCHEMA} IS 'Results of ingest-canary 0.1.0 schema runs, do not touch'"
    )
    with unchanged(database):
        refusal(database.dsn)


@pytest.mark.parametrize("scope", ["ROLE postgres IN DATABASE", "DATABASE"])
def test_tables_of_the_same_names_elsewhere_survive_a_hostile_search_path(
    database: Database, scope: str
) -> None:
    for name in ("orders", "probe_insert", "probe_commit"):
        database.sql(
            f"CREATE TABLE public.{name} AS SELECT 1 AS id, n, 'x' AS payload"
            " FROM generate_series(1, 1000) AS n"
        )
    database.sql(f'ALTER {scope} "{database.name}" SET search_path = public, {SCHEMA}')
    measured(database.dsn, strategies=ALL_SIX)
    remove_all(database.dsn)
    assert [count(database, f"public.{n}") for n in ("orders", "probe_insert")] == [1000, 1000]
    assert count(database, "public.probe_commit") == 1000


@pytest.mark.parametrize("path", ["public", "public, pg_catalog", ""])
def test_functions_and_operators_on_the_search_path_are_never_called(
    database: Database, path: str
) -> None:
    """Both those of the same name and type, and those that would match better than the server's."""
    trap = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$"
    for signature in (
        "unnest(text[]) RETURNS SETOF text",
        "generate_series(int, int) RETURNS SETOF int",
        "joined(text, int) RETURNS text",
        "joined(text, name) RETURNS text",
        "same(name, name) RETURNS bool",
        "same(text, text) RETURNS bool",
    ):
        database.sql(f"CREATE FUNCTION public.{signature} {trap}")
    for name, function, right in (("||", "joined", "int"), ("||", "joined", "name")):
        database.sql(
            f"CREATE OPERATOR public.{name}"
            f" (FUNCTION = public.{function}, LEFTARG = text, RIGHTARG = {right})"
        )
    for kind in ("name", "text"):
        database.sql(
            "CREATE OPERATOR public.="
            f" (FUNCTION = public.same, LEFTARG = {kind}, RIGHTARG = {kind})"
        )
    # With nothing set the server's own default stands, in which public comes after pg_catalog.
    setting = f"search_path = {path}" if path else "search_path TO DEFAULT"
    database.sql(f'ALTER DATABASE "{database.name}" SET {setting}')
    measured(database.dsn, strategies=ALL_SIX)
    measured(database.dsn, strategies=ALL_SIX)
    remove_all(database.dsn)


@pytest.mark.parametrize("kind", INSIDE)
def test_what_we_did_not_make_in_our_schema_is_refused_and_named(
    database: Database, kind: str
) -> None:
    measured(database.dsn)
    statement, name = INSIDE[kind]
    database.sql(statement.format(s=SCHEMA))
    with unchanged(database):
        assert name in refusal(database.dsn)
        with pytest.raises(TargetRefused, match=re.escape(name)):
            remove_all(database.dsn)


@pytest.mark.parametrize("kind", ON_IT)
def test_what_depends_on_our_table_elsewhere_is_refused_and_named(
    database: Database, kind: str
) -> None:
    measured(database.dsn)
    database.sql(ON_IT[kind].format(t=ORDERS))
    with unchanged(database):
        assert "theirs" in refusal(database.dsn)
        with pytest.raises(TargetRefused, match="theirs"):
            remove_all(database.dsn)


def test_rows_of_a_child_table_survive_even_where_the_guard_did_not_see_it(
    database: Database,
) -> None:
    measured(database.dsn)
    database.sql(
        f"CREATE TABLE public.child () INHERITS ({ORDERS});"
        " INSERT INTO public.child SELECT n, n, 1, 'x' FROM generate_series(1, 1000) AS n;"
    )
    with_session(database.dsn, lambda session: tables.empty(session, "orders"))
    with_session(database.dsn, tables.empty_all)
    assert count(database, "public.child") == 1000
    assert with_session(database.dsn, lambda s: tables.count_rows(s, "orders")) == 0


def test_a_mark_removed_between_two_runs_is_refused(database: Database) -> None:
    measured(database.dsn)
    database.sql(f"COMMENT ON TABLE {ORDERS} IS NULL; INSERT INTO {ORDERS} VALUES (1, 2, 3, 'x')")
    with unchanged(database):
        assert f"table {ORDERS}" in refusal(database.dsn)
    assert count(database, ORDERS) == 1


def test_a_mark_removed_after_the_guard_still_saves_the_rows(database: Database) -> None:
    measured(database.dsn)
    database.sql(f"COMMENT ON TABLE {ORDERS} IS 'mine'; INSERT INTO {ORDERS} VALUES (1, 2, 3, 'x')")
    with unchanged(database), pytest.raises(TargetRefused, match=f"table {ORDERS}"):
        with_session(database.dsn, lambda session: tables.empty(session, "orders"))
    assert count(database, ORDERS) == 1


def test_what_a_dba_adds_to_our_table_is_kept_measured_and_reported(database: Database) -> None:
    measured(database.dsn)
    database.sql(
        f"CREATE INDEX by_customer ON {ORDERS} (customer_id);"
        f" ALTER TABLE {ORDERS} ADD CONSTRAINT positive CHECK (amount > 0);"
        " CREATE FUNCTION public.noop() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NEW; END';"
        f" CREATE TRIGGER each BEFORE INSERT ON {ORDERS}"
        " FOR EACH ROW EXECUTE FUNCTION public.noop();"
    )
    for _ in range(2):
        run = measured(database.dsn)
        assert run.environment is not None
        definition = run.environment.tables["orders"]
        assert all(name in definition for name in ("by_customer", "positive", "TRIGGER each"))


def test_a_table_of_ours_from_another_definition_is_made_anew(database: Database) -> None:
    measured(database.dsn)
    database.sql(
        f"ALTER TABLE {ORDERS} DROP COLUMN status;"
        f" COMMENT ON TABLE {ORDERS} IS 'ingest-canary 0.0.1 table, definition 0123456789ab: old'"
    )
    measured(database.dsn)
    assert all_empty(database)


@pytest.mark.parametrize("schema", ["select", "user", 'Quo"ted', "with space"])
def test_any_name_may_be_our_schema(database: Database, schema: str) -> None:
    target = Target("t", database.dsn, schema=schema)
    run = measured(target, strategies=ALL_SIX)
    assert all(sample.calls for case in run.cases for sample in case.samples)
    assert all_empty(database, schema)
    assert remove_all(target).schema


def test_cleanup_drops_what_is_ours_and_only_that(database: Database) -> None:
    database.sql("CREATE TABLE public.orders (n int)")
    with unchanged(database):
        measured(database.dsn, shapes=("orders", "orders_wide"))
        removal = remove_all(database.dsn)
    assert removal.tables == ("orders", "orders_wide", "probe_commit", "probe_insert")
    assert removal.schema
    assert remove_all(database.dsn) == tables.Removal((), schema=False)


def test_cleanup_copes_with_a_foreign_key_between_our_own_tables(database: Database) -> None:
    measured(database.dsn, shapes=("orders", "orders_wide"))
    database.sql(
        f"ALTER TABLE {SCHEMA}.orders_wide ADD FOREIGN KEY (customer_id) REFERENCES {ORDERS}"
    )
    assert remove_all(database.dsn).schema


def test_cleanup_that_fails_half_way_has_changed_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the guard had not seen the view: DROP without CASCADE fails, all is rolled back."""

    async def see_nothing(*_: object, **__: object) -> None:
        return None

    measured(database.dsn)
    database.sql(f"CREATE VIEW public.theirs AS SELECT * FROM {SCHEMA}.probe_insert")
    monkeypatch.setattr(tables, "refuse_foreign_schema", see_nothing)
    with unchanged(database), pytest.raises(ServerError, match="other objects depend on"):
        remove_all(database.dsn)


def test_a_schema_that_a_dba_owns_outlives_cleanup(database: Database) -> None:
    measured(database.dsn)
    database.sql(
        f"CREATE ROLE dba_{database.name}; ALTER SCHEMA {SCHEMA} OWNER TO dba_{database.name}"
    )
    try:
        removal = remove_all(database.dsn)
        assert removal.tables
        assert not removal.schema
        assert measured(database.dsn)
    finally:
        database.sql(f"ALTER SCHEMA {SCHEMA} OWNER TO postgres; DROP ROLE dba_{database.name}")


def test_two_installations_share_a_schema(database: Database) -> None:
    measured(database.dsn, shapes=("orders",), strategies=COPY)
    measured(database.dsn, shapes=("orders_wide",), strategies=ALL_SIX)
    measured(database.dsn, shapes=("orders",), strategies=COPY)
    assert all_empty(database)
