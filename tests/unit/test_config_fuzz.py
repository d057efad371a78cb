"""Configuration made up by a machine: it is read, or refused in one sentence; never a traceback."""

from __future__ import annotations

import json
import os
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.load import load
from monitor.config.settings import Settings
from monitor.config.show import masked
from monitor.config.windows import closing, next_opening, parse_window
from monitor.daemon.assembly import resolve_plan
from monitor.errors import ConfigurationError
from tests.fuzzing import fuzz

FUZZ = fuzz(150)
SECRET = "s3cr3t-canary"
NAMES = [
    *Settings.model_fields, "main", "dsn", "dsn_file", "schema", "rows", "rounds", "cases", "name",
    "strategy", "shape", "from_table", "parameters", "batch_size", "transaction", "load", "clients",
    "rate", "sql", "connect", "pool", "server_settings", "command_timeout", "only_between",
    "paused", "suite", "url", "url_file", "raw_retention", "port", "host", "format", "level",
    "floor", "learning", "round_timeout", "max_table_bytes", "skip_while", "plugins", "",
]  # fmt: skip
TEXTS = [
    "10min", "-1s", "1e400", "nan", "asyncpg_copy", "orders", "public.orders", "01:00-05:00",
    "sat 25:00-26:00", f"postgresql://u:{SECRET}@h:5432/d", f"postgresql://u:{SECRET}@[::1/d",
    f"postgresql://u:{SECRET}@h:port/d?sslmode=wrong", "mysql://h", "/nonexistent", "main", "\0",
    "é" * 70, "1GiB", "round", "DROP TABLE x", "{table}",
]  # fmt: skip
scalars = (
    st.sampled_from(TEXTS)
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.booleans()
    | st.text(max_size=12)
)
keys = st.sampled_from(NAMES) | st.text(string.ascii_letters + "_- .", max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
trees = st.dictionaries(keys, values, max_size=5)


def toml(value: Any) -> str:
    """A value as TOML, as far as it has a form there."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value) if isinstance(value, str) else str(value)


def read(path: Path) -> None:
    """Read it as every command does, and as far as a command goes without a server."""
    try:
        found = load(path)
        resolve_plan(found)
        for name in found.targets:
            resolve_plan(found, target=name)
        masked(found)
    except ConfigurationError as error:
        text = str(error)
        assert text
        assert "\n" not in text.strip()
        assert SECRET not in text


@pytest.fixture(autouse=True)
def no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("INGEST_CANARY_") and "_TEST_" not in name:
            monkeypatch.delenv(name)


@FUZZ
@given(tree=trees)
def test_any_tables_and_values(tmp_path: Path, tree: dict[str, Any]) -> None:
    path = tmp_path / "canary.toml"
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in tree.items())
    path.write_text(text, errors="replace")
    read(path)


@FUZZ
@given(
    target=st.dictionaries(st.sampled_from(NAMES), values, max_size=5),
    suite=st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
)
def test_targets_and_suites_that_are_nearly_right(
    tmp_path: Path, target: dict[str, Any], suite: dict[str, Any]
) -> None:
    path = tmp_path / "canary.toml"
    dsn = {"dsn": f"postgresql://u:{SECRET}@h/d"}
    tree = {"targets": {"main": dsn | target}, "suites": {"main": suite}, "suite": suite}
    path.write_text("\n".join(f"{k} = {toml(v)}" for k, v in tree.items()), errors="replace")
    read(path)


@FUZZ
@given(content=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "canary.toml"
    path.write_bytes(content)
    read(path)


@FUZZ
@given(
    name=st.sampled_from([each.upper() for each in NAMES if each]),
    inner=st.sampled_from(["", "__MAIN__DSN", "__MAIN", "__ROWS", "__X__Y__Z", "__"]),
    value=st.sampled_from([*TEXTS, "[1,", "{}", "[]", '{"main": {"dsn": 1}}', "null"])
    | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20),
)
def test_any_variables(name: str, inner: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"INGEST_CANARY_{name}{inner}", value.replace("\0", ""))
        try:
            load()
        except ConfigurationError as error:
            assert "\n" not in str(error).strip()
            assert SECRET not in str(error)


@FUZZ
@given(text=st.text("0123456789:- ,amonsuetwdhfri", max_size=24))
def test_any_window(text: str) -> None:
    try:
        window = parse_window(text)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    now = datetime(2026, 11, 25, 14, tzinfo=UTC)
    opening = next_opening((window,), now)
    assert opening > now
    assert closing((window,), opening) is not None
