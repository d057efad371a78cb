"""The dashboards keep the rules of grafana/dashboard-linter, and some of their own.

Of the linter's rules these do not apply, and why: ``template-instance-rule`` and
``target-instance-rule``: replicas export the same canary, so every query aggregates the instance
away, and panels about the daemon's processes tell instances apart by legend; ``target-job-rule``
for ALERTS, which has no job where a daemon is absent; ``target-logql-rule`` and
``target-logql-auto-rule``: there are no logs. All others are checked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.models import units

from grafana.generator.__main__ import BUILDERS, DIRECTORY, text_of
from monitor.export.metrics import PREFIX
from tests import promql
from tests.contract.exported import CLOSED, EXPORTED, OF_SCRAPING, THRESHOLDS
from tests.contract.rule_files import ALERT_RULES

Json = dict[str, Any]

DASHBOARDS: dict[str, Json] = {
    name: json.loads((DIRECTORY / f"{name}.json").read_text()) for name in BUILDERS
}
PANELS = [
    (name, panel) for name, found in DASHBOARDS.items() for panel in found["panels"]
    if panel["type"] != "row"
]  # fmt: skip
PANEL_IDS = [f"{name}-{panel['title']}" for name, panel in PANELS]
TARGETS = [(name, panel, target) for name, panel in PANELS for target in panel["targets"]]
TARGET_IDS = [f"{name}-{panel['title']}-{target['refId']}" for name, panel, target in TARGETS]
UNITS = {
    value for name, value in vars(units).items() if isinstance(value, str) and name[0].isupper()
}

#: Metrics that no panel shows, each with the reason.
EXCUSED = {
    "process_max_fds": "of the process, not of the canary",
    "process_open_fds": "of the process, not of the canary",
    "process_virtual_memory_bytes": "resident memory says more",
    "process_start_time_seconds": "shown as annotations",
    "ingest_canary_series_false_alarms_per_month": "the target's sum is shown",
    "ingest_canary_insert_duration_seconds_sum": "quantiles and the heat map say more than a mean",
    "ingest_canary_insert_duration_seconds_count": "the rounds are counted by rounds_total",
}

#: What Prometheus says of alerts itself.
ALERTS = {"ALERTS": frozenset({"alertname", "alertstate", "severity", "target"})}
KNOWN = EXPORTED | ALERTS


def variables(dashboard: Json) -> dict[str, Json]:
    return {each["name"]: each for each in dashboard["templating"]["list"]}


def annotations(dashboard: Json) -> list[Json]:
    return [each for each in dashboard["annotations"]["list"] if not each.get("builtIn")]


def queries() -> Iterator[str]:
    """Every PromQL of every dashboard, but for variables."""
    for _, _, target in TARGETS:
        yield target["expr"]
    for dashboard in DASHBOARDS.values():
        for annotation in annotations(dashboard):
            yield annotation["expr"]


@pytest.mark.parametrize("name", BUILDERS)
def test_the_file_is_what_the_generator_makes(name: str) -> None:
    committed = (DIRECTORY / f"{name}.json").read_text()
    assert committed == text_of(name), "run make dashboards"


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.json")} == BUILDERS.keys()


# --- metrics -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "panel", "target"), TARGETS, ids=TARGET_IDS)
def test_a_query_names_metrics_labels_and_values_that_exist(
    name: str, panel: Json, target: Json
) -> None:
    found = promql.selectors(target["expr"])
    labels = frozenset[str]().union(*(check(selector) for selector in found)) | OF_SCRAPING
    labels |= promql.made_labels(target["expr"])
    assert promql.grouping_labels(target["expr"]) <= labels
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels


def check(selector: promql.Selector) -> frozenset[str]:
    """The metric's labels, after asserting that all that is asked of it exists."""
    labels = KNOWN[selector.metric]
    assert selector.values.keys() <= labels | OF_SCRAPING
    for label, values in selector.values.items():
        assert values <= CLOSED.get(label, values)
        if selector.metric == f"{PREFIX}threshold" and label == "name":
            assert values <= THRESHOLDS.keys()
    return labels


@pytest.mark.parametrize("name", BUILDERS)
def test_annotations_come_from_prometheus_at_the_time_that_the_value_says(name: str) -> None:
    found = annotations(DASHBOARDS[name])
    assert found
    for annotation in found:
        (selector,) = promql.selectors(annotation["expr"])
        labels = check(selector) | OF_SCRAPING
        asked = re.findall(r"\{\{(\w+)\}\}", annotation["titleFormat"])
        assert set(asked) | set(annotation["tagKeys"].split(",")) <= labels
        # Grafana takes the value for milliseconds.
        assert selector.metric.endswith(("_timestamp_seconds", "_time_seconds"))
        assert annotation["expr"].startswith("1000 * ")
        assert annotation["useValueForTime"] is True


def test_each_metric_is_shown_or_excused() -> None:
    shown = {selector.metric for text in queries() for selector in promql.selectors(text)}
    assert EXPORTED.keys() - shown - EXCUSED.keys() == set()
    assert EXCUSED.keys() <= EXPORTED.keys()
    in_panels = {s.metric for _, _, t in TARGETS for s in promql.selectors(t["expr"])}
    assert in_panels & EXCUSED.keys() == set()


# --- what the linter asks ------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILDERS)
def test_variables(name: str) -> None:
    """template-datasource, template-job, template-label-promql, template-on-time-change-reload."""
    found = variables(DASHBOARDS[name])
    assert next(iter(found)) == "datasource"
    assert (found["datasource"]["type"], found["datasource"]["query"]) == (
        "datasource",
        "prometheus",
    )
    assert found["datasource"]["label"] == "Data source"
    assert (found["job"]["label"], found["job"]["multi"], found["job"]["allValue"]) == (
        "Job",
        True,
        ".+",
    )
    assert {"target"} <= found.keys()
    for variable in list(found.values())[1:]:
        assert variable["type"] == "query"
        assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert variable["refresh"] == 2
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert match
        (selector,) = promql.selectors(match[1])
        assert {match[2], *selector.values} <= EXPORTED[selector.metric] | OF_SCRAPING
        assert match[2] == variable["name"]
        earlier = list(found)[: list(found).index(variable["name"])]
        assert set(re.findall(r"\$(\w+)", variable["query"])) <= set(earlier)


@pytest.mark.parametrize("name", BUILDERS)
def test_dashboard(name: str) -> None:
    """uneditable-dashboard; a uid that links can name, tags, a description, links to the others."""
    found = DASHBOARDS[name]
    assert found["editable"] is False
    assert found["uid"] == f"ingest-canary-{name}"
    assert found["tags"] == ["ingest-canary"]
    assert found["description"].endswith(".")
    to_others = [link for link in found["links"] if link["type"] == "dashboards"]
    assert [(link["tags"], link["includeVars"], link["keepTime"]) for link in to_others] == [
        (["ingest-canary"], True, True)
    ]
    runbooks = {rule["annotations"]["runbook_url"].rpartition("/")[0] for rule in ALERT_RULES}
    assert [link["url"] for link in found["links"] if link["type"] == "link"] == [
        f"{base}/README.md" for base in runbooks
    ]


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=PANEL_IDS)
def test_panel(name: str, panel: Json) -> None:
    """panel-datasource, panel-title-description, panel-units, panel-no-targets; thresholds."""
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    assert panel["title"]
    assert re.fullmatch(r"[A-Z].{10,}\.", panel["description"])
    fields = panel["fieldConfig"]
    used = [p["value"] for o in fields["overrides"] for p in o["properties"] if p["id"] == "unit"]
    assert {fields["defaults"]["unit"], *used} <= UNITS
    bounds = [step["value"] for step in fields["defaults"]["thresholds"]["steps"]]
    assert bounds[0] is None
    assert bounds[1:] == sorted(bounds[1:])


@pytest.mark.parametrize(("name", "panel", "target"), TARGETS, ids=TARGET_IDS)
def test_query(name: str, panel: Json, target: Json) -> None:
    """target-promql, target-rate-interval, target-counter-agg, target-job; the choice counts."""
    known = variables(DASHBOARDS[name]).keys() | {"__rate_interval", "__range"}
    assert set(re.findall(r"\$(\w+)", target["expr"])) <= known
    rates = re.findall(r"\brate\([^[]+\[([^\]]+)\]", target["expr"])
    assert set(rates) <= {"$__rate_interval"}
    for selector in promql.selectors(target["expr"]):
        assert selector.metric == "ALERTS" or "job" in selector.values
        if selector.metric.endswith(("_total", "_bucket")):
            assert selector.calls[-1] in {"rate", "increase"}
        for variable in ("target", "strategy", "shape"):
            if variable in variables(DASHBOARDS[name]) and variable in KNOWN[selector.metric]:
                assert variable in selector.values or selector.metric == "ALERTS"


def replicas(selector: promql.Selector) -> bool:
    """Whether several replicas of it remain: neither aggregated away nor told apart."""
    for each in selector.around:
        if not hasattr(each, "modifier") or not hasattr(each, "param"):
            continue
        if each.modifier is None or str(each.modifier.type) == "AggModifierType.By":
            return False
        if {"instance", "pod"} <= set(each.modifier.labels):
            return False
    return True


def test_replicas_do_not_double_what_is_shown() -> None:
    for _, panel, target in TARGETS:
        for selector in promql.selectors(target["expr"]):
            told_apart = "instance" in target["legendFormat"] or panel["title"] == "Daemons"
            assert told_apart or selector.metric == "ALERTS" or not replicas(selector), panel[
                "title"
            ]


# --- layout, links, tables -----------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILDERS)
def test_panels_lie_side_by_side_within_the_grid_and_have_numbers_of_their_own(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, two in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
            or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, two)


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=PANEL_IDS)
def test_links_lead_to_dashboards_and_variables_that_exist(name: str, panel: Json) -> None:
    overrides = panel["fieldConfig"]["overrides"]
    links = [
        link
        for o in overrides
        for p in o["properties"]
        if p["id"] == "links"
        for link in p["value"]
    ]
    for link in links:
        path, _, query = link["url"].partition("?")
        uid = path.removeprefix("/d/ingest-canary-")
        there = variables(DASHBOARDS[uid])
        assert set(re.findall(r"var-(\w+)=", query)) <= there.keys()
        asked = set(re.findall(r"\$\{(\w+):queryparam\}", query))
        assert asked <= variables(DASHBOARDS[name]).keys() & there.keys()


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=PANEL_IDS)
def test_columns_of_a_table_come_from_its_queries(name: str, panel: Json) -> None:
    for step in panel["transformations"]:
        if step["id"] != "organize":
            continue
        labels = frozenset[str]().union(
            *(KNOWN[s.metric] for t in panel["targets"] for s in promql.selectors(t["expr"]))
        )
        letters = [target["refId"] for target in panel["targets"]]
        values = {f"Value #{letter}" for letter in letters} if len(letters) > 1 else {"Value"}
        options = step["options"]
        columns = {*options["indexByName"], *options["renameByName"], *options["excludeByName"]}
        assert columns <= labels | OF_SCRAPING | values | {"Time", "__name__"}
        assert values <= columns
        headings = {options["renameByName"].get(each, each) for each in options["indexByName"]}
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["id"] == "byName":
                assert override["matcher"]["options"] in headings
        for sort in panel["options"]["sortBy"]:
            assert sort["displayName"] in headings
