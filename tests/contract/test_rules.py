"""Rules agree with the daemon's metrics, with one another, with runbooks and dashboards."""

from __future__ import annotations

import json
import re

import promql_parser
import pytest

from monitor.export.metrics import PREFIX
from tests import promql
from tests.contract.exported import (
    CLOSED,
    EXPORTED,
    OF_SCRAPING,
    THRESHOLDS,
)
from tests.contract.rule_files import (
    ALERT_NAMES,
    ALERT_RULES,
    GRAFANA,
    RECORDED,
    RULES,
    RUNBOOKS,
    asked_in_text,
    identity,
)
from tests.contract.test_metrics import GOLDEN

EXPRESSIONS = {identity(rule): [rule["expr"], *asked_in_text(rule)] for rule in RULES}
EVERY = [(name, text) for name, texts in EXPRESSIONS.items() for text in texts]
IDS = [f"{name}-{number}" for name, texts in EXPRESSIONS.items() for number in range(len(texts))]

#: The alerts that issue 6 names.
WANTED = {
    "IngestCanaryThroughputRegression", "IngestCanaryServerSlower", "IngestCanaryCommitSlower",
    "IngestCanaryClientSlower", "IngestCanaryStalls", "IngestCanaryRowsPerCallDropped",
    "IngestCanaryWorkChanged", "IngestCanaryIndexOverheadHigh", "IngestCanaryTargetDown",
    "IngestCanaryRunStale", "IngestCanaryAbsent", "IngestCanaryHostContended",
    "IngestCanarySensitivityLow", "IngestCanaryRunFailures", "IngestCanaryStoreUnavailable",
    "IngestCanaryPausedTooLong",
}  # fmt: skip


def test_the_alerts_are_those_that_were_asked_for() -> None:
    assert set(ALERT_NAMES) == WANTED


@pytest.mark.parametrize(("name", "text"), EVERY, ids=IDS)
def test_each_metric_and_label_exists(name: str, text: str) -> None:
    known: set[str] = set()
    for selector in promql.selectors(text):
        if selector.metric in RECORDED:
            assert selector.metric != name, "a rule that records itself"
            labels = frozenset().union(*EXPORTED.values())
        else:
            assert selector.metric in EXPORTED
            labels = EXPORTED[selector.metric]
        assert selector.values.keys() <= labels | OF_SCRAPING
        known |= labels
        for label, values in selector.values.items():
            if label in CLOSED and values != {"some"}:
                assert values <= CLOSED[label]
    assert promql.grouping_labels(text) <= known | OF_SCRAPING


@pytest.mark.parametrize("rule", RULES, ids=identity)
def test_replicas_are_aggregated_away(rule: dict[str, str]) -> None:
    for selector in promql.selectors(rule["expr"]):
        if selector.metric.startswith(PREFIX) and "absent_over_time" not in selector.calls:
            left_out = [
                set(each.modifier.labels)
                for each in selector.around
                if isinstance(each, promql_parser.AggregateExpr)
                and each.modifier is not None
                and each.modifier.type == promql_parser.AggModifierType.Without
            ]
            assert any({"instance", "pod"} <= labels for labels in left_out), selector.metric


def test_recorded_names_have_level_metric_and_operation() -> None:
    levels = {
        "job",
        "target",
        "target_signal",
        "target_scope",
        "target_outcome",
        "case",
        "case_signal",
    }
    for name in RECORDED:
        level, metric, operation = name.split(":")
        assert level in levels
        assert {metric, f"{metric}_total"} & EXPORTED.keys()
        assert re.fullmatch(r"[a-z_]+(1h|3h|7d)?", operation)


def test_each_recorded_series_is_used_and_recorded_once() -> None:
    used = {s.metric for _, text in EVERY for s in promql.selectors(text)}
    assert used >= RECORDED
    assert len([rule for rule in RULES if "record" in rule]) == len(RECORDED)


# --- thresholds ----------------------------------------------------------------------------------


def thresholds_in(text: str) -> set[str]:
    metrics = (PREFIX + "threshold", f"job:{PREFIX}threshold:max")
    return {
        value
        for selector in promql.selectors(text)
        if selector.metric in metrics
        for value in selector.values.get("name", ())
    }


def test_rules_compare_with_settings_and_with_no_number_of_their_own() -> None:
    for rule in ALERT_RULES:
        # 0.99: fewer rows per call at all, rather than by a rounding.
        assert promql.numbers(rule["expr"]) <= {0, 1, 0.99}, identity(rule)


def test_each_threshold_is_used_and_each_that_is_used_is_known() -> None:
    used = {name for _, text in EVERY for name in thresholds_in(text)}
    drawn = {"regression_floor_ratio"}
    assert used | drawn == THRESHOLDS.keys()
    assert drawn <= set(re.findall(r'threshold\{[^}]*name=\\"(\w+)\\"', dashboards_text()))


def test_the_daemon_exports_each_threshold() -> None:
    names = re.findall(rf'^{PREFIX}threshold{{name="(\w+)"}}', GOLDEN.read_text(), re.MULTILINE)
    assert set(names) == THRESHOLDS.keys()


# --- what people read ----------------------------------------------------------------------------


def dashboards_text() -> str:
    return "".join(path.read_text() for path in (GRAFANA / "dashboards").glob("*.json"))


@pytest.mark.parametrize("rule", ALERT_RULES, ids=identity)
def test_an_alert_has_severity_static_summary_templated_description_and_links(
    rule: dict[str, dict[str, str]],
) -> None:
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    texts = rule["annotations"]
    assert texts.keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in texts["summary"]
    assert re.fullmatch(r"[A-Z].{10,70}\.", texts["summary"])
    assert "{{" in texts["description"]
    assert re.search(r"\.( \{\{- end \}\})?$", texts["description"])
    assert texts["runbook_url"].endswith(f"/grafana/runbooks/{rule['alert']}.md")


def test_a_link_to_a_dashboard_leads_to_one_and_sets_variables_that_it_has() -> None:
    found = [json.loads(p.read_text()) for p in (GRAFANA / "dashboards").glob("*.json")]
    variables = {d["uid"]: {v["name"] for v in d["templating"]["list"]} for d in found}
    for rule in ALERT_RULES:
        path, _, query = rule["annotations"]["dashboard_url"].partition("?")
        assert path.removeprefix("/d/") in variables
        set_here = re.findall(r"var-(\w+)=", query)
        assert set(set_here) <= variables[path.removeprefix("/d/")]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(ALERT_NAMES)
    contents = (RUNBOOKS / "README.md").read_text()
    assert set(re.findall(r"^\| \[(\w+)\]\(\1\.md\)", contents, re.MULTILINE)) == pages


def test_the_list_of_runbooks_has_the_severities_of_the_rules() -> None:
    contents = (RUNBOOKS / "README.md").read_text()
    listed = dict(re.findall(r"^\| \[(\w+)\]\S+ \| ([a-z, ]+) \|", contents, re.MULTILINE))
    for name, severities in listed.items():
        real = [rule["labels"]["severity"] for rule in ALERT_RULES if rule["alert"] == name]
        assert severities == ", ".join(real)


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_a_runbook_has_its_four_parts_and_names_what_exists(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    headings = re.findall(r"^#+ .+", text, re.MULTILINE)
    assert headings == [f"# {name}", "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]
    metrics = EXPORTED.keys() | {name.removesuffix("_bucket") for name in EXPORTED}
    assert set(re.findall(r"\bingest_canary_\w+", text)) <= metrics
    for page in re.findall(r"\]\((\w+\.md)\)", text):
        assert (RUNBOOKS / page).exists()
    panels = {p["title"] for path in (GRAFANA / "dashboards").glob("*.json")
              for p in json.loads(path.read_text())["panels"]}  # fmt: skip
    titles = re.findall(r"\bpanels? \*([^*]+)\*|: \*([^*]+)\*\.", re.sub(r"\s+", " ", text))
    assert {one or two for one, two in titles} <= panels
