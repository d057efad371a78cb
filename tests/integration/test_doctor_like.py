"""``doctor --like``: two real servers compared, and what that leaves on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Database, missing
from tests.integration.commands import Command, command_fixture  # noqa: F401
from tests.integration.helpers import inventory, measured
from tests.servers import Server, available_versions

SECRET = "s3cr3t-canary"


@pytest.fixture(scope="module")
def production(server_root: Path) -> Iterator[Server]:
    """A server of another version with settings and a table of its own."""
    if 15 not in available_versions():
        missing("PostgreSQL 15 is not installed")
    settings = {"synchronous_commit": "off", "max_wal_size": "16GB", "autovacuum_naptime": "15s",
                "log_connections": "on", "log_statement": "all"}  # fmt: skip
    with Server(15, server_root / "production", settings) as server:
        server.sql(
            "CREATE TABLE public.orders (id int PRIMARY KEY, customer_id int, amount numeric,"
            " status text) WITH (fillfactor = 80);"
            " CREATE INDEX by_customer ON public.orders (customer_id);"
            " CREATE ROLE reader LOGIN"
        )
        yield server
    server.remove()


def test_two_servers_are_compared_and_neither_is_changed(
    database: Database, production: Server, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(database.dsn)
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    there = Database("postgres", production.dsn(), production)
    before = inventory(database), inventory(there)
    connections = production.log_text().count("connection authorized")
    dsn = production.dsn(user="reader")
    ended = command("doctor", "--like", dsn, "--table", "public.orders", "--json")
    assert ended.code == 0, ended.err
    assert (inventory(database), inventory(there)) == before
    log = production.log_text()
    # One session of ours besides those of the inventories.
    ours = [line for line in log.splitlines() if "connection authorized: user=reader" in line]
    assert len(ours) == 1
    assert log.count("connection authorized") - connections == 2
    statements = [line for line in log.splitlines() if "public.orders" in line and "SELECT" in line]
    assert not [line for line in statements if "FROM public.orders" in line]

    whole = json.loads(ended.out)
    assert whole["like"]["version"].startswith("15.")
    by_setting = {
        each["figures"].get("setting"): each
        for each in whole["findings"]
        if each["check"] == "like_setting"
    }
    assert by_setting["synchronous_commit"]["severity"] == "warning"
    assert by_setting["synchronous_commit"]["figures"]["production"] == "off"
    assert by_setting["max_wal_size"]["figures"]["production"] == "16 GB"
    by_check = {each["check"]: each for each in whole["findings"]}
    same = database.server.version == 15
    assert by_check["like_version"]["severity"] == ("ok" if same else "warning")
    assert by_check["like_version"]["remedy"] == ("" if same else "run the canary on PostgreSQL 15")
    assert "autovacuum_naptime" in by_check["like_autovacuum"]["evidence"]
    assert "btree (customer_id)" in by_check["like_index"]["evidence"]
    assert "fillfactor=80" in by_check["like_storage"]["evidence"]


def test_a_table_may_be_compared_with_another_shape(
    database: Database, production: Server, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(database.dsn, shapes=("orders_wide",))
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    ended = command("doctor", "--like", production.dsn(), "--table", "public.orders=orders_wide")
    assert ended.code == 0
    assert "ingest_canary.orders_wide / public.orders" in ended.out
    ended = command("doctor", "--like", production.dsn(), "--table", "no_such_table")
    assert ended.code == 2
    assert "there is no table no_such_table on the other server" in ended.err


def test_a_server_that_cannot_be_reached_ends_with_one_line(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    dsn = f"postgresql://postgres:{SECRET}@127.0.0.1:1/postgres"
    ended = command("doctor", "--like", dsn)
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert SECRET not in ended.out + ended.err


def test_production_may_be_named_instead_of_written_out(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    monkeypatch.setenv("INGEST_CANARY_TARGETS__TWIN__DSN", database.dsn)
    ended = command("doctor", "--like", "twin", "--target", "main")
    assert ended.code == 0
    assert "both are the same server" in ended.out


def test_tables_that_shapes_are_made_like_are_compared_without_being_named(
    database: Database, production: Server, command: Command, tmp_path: Path
) -> None:
    config = tmp_path / "like.toml"
    config.write_text(
        f'[targets.main]\ndsn = "{database.dsn}"\n[suite]\nrows = 100\nrounds = 1\n'
        'cases = [{ strategy = "asyncpg_copy",'
        f' shape = {{ from_table = "public.orders", dsn = "{production.dsn()}" }} }}]\n'
    )
    compare = ("doctor", "--like", production.dsn(), "--config", str(config))
    assert "public.orders has no counterpart on the canary yet" in command(*compare).out
    assert command("measure", "--config", str(config)).code == 0
    ended = command(*compare, "--json")
    found = {each["check"]: each for each in json.loads(ended.out)["findings"]}
    assert found["like_table"]["severity"] == "ok"
    assert "ingest_canary.public.orders / public.orders" in found["like_table"]["evidence"]

    production.sql("CREATE INDEX later ON public.orders (amount)")
    text = command(*compare).out
    production.sql("DROP INDEX public.later")
    assert "indexes only in production: btree (amount)" in text
