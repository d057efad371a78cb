"""The rules in ``grafana/alerts`` as tests read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

GRAFANA = Path(__file__).parents[2] / "grafana"
ALERTS = GRAFANA / "alerts"
RUNBOOKS = GRAFANA / "runbooks"
RULE_FILES = sorted(ALERTS.glob("*.rules.yaml"))

Rule = dict[str, Any]


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text())


def _rules() -> list[Rule]:
    return [r for path in RULE_FILES for group in load(path)["groups"] for r in group["rules"]]


RULES = _rules()
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
ALERT_RULES = [rule for rule in RULES if "alert" in rule]
ALERT_NAMES = sorted({rule["alert"] for rule in ALERT_RULES})


def identity(rule: Rule) -> str:
    """What a rule is called in a test's name."""
    return rule.get("record") or f"{rule['alert']}-{rule['labels']['severity']}"


def asked_in_text(rule: Rule) -> list[str]:
    """The PromQL that an alert's texts ask, with some value for each label of the alert."""
    texts = " ".join(rule.get("annotations", {}).values())
    found = re.findall(r'printf "((?:[^"\\]|\\.)*)"[^|}]*\| query', texts)
    return [each.replace('\\"', '"').replace("%q", '"some"') for each in found]
