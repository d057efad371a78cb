"""The doctor on real servers: what is wrong is brought about, and read in its findings."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.canary.checks.facts import Workload
from monitor.canary.checks.finding import Finding
from monitor.canary.checks.prewarm import prewarm
from monitor.canary.checks.ways import way_to
from monitor.canary.identifiers import table_mark
from monitor.measure.examine import examine
from monitor.model import Connect, Target
from tests.conftest import Database, missing
from tests.doctor_facts import WORKLOAD
from tests.integration.commands import Command, command_fixture  # noqa: F401
from tests.integration.helpers import SCHEMA, measured, target_of, unchanged
from tests.integration.poolers import pooled
from tests.servers import PASSWORD, Server, available_versions, wait_until

MB = 1 << 20


def findings(dsn: str | Target, workload: Workload = WORKLOAD) -> dict[str, Finding]:
    """What the doctor finds, by check."""
    examined = asyncio.run(examine(target_of(dsn), workload, window=0.02))
    assert len({each.check for each in examined.findings}) == len(examined.findings)
    return {each.check: each for each in examined.findings}


def parent(database: Database, rows: int) -> None:
    """A table of ours that keeps rows, which our ``orders`` refers to."""
    database.sql(
        f"CREATE TABLE {SCHEMA}.customers (id int PRIMARY KEY, name text)"
        " WITH (autovacuum_enabled = false);"
        f" COMMENT ON TABLE {SCHEMA}.customers IS '{table_mark('0123456789ab')}';"
        f" INSERT INTO {SCHEMA}.customers SELECT n, 'name ' || n FROM generate_series(1, {rows}) n;"
        f" ALTER TABLE {SCHEMA}.orders ADD FOREIGN KEY (customer_id) REFERENCES {SCHEMA}.customers;"
    )


# --- it changes nothing --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [15, 18])
def test_every_check_answers_on_every_version_and_nothing_is_changed(
    version: int, server_root: Path
) -> None:
    if version not in available_versions():
        missing(f"PostgreSQL {version} is not installed")
    with Server(version, server_root / f"doctor{version}") as server:
        dsn = server.create_database("canary")
        database = Database("canary", dsn, server)
        database.sql("CREATE EXTENSION pg_stat_statements")
        next_transaction = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
        with unchanged(database):
            before = database.sql(next_transaction)
            found = findings(dsn)
            assert database.sql(next_transaction) == before  # none of ours wrote
        # This test's server is not durable, its role a superuser, and it shares our host.
        bad = {c for c, f in found.items() if f.severity in ("error", "warning")}
        assert bad - {"cpu_pressure", "cpu_steal"} == {"role", "fsync"}
        assert found["version"].evidence.startswith(f"PostgreSQL {version}.")
        assert found["one_host"].severity == "info"
        assert "Unix socket" in found["transport"].evidence
        assert "a reading on the server" in found["server_clock"].evidence
        assert {"max_wal_size", "wal_per_day", "statement_entries"} <= found.keys()
        measured(dsn)
        assert "2 tables" not in findings(dsn)["schema"].evidence
    server.remove()


def test_a_role_without_privileges_is_told_what_to_ask_for(database: Database) -> None:
    database.sql(
        "CREATE ROLE poor LOGIN CONNECTION LIMIT 2; REVOKE ALL ON SCHEMA public FROM PUBLIC"
    )
    try:
        found = findings(database.server.dsn(database.name, "poor"))
        assert found["schema"].severity == "error"
        assert "may not create schema ingest_canary" in found["schema"].evidence
        assert "role-sql" in found["schema"].remedy
        assert found["pg_read_all_stats"].severity == "warning"
        assert found["pg_read_all_settings"].severity == "info"
        assert found["connections"].severity == "warning"
        assert found["role"].severity == "ok"
    finally:
        database.sql("DROP ROLE poor")


def test_a_foreign_schema_is_an_error_and_stays_as_it_is(database: Database) -> None:
    database.sql(f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.theirs (n int)")
    with unchanged(database):
        found = findings(database.dsn)
    assert found["schema"].severity == "error"
    assert "was not made by ingest-canary" in found["schema"].evidence


# --- what cannot be reached ----------------------------------------------------------------------


def test_what_cannot_be_reached_is_a_finding_without_its_secret(server: Server) -> None:
    found = findings(server.tcp_dsn(password="s3cr3t-canary"))
    (finding,) = found.values()
    assert (finding.check, finding.severity) == ("connection", "error")
    assert "password authentication failed" in finding.evidence
    assert "pg_hba.conf" in finding.remedy
    assert "s3cr3t" not in finding.evidence


def test_a_setting_that_the_server_does_not_know_is_a_finding(database: Database) -> None:
    connect = Connect(server_settings=(("no_such_setting", "1"),))
    (finding,) = findings(Target("t", database.dsn, connect=connect)).values()
    assert 'unrecognized configuration parameter "no_such_setting"' in finding.evidence
    assert "server_settings" in finding.remedy


# --- pg_stat_statements --------------------------------------------------------------------------


def test_a_missing_extension_is_an_error(server: Server) -> None:
    dsn = server.create_database("unadorned")
    found = findings(dsn)
    assert found["pg_stat_statements"].severity == "error"
    assert found["pg_stat_statements"].remedy == "CREATE EXTENSION pg_stat_statements"
    server.sql("DROP DATABASE unadorned WITH (FORCE)")


def test_an_extension_that_is_not_preloaded_is_an_error(pg_bin: Path, server_root: Path) -> None:
    with Server(pg_bin, server_root / "unloaded", preload=False) as server:
        bare = findings(server.dsn())["pg_stat_statements"]
        assert "then add pg_stat_statements to shared_preload_libraries" in bare.remedy
        server.sql("CREATE EXTENSION pg_stat_statements")
        found = findings(server.dsn())["pg_stat_statements"]
        assert (found.severity, found.evidence.partition(":")[0]) == ("error", "not preloaded")
    server.remove()


def test_an_extension_that_an_upgrade_left_behind_is_an_error(server: Server) -> None:
    dsn = server.create_database("upgraded")
    server.sql("CREATE EXTENSION pg_stat_statements VERSION '1.8'", database="upgraded")
    found = findings(dsn)["pg_stat_statements"]
    assert "version 1.8 lacks counters" in found.evidence
    assert found.remedy == "ALTER EXTENSION pg_stat_statements UPDATE"
    server.sql("DROP DATABASE upgraded WITH (FORCE)")


def test_settings_of_the_database_are_seen_as_our_sessions_have_them(database: Database) -> None:
    for setting in (
        "pg_stat_statements.track_utility = off", "synchronous_commit = off",
        "default_transaction_isolation = 'serializable'", "jit_above_cost = 0",
        "log_min_duration_statement = '100ms'", "log_executor_stats = on",
    ):  # fmt: skip
        database.sql(f'ALTER DATABASE "{database.name}" SET {setting}')
    found = findings(database.dsn)
    for check in ("track_utility", "synchronous_commit", "isolation", "jit",
                  "slow_statement_logging", "statement_stats"):  # fmt: skip
        assert found[check].severity == "warning", check


# --- the way -------------------------------------------------------------------------------------


def test_poolers_are_told_by_their_mode(database: Database) -> None:
    with pooled(database, "transaction") as dsn, unchanged(database):
        found = findings(dsn)
        assert found["pooler"].severity == "error"
        assert "directly" in found["pooler"].remedy
        assert found["version"].severity == "ok"  # and the rest is looked at all the same
    with pooled(database, "session") as dsn:
        assert findings(dsn)["pooler"].severity == "info"
    assert findings(database.dsn)["pooler"].severity == "ok"


def test_tcp_in_clear_on_one_host_is_fine(database: Database) -> None:
    found = findings(database.server.tcp_dsn(database.name))
    assert "127.0.0.1" in found["transport"].evidence
    assert "loopback" in found["transport"].evidence
    assert found["tls"].severity == "ok"
    assert found["one_host"].severity == "info"


def test_tls_is_told_with_what_it_costs(server_root: Path) -> None:
    program = shutil.which("openssl")
    if 15 not in available_versions() or program is None:
        missing("PostgreSQL 15 with TLS and openssl are needed")
    with Server(15, server_root / "tls") as server:
        server.stop()
        files = [server.data / name for name in ("server.crt", "server.key")]
        subprocess.run(
            [program, "req", "-new", "-x509", "-nodes", "-subj", "/CN=localhost", "-out", files[0],
             "-keyout", files[1]], check=True, capture_output=True,
        )  # fmt: skip
        for file in files:
            os.chown(file, server.account.uid, server.account.gid)
            file.chmod(0o600)
        server.settings["ssl"] = "on"
        server.start()
        found = findings(server.tcp_dsn() + "?sslmode=require")["tls"]
        assert found.severity == "info"
        assert found.evidence.startswith("TLSv1.3, ")
        assert "sending 1 MB took" in found.evidence
        assert found.figures["send_cpu_seconds"] > 0
        way = asyncio.run(way_to(target_of(server.tcp_dsn() + "?sslmode=require")))
        assert way.label.endswith("with TLSv1.3")
    server.remove()


# --- what acts on our statements -----------------------------------------------------------------


def test_logging_triggers_and_publications_are_named(database: Database) -> None:
    measured(database.dsn)
    database.sql(
        f"ALTER DATABASE \"{database.name}\" SET log_statement = 'all';"
        " CREATE PUBLICATION everything FOR ALL TABLES;"
        " CREATE FUNCTION public.spy() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NEW; END $$;"
        f" CREATE TRIGGER spy BEFORE INSERT ON {SCHEMA}.orders FOR EACH ROW"
        " EXECUTE FUNCTION public.spy();"
        " CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$ BEGIN END $$;"
        " CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch();"
        f" ALTER TABLE {SCHEMA}.orders SET (autovacuum_enabled = true)"
    )
    found = findings(database.dsn)
    assert found["statement_logging"].severity == "error"
    assert found["publications"].severity == "error"
    assert "everything" in found["publications"].evidence
    assert found["triggers"].severity == "warning"
    assert "spy on orders" in found["triggers"].evidence
    assert "watch (ddl_command_end)" in found["event_triggers"].evidence
    assert "orders: autovacuum" in found["autovacuum_on_ours"].evidence
    allowed = Target("t", database.dsn, allow_publication=True, allow_statement_logging=True)
    assert findings(allowed)["publications"].severity == "warning"


# --- WAL -----------------------------------------------------------------------------------------


def test_inactive_slots_and_failing_archiving_are_errors(pg_bin: Path, server_root: Path) -> None:
    settings = {"archive_mode": "on", "archive_command": "false", "max_wal_size": "64MB",
                "checkpoint_timeout": "60s"}  # fmt: skip
    with Server(pg_bin, server_root / "archive", settings) as server:
        server.sql("SELECT pg_create_physical_replication_slot('left_behind', true)")
        server.sql("SELECT pg_switch_wal()")
        failed = "SELECT FROM pg_stat_archiver WHERE failed_count > 0"
        wait_until(lambda: server.sql(failed), "archiving to fail", 30)
        found = findings(server.dsn())
        assert found["archiving"].severity == "error"
        assert found["slots"].severity == "error"
        assert "left_behind, holding" in found["slots"].evidence
        assert "pg_drop_replication_slot('left_behind')" in found["slots"].remedy
        assert found["max_wal_size"].severity == "warning"
        assert "max_wal_size 64 MB" in found["max_wal_size"].evidence
        assert found["checkpoint_timeout"].severity == "warning"
    server.remove()


def test_a_synchronous_standby_that_is_gone_is_an_error(pg_bin: Path, server_root: Path) -> None:
    settings = {"synchronous_standby_names": "*", "synchronous_commit": "local"}
    with Server(pg_bin, server_root / "sync", settings) as server:
        assert findings(server.dsn())["synchronous_standbys"].severity == "ok"
        waiting = Connect(server_settings=(("synchronous_commit", "on"),))
        found = findings(Target("t", server.dsn(), connect=waiting))
        assert found["synchronous_standbys"].severity == "error"
    server.remove()


# --- neighbours ----------------------------------------------------------------------------------


def test_active_neighbours_are_counted(database: Database) -> None:
    async def go() -> Finding:
        sleeping = asyncio.to_thread(database.sql, "SELECT pg_sleep(1)")
        task = asyncio.ensure_future(sleeping)
        seen = (
            "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1)' AND state = 'active'"
        )
        await asyncio.to_thread(wait_until, lambda: database.sql(seen), "the neighbour")
        examined = await examine(target_of(database.dsn), WORKLOAD, window=0.02)
        await task
        return next(each for each in examined.findings if each.check == "neighbours")

    finding = asyncio.run(go())
    assert finding.severity == "info"
    assert finding.figures["active_sessions"] == 1


# --- the command ---------------------------------------------------------------------------------


@contextmanager
def as_targets(monkeypatch: pytest.MonkeyPatch, **dsns: str) -> Iterator[None]:
    with monkeypatch.context() as patched:
        for name, dsn in dsns.items():
            patched.setenv(f"INGEST_CANARY_TARGETS__{name.upper()}__DSN", dsn)
        yield


def test_the_command_prints_a_line_each_and_ends_with_1_on_an_error(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    with as_targets(monkeypatch, main=database.dsn):
        ended = command("doctor")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0].split()[:2] == ["error", "publications"]
    assert "allow_publication = true" in lines[0]
    assert lines[-1].startswith("main: 1 error, ")
    assert {line.split()[0] for line in lines[:-1]} <= {"error", "warning", "info", "ok"}
    assert len(lines) > 50


def test_the_json_holds_every_finding_with_its_figures(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_targets(monkeypatch, main=database.dsn):
        ended = command("doctor", "--json")
    assert ended.code == 0
    whole = json.loads(ended.out)
    assert whole["target"] == "main"
    assert whole["server"]["platform"] == "self-managed"
    assert sum(whole["counts"].values()) == len(whole["findings"])
    by_check = {each["check"]: each for each in whole["findings"]}
    assert set(by_check["round_trip"]) == {"check", "severity", "evidence", "remedy", "figures"}
    assert by_check["round_trip"]["figures"]["round_trip_seconds"] > 0


def test_measuring_and_earlier_runs_bring_findings_of_rounds(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_SUITE__ROWS", "200")
    monkeypatch.setenv("INGEST_CANARY_SUITE__ROUNDS", "1")
    with as_targets(monkeypatch, main=database.dsn):
        ended = command("doctor", "--measure", "--json")
        by_check = {each["check"]: each for each in json.loads(ended.out)["findings"]}
        assert by_check["rounds"]["evidence"] == "8 rounds measured, none failed"
        assert by_check["batching"]["severity"] == "info"
        assert command("measure", "--record").code == 0
        ended = command("doctor", "--json")
        by_check = {each["check"]: each for each in json.loads(ended.out)["findings"]}
        assert "rounds" not in by_check
        assert "(estimated)" not in by_check["wal_per_day"]["evidence"]


def test_nothing_that_cannot_go_together_goes(command: Command) -> None:
    assert command("doctor", "--table", "x").code == 2
    assert command("doctor", "--like", "postgresql://h/d", "--measure").code == 2
    ended = command("doctor", "--like", "nonsense")
    assert ended.code == 2
    assert "--like: the DSN does not begin with postgresql://" in ended.err


# --- prewarming ----------------------------------------------------------------------------------


def test_prewarming_without_the_extension_or_a_table_says_so(database: Database) -> None:
    assert "CREATE EXTENSION pg_prewarm" in asyncio.run(prewarm(target_of(database.dsn))).remedy
    database.sql("CREATE EXTENSION pg_prewarm")
    assert "nothing to load" in asyncio.run(prewarm(target_of(database.dsn))).evidence


def test_a_wrong_password_shows_in_no_form(
    server: Server, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PASSWORD
    dsn: Any = server.tcp_dsn(password="s3cr3t-canary")
    with as_targets(monkeypatch, main=dsn):
        ended = command("doctor", "--json")
    assert ended.code == 1
    assert "s3cr3t" not in ended.out + ended.err
