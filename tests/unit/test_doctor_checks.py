"""Every check of the doctor: what it says of the healthy target, and of one thing wrong with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.canary.checks.checkpoints import wal_between_checkpoints
from monitor.canary.checks.diagnosis import diagnose
from monitor.canary.checks.facts import (
    Checkpoints,
    EventTrigger,
    Replication,
    Sessions,
    Slot,
    Statements,
    Vacuums,
)
from monitor.canary.checks.platform import platform_of, to_set
from monitor.canary.checks.settings import Setting, Settings
from monitor.model import Connect
from tests.doctor_facts import HEALTHY, MB, PARENT, SETTINGS, facts, found

GB = 1 << 30


def test_a_healthy_target_has_nothing_but_ok() -> None:
    findings = diagnose(HEALTHY)
    assert [each for each in findings if each.severity != "ok"] == []
    assert len(findings) > 50
    assert len({each.check for each in findings}) == len(findings)


def with_slot(slot: Slot) -> Replication:
    return Replication(0, 0, (slot,), 0, 0, False, "")


#: A check, its severity, words of its evidence, words of its remedy, and what is wrong.
WRONG: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("version", "error", "older than 14", "upgrade", {"version": 13}),
    ("version", "warning", "newer than 18", "", {"version": 19}),
    ("writable", "error", "standby", "primary", {"identity": {"in_recovery": True}}),
    ("writable", "error", "default_transaction_read_only", "written to", {"read_only": True}),
    ("schema", "error", "was not made by us", "set another",
     {"refused_schema": "schema x was not made by us; set another."}),
    ("role", "warning", "superuser", "role-sql", {"role": {"superuser": True}}),
    ("pg_read_all_stats", "warning", "other sessions", 'GRANT pg_read_all_stats TO "ingest_canary"',
     {"role": {"reads_all_stats": False}}),
    ("connections", "warning", "may hold 2 sessions", "CONNECTION LIMIT 8",
     {"role": {"connection_limit": 2}}),
    ("connections", "warning", "96 of 100 in use", "max_connections",
     {"sessions": Sessions(0, 95, None)}),
    ("transaction_timeout", "warning", "30 s is in force", "transaction_timeout = 0",
     {"settings": {"transaction_timeout": "30000"}}),
    ("pg_stat_statements", "error", "not created in database canary",
     "CREATE EXTENSION pg_stat_statements; then add",
     {"statements": Statements(None, loaded=False)}),
    ("pg_stat_statements", "error", "not preloaded", "shared_preload_libraries",
     {"statements": Statements("public", loaded=False)}),
    ("pg_stat_statements", "error", "track is none", "pg_stat_statements.track = top",
     {"settings": {"pg_stat_statements.track": "none"}}),
    ("pg_stat_statements", "error", "compute_query_id is off", "auto",
     {"settings": {"compute_query_id": "off"}}),
    ("pg_stat_statements", "error", "version 1.8 lacks", "ALTER EXTENSION",
     {"extensions": {"pg_stat_statements": "1.8"}}),
    ("track_utility", "warning", "clock of COPY is unknown", "track_utility = on",
     {"settings": {"pg_stat_statements.track_utility": "off"}}),
    ("track_planning", "warning", "executemany", "track_planning = off",
     {"settings": {"pg_stat_statements.track_planning": "on"}}),
    ("statement_entries", "warning", "5.0 an hour", "pg_stat_statements.max = 10000",
     {"statements": {"evictions": 10}}),
    ("round_trip", "warning", "30 ms fastest", "measure --also",
     {"path": {"round_trip_seconds": 0.03, "round_trip_median_seconds": 0.04}}),
    ("round_trip", "info", "2 ms fastest", "measure --also",
     {"path": {"round_trip_seconds": 0.002}}),
    ("tls", "warning", "in clear", "sslmode=require",
     {"path": {"transport": "tcp", "peer": "db:5432"}}),
    ("tls", "info", "TLSv1.3, AES: sending 1 MB took 10 ms, 4 ms of our CPU per MB", "--also",
     {"path": {"tls": "TLSv1.3", "cipher": "AES", "sent_bytes": MB, "send_seconds": 0.01,
               "send_cpu_seconds": 0.004}}),
    ("pooler", "error", "transaction mode", "directly", {"path": {"pooler": "transaction"}}),
    ("pooler", "info", "session mode", "measure --also", {"path": {"pooler": "session"}}),
    ("one_host", "info", "share this host's 4 CPUs", "", {"path": {"same_host": True}}),
    ("one_host", "warning", "share this host's 1 CPU:", "two CPUs",
     {"path": {"same_host": True}, "host": {"cpus": 1}}),
    ("command_timeout", "error", "30 s is not longer than a round may take (60 s)", "leave it out",
     {"target": {"connect": Connect(command_seconds=30)}}),
    ("connect", "info", "statement_cache_size 0", "leave the cache sizes out",
     {"target": {"connect": Connect(statement_cache_size=0)}}),
    ("statement_logging", "error", "log_statement = all logs every statement",
     'ALTER ROLE "ingest_canary" SET log_statement = none', {"logging": "log_statement = all"}),
    ("statement_logging", "warning", "allowed by", "",
     {"logging": "log_statement = all", "target": {"allow_statement_logging": True}}),
    ("slow_statement_logging", "warning", "over 100 ms are logged with all their parameters",
     "log_parameter_max_length", {"settings": {"log_min_duration_statement": "100"}}),
    ("auto_explain", "warning", "instruments every statement", "log_timing = off",
     {"settings": {"auto_explain.log_min_duration": "5000", "auto_explain.log_analyze": "on"}}),
    ("statement_stats", "warning", "log_executor_stats", "off",
     {"settings": {"log_executor_stats": "on"}}),
    ("publications", "error", "everything covers schema ingest_canary", "by name",
     {"publications": ("everything",)}),
    ("publications", "warning", "allowed by", "by name",
     {"publications": ("everything",), "target": {"allow_publication": True}}),
    ("event_triggers", "warning", "audit (ddl_command_end) fires", "",
     {"event_triggers": (EventTrigger("audit", "ddl_command_end"),)}),
    ("event_triggers", "info", "hello runs at every login", "",
     {"event_triggers": (EventTrigger("hello", "login"),)}),
    ("triggers", "warning", "spy on customers", "DROP TRIGGER spy",
     {"tables": (replace(PARENT, triggers=("spy",)),)}),
    ("libraries", "info", "auto_explain, pgaudit", "",
     {"settings": {"shared_preload_libraries": "pg_stat_statements, auto_explain,pgaudit"}}),
    ("max_wal_size", "warning", "every run meets one", "max_wal_size = 5GB",
     {"settings": {"max_wal_size": "128"}}),
    ("max_wal_size", "info", "one of 5 runs", "max_wal_size = 5GB",
     {"settings": {"max_wal_size": "1024"}}),
    ("checkpoint_timeout", "warning", "every 60 s by the clock", "15min",
     {"settings": {"checkpoint_timeout": "60"}}),
    ("checkpoint_completion_target", "warning", "first 50%", "0.9",
     {"settings": {"checkpoint_completion_target": "0.5"}}),
    ("checkpoint_history", "warning", "90% by volume", "max_wal_size = 32GB",
     {"checkpoints": Checkpoints(10, 90, 9000.0)}),
    ("autovacuum", "warning", "off on the whole server", "autovacuum = on",
     {"settings": {"autovacuum": "off"}}),
    ("autovacuum_running", "warning", "a vacuum works on our tables", "not cancelled",
     {"vacuums": Vacuums(1, 1)}),
    ("autovacuum_running", "info", "2 of 3 workers", "", {"vacuums": Vacuums(2, 0)}),
    ("autovacuum_on_ours", "warning", "customers: autovacuum may start", "SET (autovacuum_enabled",
     {"tables": (replace(PARENT, autovacuum_off=False),)}),
    ("statistics", "warning", "customers holds 10,000 rows and was never analyzed",
     'ANALYZE "ingest_canary"."customers"',
     {"tables": (replace(PARENT, planned_rows=-1.0, analyzed_at=None),)}),
    ("statistics", "warning", "changed 9,900 of them since ANALYZE (2026-11-22 14:10)", "ANALYZE",
     {"tables": (replace(PARENT, planned_rows=100.0, modified_rows=9900),)}),
    ("cold_cache", "warning", "foreign-key parent customers: 10% of 640 kB", "--prewarm",
     {"tables": (replace(PARENT, cached_pages=8),)}),
    ("cold_cache", "info", "unknown without pg_buffercache", "CREATE EXTENSION pg_buffercache",
     {"tables": (replace(PARENT, cached_pages=None),)}),
    ("wal_per_day", "warning", "144 runs a day write 281 GB", "lengthen interval",
     {"workload": {"run_wal_bytes": 2000 * MB}}),
    ("archiving", "error", "fails (7 times, last 0001)", "archive_command",
     {"settings": {"archive_mode": "on"},
      "replication": Replication(0, 0, (), 1, 7, True, "0001")}),
    ("archiving", "info", "15.5 GB a day", "", {"settings": {"archive_mode": "on"}}),
    ("slots", "error", "inactive: old, holding 2 GB of WAL, and we would add 15.5 GB a day",
     "pg_drop_replication_slot('old')",
     {"replication": with_slot(Slot("old", False, "extended", 2.0 * GB))}),
    ("slots", "warning", "at most 1 GB", "",
     {"settings": {"max_slot_wal_keep_size": "1024"},
      "replication": with_slot(Slot("old", False, "reserved", None))}),
    ("synchronous_standbys", "error", "every commit waits for ever", "bring the standby back",
     {"settings": {"synchronous_standby_names": "*"}}),
    ("synchronous_standbys", "info", "every commit waits for a standby", "COPY with a commit",
     {"settings": {"synchronous_standby_names": "*"},
      "replication": Replication(1, 1, (), 0, 0, False, "")}),
    ("standbys", "info", "2 sessions stream WAL", "",
     {"replication": Replication(2, 0, (), 0, 0, False, "")}),
    ("fsync", "warning", "commits wait for no disk", "fsync = on", {"settings": {"fsync": "off"}}),
    ("synchronous_commit", "warning", "nothing durable", "synchronous_commit = on",
     {"settings": {"synchronous_commit": "off"}}),
    ("synchronous_commit", "info", "nothing durable", "in the target's connect.server_settings",
     {"settings": {"synchronous_commit": "off"},
      "target": {"connect": Connect(server_settings=(("synchronous_commit", "off"),))}}),
    ("full_page_writes", "warning", "off", "full_page_writes = on",
     {"settings": {"full_page_writes": "off"}}),
    ("wal_level", "warning", "minimal", "restart", {"settings": {"wal_level": "minimal"}}),
    ("commit_delay", "info", "100 µs", "", {"settings": {"commit_delay": "100"}}),
    ("shared_buffers", "warning", "1 MB, while a round's table takes some 2 MB", "restart",
     {"settings": {"shared_buffers": "128"}}),
    ("huge_pages", "warning", "with 16 GB of shared_buffers", "nr_hugepages",
     {"settings": {"shared_buffers": "2097152"}}),
    ("jit", "warning", "jit_above_cost is 0", "jit = off", {"settings": {"jit_above_cost": "0"}}),
    ("isolation", "warning", "serializable", "",
     {"settings": {"default_transaction_isolation": "serializable"}}),
    ("build", "warning", "assertions", "release", {"settings": {"debug_assertions": "on"}}),
    ("pending_restart", "warning", "not in force: shared_buffers", "restart",
     {"settings": {"shared_buffers": Setting("shared_buffers", "16384", "8kB", "postmaster",
                                             pending_restart=True)}}),
    ("server_clock", "warning", "900 ns", "tsc", {"server_clock_read_seconds": 9e-7}),
    ("track_io_timing", "info", "timed twice", "",
     {"server_clock_read_seconds": 9e-7, "settings": {"track_io_timing": "on"}}),
    ("cpu_steal", "warning", "5.0% of 1 s", "CPUs of its own", {"host": {"steal_ratio": 0.05}}),
    ("cpu_pressure", "warning", "in 60% of the time; load 0.20 on 4 CPUs", "without other work",
     {"host": {"pressure_ratio": 0.6}}),
    ("cpu_quota", "warning", "throttled", "raise",
     {"host": {"quota_cpus": 0.5, "throttled": True}}),
    ("cpu_quota", "info", "2 CPUs by", "", {"host": {"quota_cpus": 2.0, "throttled": False}}),
    ("clock", "warning", "hpet", "tsc", {"host": {"clock_source": "hpet"}}),
    ("cpu_governor", "info", "powersave", "performance", {"host": {"governor": "powersave"}}),
    ("sqlalchemy", "warning", "compiled extensions", "wheel",
     {"host": {"sqlalchemy_compiled": False}}),
    ("neighbours", "info", "up to 3 other sessions active", "skip_while",
     {"sessions": Sessions(3, 5, None)}),
    ("idle_transactions", "info", "for 10 min", "", {"sessions": Sessions(0, 5, 600.0)}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "severity", "evidence", "remedy", "changes"),
    WRONG,
    ids=[f"{check}-{severity}-{n}" for n, (check, severity, *_) in enumerate(WRONG)],
)
def test_one_thing_wrong_is_one_finding(
    check: str, severity: str, evidence: str, remedy: str, changes: dict[str, Any]
) -> None:
    finding = found(check, **changes)
    assert finding.severity == severity
    assert evidence in finding.evidence
    assert remedy in finding.remedy
    assert "\n" not in finding.evidence + finding.remedy
    others = [each for each in diagnose(facts(**changes)) if each.severity in ("error", "warning")]
    assert len(others) <= 2, others


def test_every_check_that_can_find_something_is_provoked_here() -> None:
    always_ok = {"pg_read_all_settings", "transport"}
    provoked = {check for check, *_ in WRONG}
    checks = {each.check for each in diagnose(HEALTHY)}
    assert checks - provoked - always_ok == set()


def test_settings_that_a_role_may_not_see_are_said_to_be_unknown() -> None:
    hidden = {name: setting for name, setting in SETTINGS.items() if "preload" not in name}
    findings = diagnose(replace(HEALTHY, settings=Settings(hidden)))
    (finding,) = [each for each in findings if each.check == "pg_read_all_settings"]
    assert finding.severity == "info"
    assert "GRANT pg_read_all_settings" in finding.remedy


def test_without_any_setting_or_counter_every_check_still_answers() -> None:
    blind = replace(
        HEALTHY,
        settings=Settings({}),
        checkpoints=None,
        wal=None,
        vacuums=None,
        sessions=None,
        replication=None,
        server_clock_read_seconds=None,
    )
    assert not [each for each in diagnose(blind) if each.severity == "error"]


def test_the_wal_between_checkpoints_is_postgresqls_own_rule() -> None:
    assert wal_between_checkpoints(1 * GB, 0.9) == pytest.approx(565.1e6, rel=1e-3)


# --- managed services ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "settings", "aurora", "platform"),
    [
        ((), (), False, "self-managed"),
        (("rdsadmin", "rds_superuser"), (), False, "rds"),
        (("rds_superuser",), ("rds.extensions",), False, "rds"),
        (("rds_superuser",), (), False, "self-managed"),  # made by hand, for migrations
        (("rdsadmin",), (), True, "aurora"),
        (("cloudsqladmin",), (), False, "cloudsql"),
        (("azuresu",), (), False, "azure"),
        (("azure_pg_admin",), ("azure.extensions",), False, "azure"),
    ],
)
def test_a_service_is_known_by_what_only_it_has(
    roles: tuple[str, ...], settings: tuple[str, ...], aurora: bool, platform: str
) -> None:
    known = Settings({name: Setting(name, "") for name in settings})
    assert platform_of(roles, known, aurora) == platform


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        ("self-managed", "set max_wal_size = 5GB, then reload the server"),
        ("rds", "set max_wal_size = 5120 (MB) in the DB parameter group"),
        ("cloudsql", "set the database flag max_wal_size = 5120 (MB)"),
        ("azure", "set the server parameter max_wal_size = 5120 (MB)"),
    ],
)
def test_a_remedy_names_the_place_where_the_service_keeps_the_setting(
    platform: Any, said: str
) -> None:
    settings = {"max_wal_size": "1024"}
    assert found("max_wal_size", settings=settings, platform=platform).remedy == said


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        ("rds", "set rds.logical_replication = 1 in the DB parameter group, then reboot"),
        (
            "aurora",
            "set rds.logical_replication = 1 in the DB cluster parameter group, then reboot",
        ),
        ("cloudsql", "set the database flag cloudsql.logical_decoding = on; it restarts"),
        ("azure", "set the server parameter wal_level = logical, then restart"),
        ("self-managed", "set wal_level = logical, then restart the server"),
    ],
)
def test_settings_with_another_name_there_are_named_so(platform: Any, said: str) -> None:
    assert said in to_set(platform, HEALTHY.settings, "wal_level", "logical")


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        ("rds", "in the DB parameter group and reboot"),
        ("aurora", "in the DB cluster parameter group"),
        ("cloudsql", "Cloud SQL has it loaded"),
        ("azure", "azure.extensions"),
    ],
)
def test_preloading_is_explained_for_each_service(platform: Any, said: str) -> None:
    missing = Statements("public", loaded=False)
    assert said in found("pg_stat_statements", statements=missing, platform=platform).remedy


def test_aurora_has_no_checkpoints_to_warn_of() -> None:
    settings = {"max_wal_size": "64"}
    finding = found("max_wal_size", settings=settings, platform="aurora")
    assert finding.severity == "ok"


# --- settings with units -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        (Setting("a", "16384", "8kB"), "128 MB"),
        (Setting("a", "1024", "MB"), "1 GB"),
        (Setting("a", "-1", "MB"), "-1 MB"),
        (Setting("a", "300", "s"), "300 s"),
        (Setting("a", "on"), "on"),
        (Setting("a", "0.9"), "0.9"),
        (Setting("a", "100"), "100"),
    ],
)
def test_a_setting_is_shown_with_its_unit(setting: Setting, shown: str) -> None:
    assert str(setting) == shown
