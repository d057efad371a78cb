"""Where settings come from, which wins, and that no secret gets out."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.config.settings import Settings
from monitor.config.show import commented_defaults, masked
from monitor.config.suite import FromTableSettings
from monitor.config.targets import TargetSettings

SECRET = "s3cr3t-canary"
DSN = f"postgresql://u:{SECRET}@h:5432/d"


@pytest.fixture(autouse=True)
def no_settings_of_the_developers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("INGEST_CANARY_"):
            monkeypatch.delenv(name)


def written(folder: Path, text: str) -> Path:
    path = folder / "canary.toml"
    path.write_text(text)
    return path


def test_the_command_line_beats_the_environment_beats_the_file_beats_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "interval = '1min'\n[suite]\nrows = 1\nrounds = 2\n[web]\nport = 1")
    monkeypatch.setenv("INGEST_CANARY_SUITE__ROWS", "10")
    monkeypatch.setenv("INGEST_CANARY_WEB__PORT", "10")
    settings = load(path, {"web": {"port": "100"}})
    assert (settings.interval, settings.suite.rounds) == (60, 2)
    assert (settings.suite.rows, settings.web.port) == (10, 100)
    assert settings.web.host == "127.0.0.1"


def test_a_target_is_put_together_from_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "[targets.main]\nschema = 'canary'\nconnect_timeout = '3s'")
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", DSN)
    (target,) = load(path).target_list()
    assert (target.name, target.dsn, target.schema) == ("main", DSN, "canary")
    assert target.connect_seconds == 3


def test_the_file_may_be_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_CONFIG", str(written(tmp_path, "interval = 5")))
    assert load().interval == 5


def test_a_dsn_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text(f"{DSN}\n")
    settings = load(written(tmp_path, f"[targets.main]\ndsn_file = '{tmp_path}/dsn'"))
    assert settings.target_list()[0].dsn == DSN


def test_sizes_have_units(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "[limits]\nmax_table_bytes = '2GiB'"))
    assert settings.limits.limits().table_bytes == 2 << 30


@pytest.mark.parametrize(
    "dsn", [DSN, f"postgresql://u@h/d?password={SECRET}", "postgresql://u:s3cr3t%2Dcanary@h/d"]
)
def test_no_secret_gets_out(dsn: str, capfd: pytest.CaptureFixture[str],
                            monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", dsn)
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    settings = load()
    (target,) = settings.target_list()
    shown = (
        repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json(),
        repr(target), masked(settings), *capfd.readouterr(),
    )  # fmt: skip
    assert not any("s3cr3t" in text for text in shown)


def test_what_is_shown_is_a_file_that_says_the_same(tmp_path: Path) -> None:
    settings = load(written(tmp_path, f"interval = 7\n[targets.main]\ndsn = '{DSN}'\n"))
    shown = tomllib.loads(masked(settings))
    assert shown["targets"]["main"]["dsn"] == "postgresql://u:***@h:5432/d"
    assert load(written(tmp_path, masked(settings))).suite == settings.suite
    assert shown["interval"] == 7


def test_the_defaults_as_a_file_are_the_defaults(tmp_path: Path) -> None:
    lines = [
        line.removeprefix("# ")
        for line in commented_defaults().split("## One case of the suite")[0].splitlines()
        if line.startswith("# ") and "…" not in line and not line.startswith("# ingest-canary")
    ]
    assert "interval = 600.0" in lines
    assert load(written(tmp_path, "\n".join(lines))).model_dump() == load().model_dump()


def test_every_setting_is_documented() -> None:
    annotations = [field.annotation for field in Settings.model_fields.values()]
    sections = [found for found in annotations if hasattr(found, "model_fields")]
    undocumented = [
        name
        for section in (Settings, TargetSettings, *sections)
        for name, field in section.model_fields.items()
        if not field.description
        and name not in {"suite", "limits", "detection", "alerts", "store", "web", "log"}
    ]
    assert undocumented == []


def test_the_secret_of_a_shapes_source_is_masked_and_its_form_survives(tmp_path: Path) -> None:
    text = (
        "[suite]\nload = { clients = 2, sql = 'SELECT 1' }\ncases = [{ strategy = 'asyncpg_copy',"
        f" shape = {{ from_table = 'public.t', dsn = '{DSN}', name = 'ours' }} }}]"
    )
    settings = load(written(tmp_path, text))
    assert settings.dsns() == (DSN,)
    shown = masked(settings)
    assert SECRET not in shown + repr(settings)
    assert tomllib.loads(shown)["suite"]["cases"][0]["shape"] == {
        "from_table": "public.t",
        "dsn": DSN.replace(SECRET, "***"),
        "name": "ours",
    }
    assert tomllib.loads(shown)["suite"]["load"] == {"clients": 2, "sql": "SELECT 1"}


def test_a_source_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = '[{"strategy": "orm_bulk", "shape": {"from_table": "public.t"}}]'
    monkeypatch.setenv("INGEST_CANARY_SUITE__CASES", cases)
    monkeypatch.setenv("INGEST_CANARY_SUITE__LOAD__CLIENTS", "3")
    suite = load().suite
    assert isinstance(suite.cases[0].shape, FromTableSettings)
    load_ = suite.load.load()
    assert load_ is not None
    assert str(load_) == "3 clients, as fast as they can: point reads on the shapes"
