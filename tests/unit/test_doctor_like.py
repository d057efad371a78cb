"""What differs between a canary and production, from made-up profiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.canary.checks.facts import Identity
from monitor.canary.checks.finding import Finding
from monitor.canary.checks.like import differences
from monitor.canary.checks.like_table import table_differences
from monitor.canary.checks.profile import Definition, Profile
from monitor.canary.checks.settings import Setting, Settings
from tests.doctor_facts import AT, SETTINGS

PROFILE = Profile(
    version=18,
    identity=Identity(1, AT, "canary", "18.6", in_recovery=False),
    platform="self-managed",
    settings=Settings(SETTINGS),
    mattering=frozenset(SETTINGS) - {"max_connections"},
    extensions={"pg_stat_statements": "1.12", "plpgsql": "1.0"},
    definitions={},
)
TABLE = Definition(
    name="ingest_canary.orders",
    columns=("integer", "integer", "numeric", "text"),
    options=("autovacuum_enabled=false",),
    indexes=("CREATE UNIQUE INDEX orders_pkey ON ingest_canary.orders USING btree (id)",),
    constraints=(),
    triggers=(),
)


def other(**settings: str) -> Profile:
    """Production: another server whose settings are the canary's but for some."""
    changed = {name: replace(SETTINGS.get(name, Setting(name, "")), value=value)
               for name, value in settings.items()}  # fmt: skip
    identity = replace(PROFILE.identity, system_identifier=2)
    return replace(PROFILE, identity=identity, settings=Settings(SETTINGS | changed))


def told(there: Profile) -> list[Finding]:
    return [each for each in differences(PROFILE, there) if each.severity != "ok"]


def test_equal_servers_differ_in_nothing() -> None:
    assert told(other()) == []


def test_the_same_server_is_told() -> None:
    (finding,) = told(PROFILE)
    assert finding.check == "like_server"


@pytest.mark.parametrize(
    ("settings", "severity", "evidence", "remedy"),
    [
        ({"synchronous_commit": "off"}, "warning",
         "synchronous_commit: canary on, production off", "set synchronous_commit = off"),
        ({"max_wal_size": "65536"}, "warning", "canary 8 GB, production 64 GB",
         "set max_wal_size = 64GB, then reload"),
        ({"max_wal_size": "10240"}, "info", "canary 8 GB, production 10 GB", "10GB"),
        ({"shared_buffers": "2097152"}, "warning", "canary 128 MB, production 16 GB", "restart"),
        ({"jit": "off"}, "info", "jit: canary on, production off", "jit = off"),
        ({"autovacuum_naptime": "15"}, "info", "autovacuum_naptime 60 s / 15 s", "same"),
        ({"max_connections": "500"}, "info", "1 more differ: max_connections", ""),
    ],
)  # fmt: skip
def test_a_setting_that_differs_is_told_with_its_weight(
    settings: dict[str, str], severity: str, evidence: str, remedy: str
) -> None:
    (finding,) = told(other(**settings))
    assert finding.severity == severity
    assert evidence in finding.evidence
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    "settings",
    [{"primary_conninfo": "host=a password=s3cr3t"}, {"synchronous_standby_names": "s3cr3t"}],
)
def test_values_that_may_be_secret_are_never_told(settings: dict[str, str]) -> None:
    assert "s3cr3t" not in str(differences(PROFILE, other(**settings)))


def test_versions_platforms_and_extensions_are_compared() -> None:
    there = replace(
        other(),
        version=15,
        identity=replace(PROFILE.identity, system_identifier=2, version="15.9"),
        platform="rds",
        extensions={"plpgsql": "1.0", "pgaudit": "1.7"},
    )
    found = {each.check: each for each in told(there)}
    assert found["like_version"].remedy == "run the canary on PostgreSQL 15"
    assert "production Amazon RDS" in found["like_platform"].evidence
    extensions = [each.evidence for each in told(there) if each.check == "like_extensions"]
    assert extensions == ["only in production: pgaudit", "only on the canary: pg_stat_statements"]


def test_a_setting_unknown_on_one_side_is_no_difference_between_versions() -> None:
    without = {name: setting for name, setting in SETTINGS.items() if name != "wal_level"}
    blind = replace(other(), settings=Settings(without))
    (finding,) = told(blind)
    assert "wal_level: unknown on production" in finding.evidence
    assert not [each for each in told(replace(blind, version=15)) if "wal_level" in each.evidence]


# --- a pair of tables ----------------------------------------------------------------------------


def pair(**changes: Any) -> dict[str, Finding]:
    there = replace(TABLE, name="public.orders", options=(), **changes)
    index = "CREATE UNIQUE INDEX other_name ON public.orders USING btree (id)"
    if "indexes" not in changes:
        there = replace(there, indexes=(index,))
    return {each.check: each for each in table_differences(TABLE, there)}


def test_names_of_indexes_and_autovacuum_are_no_difference() -> None:
    assert pair()["like_table"].severity == "ok"


def test_everything_else_about_a_table_is() -> None:
    found = pair(
        indexes=("CREATE INDEX by_customer ON public.orders USING btree (customer_id)",),
        constraints=("FOREIGN KEY (customer_id) REFERENCES customers(id)",),
        triggers=("audit",),
        columns=("integer", "numeric", "text", "enum", "enum"),
    )
    assert "USING" not in found["like_index"].evidence
    assert "btree (id)" in found["like_index"].evidence  # the last of the two told
    assert "FOREIGN KEY" in found["like_constraint"].evidence
    assert "audit" in found["like_trigger"].evidence
    assert "only on the canary: integer" in found["like_columns"].evidence  # the last of the two


def test_without_a_counterpart_it_says_how_to_name_one() -> None:
    (finding,) = table_differences(None, TABLE)
    assert "--table NAME=SHAPE" in finding.remedy


def test_a_likeness_differs_neither_by_its_types_names_nor_by_its_parents() -> None:
    ours = replace(
        TABLE,
        indexes=(
            'CREATE INDEX x ON ingest_canary."public.t" USING btree (day)'
            " WHERE (status = 'new'::ingest_canary.\"public.t/public.status\")",
        ),
        constraints=(
            'FOREIGN KEY (customer_id) REFERENCES ingest_canary."public.t/crm.customers"(id)',
            "CHECK (((code)::text <> ''::text))",
            "CHECK ((at > '2020-01-01 00:00:00+00'::timestamp with time zone))",
        ),
    )
    theirs = replace(
        TABLE,
        name="public.t",
        indexes=(
            "CREATE INDEX y ON public.t USING btree (day) WHERE (status = 'new'::order_status)",
        ),
        constraints=(
            "FOREIGN KEY (customer_id) REFERENCES crm.customers(id) ON DELETE SET NULL (x, y)",
            "CHECK (((code)::text <> ''::text))",
            "CHECK ((at > '2020-01-01 00:00:00+00'::timestamp with time zone))",
        ),
    )
    (finding,) = table_differences(ours, theirs)
    assert finding.severity == "ok"
    changed = replace(theirs, constraints=(*theirs.constraints[:2], "CHECK ((at > now()))"))
    assert {each.check for each in table_differences(ours, changed)} == {"like_constraint"}
