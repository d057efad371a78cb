"""Small parts: names and marks, errors translated, the WAL ledger, logs, durations, secrets."""

from __future__ import annotations

import json
import logging
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from monitor.canary import sql
from monitor.canary.connection import translate
from monitor.canary.identifiers import (
    definition_in,
    is_marked,
    left_out_in,
    likeness_in,
    literal,
    part_mark,
    quote,
    schema_mark,
    table_mark,
)
from monitor.canary.lock import lock_key
from monitor.cli.logs import set_up_logging
from monitor.config.dsn import for_asyncpg, without_secrets
from monitor.config.fields import parse_duration
from monitor.daemon.ledger import Entry, WalLedger
from monitor.errors import (
    AuthenticationFailed,
    RoundTimeout,
    RowsMissing,
    ServerError,
    TargetUnavailable,
)
from monitor.model import Target
from tests.builders import AT

TARGET = Target("main", "postgresql://u:s3cr3t-canary@h/d")


def test_names_and_texts_are_quoted() -> None:
    assert quote('a"b') == '"a""b"'
    assert literal("it's") == "'it''s'"


def test_marks_are_known_of_any_version_and_nothing_else_is() -> None:
    assert is_marked(schema_mark())
    assert is_marked("ingest-canary 9.1.2rc1 table, definition 0123456789ab: x")
    assert definition_in(table_mark("0123456789ab")) == "0123456789ab"
    for comment in (None, "", "ingest-canary", "my ingest-canary 0.1.0 schema", "orders"):
        assert not is_marked(comment)


@pytest.mark.parametrize("name", ["public.t", '"Odd ""Place"""."a\\b"', "über alles"])
def test_a_parts_mark_tells_what_it_is_part_of_and_what_was_left_out(name: str) -> None:
    left_out = ('check c (it "is"; so)', "index i")
    mark = part_mark("type", "0123456789ab", name, left_out)
    assert is_marked(mark)
    assert definition_in(mark) == "0123456789ab"
    assert likeness_in(mark) == name
    assert left_out_in(mark) == left_out
    assert left_out_in(part_mark("table", "0123456789ab", name)) == ()
    assert likeness_in(table_mark("0123456789ab")) is None


def test_lock_keys_are_a_contract_between_versions() -> None:
    assert lock_key("ingest_canary") == LOCK_KEY
    assert lock_key("other") != LOCK_KEY
    assert -(2**63) <= lock_key("x") < 2**63


LOCK_KEY = 4914129850927625057


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.InvalidPasswordError("no"), AuthenticationFailed),
        (asyncpg.InvalidAuthorizationSpecificationError("no"), AuthenticationFailed),
        (ConnectionRefusedError(111, "refused"), TargetUnavailable),
        (TimeoutError(), TargetUnavailable),
        (asyncpg.AdminShutdownError("bye"), TargetUnavailable),
        (asyncpg.TooManyConnectionsError("full"), TargetUnavailable),
        (asyncpg.InvalidCatalogNameError("none"), TargetUnavailable),
        (asyncpg.QueryCanceledError("late"), RoundTimeout),
        (asyncpg.DiskFullError("full"), ServerError),
        (asyncpg.CheckViolationError("no"), ServerError),
    ],
)
def test_errors_get_the_domains_word(error: Exception, kind: type[Exception]) -> None:
    assert type(translate(error, TARGET)) is kind
    wrapped = RuntimeError("dbapi")
    wrapped.__cause__ = error
    assert type(translate(DBAPIError("INSERT", None, wrapped), TARGET)) is kind


def test_a_bug_is_not_translated_and_a_known_error_is_kept() -> None:
    assert translate(KeyError("x"), TARGET) is None
    missing = RowsMissing("3 of 4")
    assert translate(missing, TARGET) is missing


def test_a_secret_in_an_error_is_masked() -> None:
    found = translate(OSError("no route for u:s3cr3t-canary"), TARGET)
    assert str(found) == "no route for u:***"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:s3cr3t-canary@h/d",
        "postgresql://u@h/d?password=s3cr3t-canary&sslmode=require",
        "postgresql://u:s3cr3t%2Dcanary@h/d",
    ],
)
def test_no_form_of_a_password_is_shown(dsn: str) -> None:
    shown = without_secrets(dsn)
    assert "s3cr3t" not in shown
    assert "***" in shown


def test_a_driver_suffix_is_dropped() -> None:
    assert for_asyncpg("postgresql+asyncpg://u@h/d") == "postgresql://u@h/d"
    assert for_asyncpg("postgres://u@h/d?x=a://b") == "postgres://u@h/d?x=a://b"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10min", 600), ("10 m", 600), ("1.5h", 5400), ("1d", 86400), ("250ms", 0.25)],
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert isinstance(parse_duration(text), float)
    except ValueError as error:
        assert "is not a duration" in str(error)


def entry(hours: float, wal_bytes: int, target: str = "main") -> Entry:
    return Entry(AT - timedelta(hours=hours), target, wal_bytes)


def test_the_ledger_counts_a_day_of_one_target_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "wal.jsonl"
    for item in (entry(25, 500), entry(23, 100), entry(2, 50, "other"), entry(1, 30)):
        WalLedger(path).add(item)
    assert WalLedger(path).allowance("main", 1000, AT) == 870
    assert WalLedger(path).allowance("other", 1000, AT) == 950
    assert WalLedger(path).allowance("new", 1000, AT) == 1000


def test_a_run_that_would_not_fit_is_not_begun(tmp_path: Path) -> None:
    ledger = WalLedger(tmp_path / "wal.jsonl")
    ledger.add(entry(2, 400))
    assert ledger.allowance("main", 900, AT) == 500
    ledger.add(entry(1, 400))
    assert ledger.allowance("main", 900, AT) == 0


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "wal.jsonl"
    WalLedger(path).add(entry(1, 30))
    with path.open("a") as file:
        file.write('{"at": "2026-')
    assert WalLedger(path).allowance("main", 100, AT) == 70


def test_a_ledger_without_a_disk_counts_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    ledger = WalLedger(tmp_path / "file" / "wal.jsonl")
    ledger.add(entry(1, 30))
    assert "cannot be written" in caplog.text
    assert ledger.allowance("main", 100, AT) == 70


def test_sql_of_the_nearest_lower_version_is_taken() -> None:
    assert "pg_stat_bgwriter" in sql.load("activity", 16)
    assert "pg_stat_checkpointer" in sql.load("activity", 17)
    assert sql.load("activity", 99) == sql.load("activity", 17)
    assert sql.load("server") == sql.load("server", 15)


@pytest.mark.parametrize("form", ["plain", "json"])
def test_log_lines_mask_secrets_in_messages_and_tracebacks(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        set_up_logging(form, "info", ["s3cr3t-canary"])
        try:
            raise ValueError("password s3cr3t-canary")
        except ValueError:
            logging.getLogger("x").exception("with %s", "s3cr3t-canary")
        sys.stderr.flush()
    finally:
        root.handlers, root.level = before
    said = capsys.readouterr().err
    assert "s3cr3t" not in said
    assert "ValueError: password ***" in said
    if form == "json":
        line = json.loads(said)
        assert (line["level"], line["logger"], line["message"]) == ("error", "x", "with ***")
