"""How sessions are opened: from settings to what the rest of the program sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.canary.environment import connect_facts
from monitor.cli.common import other_target
from monitor.config.connect import check_server_settings
from monitor.config.load import load
from monitor.config.settings import Settings
from monitor.config.show import masked
from monitor.errors import ConfigurationError
from monitor.model import Connect

SECRET = "s3cr3t-canary"
DSN = f"postgresql://u:{SECRET}@h/d"
ALL = """
[targets.main]
dsn = "postgresql://u@h/d"
[targets.main.connect]
command_timeout = "5min"
statement_cache_size = 0
prepared_statement_cache_size = 10
server_settings = { jit = "off", "app.token" = "s3cr3t-canary" }
pool = "kept"
pool_recycle = "10min"
"""


def settings(folder: Path, text: str = ALL) -> Settings:
    path = folder / "canary.toml"
    path.write_text(text)
    return load(path)


def test_every_setting_arrives(tmp_path: Path) -> None:
    (target,) = settings(tmp_path).target_list()
    assert target.connect == Connect(
        command_seconds=300,
        statement_cache_size=0,
        prepared_statement_cache_size=10,
        server_settings=(("app.token", SECRET), ("jit", "off")),
        keep=True,
        recycle_seconds=600,
    )


def test_by_default_sessions_are_opened_as_the_libraries_do(tmp_path: Path) -> None:
    (target,) = settings(tmp_path, f"[targets.main]\ndsn = '{DSN}'").target_list()
    assert target.connect == Connect()
    assert connect_facts(target.connect) == {}


def test_a_variable_sets_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__CONNECT__COMMAND_TIMEOUT", "2min")
    (target,) = settings(tmp_path, f"[targets.main]\ndsn = '{DSN}'").target_list()
    assert target.connect.command_seconds == 120


def test_values_that_may_be_secret_are_never_shown(tmp_path: Path) -> None:
    shown = masked(settings(tmp_path))
    assert SECRET not in shown
    assert 'jit = "off"' in shown
    (target,) = settings(tmp_path).target_list()
    assert SECRET not in repr(target)


def test_a_run_remembers_what_is_not_the_default() -> None:
    facts = connect_facts(Connect(command_seconds=300, keep=True))
    assert facts == {"connect.command_seconds": "300", "connect.keep": "True"}


@pytest.mark.parametrize("name", ["search_path", "STATEMENT_TIMEOUT", "application_name", "options",
                                  "tcp_user_timeout", "default_transaction_read_only"])  # fmt: skip
def test_settings_of_our_own_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not for the application to set here"):
        check_server_settings({"jit": "off", name: "x"})


# --- another server, by name or by DSN -----------------------------------------------------------


def test_another_server_may_be_a_configured_target_or_a_dsn(tmp_path: Path) -> None:
    known = settings(tmp_path)
    assert other_target(known, "main", "--like").dsn == "postgresql://u@h/d"
    assert other_target(known, DSN, "--like").dsn == DSN


@pytest.mark.parametrize("given", [f"mysql://u:{SECRET}@h/d", f"host=h password={SECRET}", "mian"])
def test_anything_else_is_refused_without_its_secret(tmp_path: Path, given: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        other_target(settings(tmp_path), given, "--like")
    assert SECRET not in str(refused.value)
    assert "--like: " in str(refused.value)
    assert "or name a configured target (main)" in str(refused.value)
