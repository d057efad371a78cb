"""promtool agrees with the rules, and every alert is tried firing, silent and through trouble."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.contract.rule_files import ALERT_NAMES, ALERTS, RULE_FILES, load

TEST_FILES = sorted((ALERTS / "tests").glob("*.test.yaml"))


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        missing("promtool is not installed (apt-get install prometheus)")
    return found


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_promtool_finds_nothing_to_complain_about(promtool: str) -> None:
    done = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name.partition(".")[0])
def test_alert(promtool: str, path: Path) -> None:
    done = run(promtool, "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_would_notice_an_alert_that_does_not_fire(promtool: str, tmp_path: Path) -> None:
    for path in RULE_FILES:
        text = path.read_text().replace("target:ingest_canary_up:max == 0", "vector(1) == 0")
        (tmp_path / path.name).write_text(text)
    tried = load(ALERTS / "tests" / "IngestCanaryTargetDown.test.yaml")
    copy = tmp_path / "tests" / "down.test.yaml"
    copy.parent.mkdir()
    copy.write_text((ALERTS / "tests" / "IngestCanaryTargetDown.test.yaml").read_text())
    assert tried["rule_files"] == ["../recording.rules.yaml", "../alerting.rules.yaml"]
    assert run(promtool, "test", "rules", copy).returncode == 1


def test_each_alert_has_a_file_of_tests() -> None:
    assert [path.name.removesuffix(".test.yaml") for path in TEST_FILES] == ALERT_NAMES


def groups(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = load(ALERTS / "tests" / f"{name}.test.yaml")["tests"]
    return found


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_an_alert_is_tried_in_every_way(name: str) -> None:
    """Its tests' names say what is tried, and there are assertions of both kinds, of this alert."""
    names = " ".join(group["name"] for group in groups(name))
    for way in ("fires", "silent", "recovers", "a missed scrape", "a restarted daemon"):
        assert way in names
    asserted = [each for group in groups(name) for each in group.get("alert_rule_test", ())]
    assert {each["alertname"] for each in asserted} == {name}
    assert any(each["exp_alerts"] for each in asserted)
    assert any(not each["exp_alerts"] for each in asserted)


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_what_is_called_silent_never_fires_and_what_is_said_to_recover_does(name: str) -> None:
    for group in groups(name):
        outcomes = [bool(each["exp_alerts"]) for each in group.get("alert_rule_test", ())]
        if group["name"].startswith("silent") and "fires" not in group["name"]:
            assert not any(outcomes)
        if group["name"].endswith("recovers"):
            assert any(outcomes)
            assert not outcomes[-1]


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_trouble_is_in_the_series_where_a_test_says_so(name: str) -> None:
    """A missed scrape is a stale marker; a restarted daemon a gap, mostly with another instance."""
    for group in groups(name):
        values = [str(each["values"]) for each in group["input_series"]]
        if "missed scrape" in group["name"]:
            assert any("stale" in each for each in values)
        if "restarted daemon" in group["name"]:
            assert any("_x" in each for each in values)
