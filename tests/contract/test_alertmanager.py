"""The Alertmanager example: amtool accepts it, routes go where they should, names agree."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.conftest import missing
from tests.contract.rule_files import ALERT_NAMES, ALERT_RULES, GRAFANA, load

EXAMPLE = GRAFANA / "alertmanager" / "alertmanager.example.yaml"
RECEIVERS = {"critical": "pager", "warning": "chat", "info": "nobody"}


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("amtool")
    if found is None:
        missing("amtool is not installed (apt-get install prometheus-alertmanager)")
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False)


def test_amtool_accepts_the_example() -> None:
    done = amtool("check-config", str(EXAMPLE))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("severity", RECEIVERS)
def test_a_severity_goes_to_its_receiver(severity: str) -> None:
    done = amtool(
        "config", "routes", "test", f"--config.file={EXAMPLE}", "target=main", "job=canary",
        f"alertname={ALERT_NAMES[0]}", f"severity={severity}",
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, RECEIVERS[severity]), done.stderr


def test_what_is_not_ours_is_left_alone() -> None:
    done = amtool(
        "config", "routes", "test", f"--config.file={EXAMPLE}", "alertname=Other", "severity=info"
    )
    assert done.stdout.strip() == "chat"


def named(matchers: list[str]) -> set[str]:
    """The alerts that matchers name, from ``IngestCanary(A|B)`` or a plain name."""
    found: set[str] = set()
    for matcher in matchers:
        for prefix, several in re.findall(
            r'alertname=~?"(IngestCanary\w*)(?:\(([\w|]+)\))?"', matcher
        ):
            found |= {prefix + each for each in several.split("|")} if several else {prefix}
    return found


def test_inhibition_names_alerts_that_exist_and_is_never_mutual() -> None:
    pairs = set()
    for rule in load(EXAMPLE)["inhibit_rules"]:
        sources, targets = named(rule["source_matchers"]), named(rule["target_matchers"])
        assert sources | targets <= set(ALERT_NAMES)
        assert rule["equal"]
        pairs |= {(source, target) for source in sources for target in targets}
    assert pairs
    assert {(target, source) for source, target in pairs} & pairs == set()


def test_each_alert_of_severity_info_is_inhibited_by_the_one_that_tells_the_story() -> None:
    details = {rule["alert"] for rule in ALERT_RULES if rule["labels"]["severity"] == "info"}
    told = [
        named(rule["target_matchers"])
        for rule in load(EXAMPLE)["inhibit_rules"]
        if named(rule["source_matchers"]) == {"IngestCanaryThroughputRegression"}
    ]
    assert details <= set().union(*told)
