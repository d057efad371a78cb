"""Errors name where the wrong value really came from; what is shown can be read again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.dsn import check_dsn, secrets_of, without_secrets
from monitor.config.load import load
from monitor.config.show import masked
from monitor.errors import ConfigurationError

SECRET = "s3cr3t-canary"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "canary.toml"
    path.write_text("[suite]\nrows = 5\n")
    return path


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SUITE__CASES", '[{"rows": 1}]', "INGEST_CANARY_SUITE__CASES: 0.strategy: is required."),
        ("SUITE", '{"rounds": 0}', "INGEST_CANARY_SUITE: rounds: must be greater than 0."),
        ("SUITE__ROUNDS", "0", "INGEST_CANARY_SUITE__ROUNDS: must be greater than 0."),
        (
            "CONFIGURATION",
            "x",
            "INGEST_CANARY_CONFIGURATION: unknown variable; did you mean 'INGEST_CANARY_CONFIG'?",
        ),
        (
            "FOO",
            "1",
            "INGEST_CANARY_FOO: unknown variable; known here: INGEST_CANARY_ALERTS, ",
        ),
        (
            "TARGETS__MAIN",
            f'{{"dsn": "postgresql://u:{SECRET}',
            "INGEST_CANARY_TARGETS__MAIN: must be a table.",
        ),
        (
            "TARGETS",
            f'{{"main": {{"dsn": "postgresql://u:{SECRET}',
            "INGEST_CANARY_TARGETS: not valid JSON, the form of lists and tables in variables.",
        ),
    ],
)
def test_the_variable_is_blamed_although_the_file_has_the_table(
    name: str, value: str, expected: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"INGEST_CANARY_{name}", value)
    with pytest.raises(ConfigurationError) as raised:
        load(file)
    assert str(raised.value).startswith(f"environment {expected}")
    assert SECRET not in str(raised.value)


def test_the_file_is_blamed_although_the_environment_sets_a_neighbour(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[suite]\nrows = 0\n")
    monkeypatch.setenv("INGEST_CANARY_SUITE__ROUNDS", "3")
    with pytest.raises(ConfigurationError) as raised:
        load(file)
    assert str(raised.value) == f"{file}: suite.rows: must be greater than 0."


def test_the_option_is_blamed_although_file_and_environment_have_the_setting(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_SUITE__ROWS", "7")
    with pytest.raises(ConfigurationError) as raised:
        load(file, {"suite": {"rows": 0}})
    assert str(raised.value) == "--rows: must be greater than 0."


def test_what_is_shown_is_toml_also_with_odd_names(file: Path) -> None:
    file.write_text(
        '[[suite.cases]]\nstrategy = "orm_bulk"\nparameters = { "odd = key" = "a\\"b", f = 0.5 }\n'
    )
    settings = load(file)
    file.write_text(masked(settings))
    assert load(file).suite == settings.suite
    assert tomllib.loads(masked(settings))["suite"]["cases"][0]["parameters"]["f"] == 0.5


PASSWORDS = st.text(st.characters(codec="utf-8"), min_size=6, max_size=20)


@given(PASSWORDS, st.sampled_from(["postgresql://u:{}@h:5432/d", "postgres://u@h/d?password={}",
                                   "postgresql://u@h1,h2:1/d?x=1&sslpassword={}&y=2"]))  # fmt: skip
def test_no_password_survives_masking_and_each_is_known_for_logs(password: str, form: str) -> None:
    marked = f"QQ{password}QQ"
    dsn = form.format(quote(marked, safe=""))
    check_dsn(dsn)
    assert "QQ" not in without_secrets(dsn)
    assert without_secrets(dsn) == form.format("***")
    assert {marked, quote(marked, safe="")} == set(secrets_of(dsn))


def test_a_password_that_is_a_common_word_leaves_the_rest_readable() -> None:
    shown = without_secrets("postgresql://postgres:postgres@h/postgres")
    assert shown == "postgresql://postgres:***@h/postgres"
