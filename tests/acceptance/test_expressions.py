"""A real Prometheus runs every expression of every rule, panel, annotation and variable.

On made-up data that has every metric there is, from two replicas: what is empty here joins what
never meets, and what cannot be joined is an error that no parser sees.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.prometheus import Prometheus, open_metrics, running
from tests.acceptance.synthetic import Story
from tests.contract.exported import EXPORTED
from tests.contract.rule_files import RULES, asked_in_text, identity
from tests.contract.test_dashboards import (
    DASHBOARDS,
    PANELS,
    TARGET_IDS,
    TARGETS,
    annotations,
    variables,
)
from tests.servers import wait_until

#: How far back the data goes, and seconds between samples; Prometheus looks back five minutes.
HOURS, STEP = 4, 240

#: Alerts that are silent in this story, each with the reason.
SILENT = {
    "IngestCanaryThroughputRegression-critical": "a quarter less is not half",
    "IngestCanaryCommitSlower-info": "commits are as ever",
    "IngestCanaryClientSlower-info": "the client is as ever",
    "IngestCanaryStalls-warning": "all rounds are slower alike",
    "IngestCanaryRowsPerCallDropped-warning": "statements are as large as ever",
    "IngestCanaryIndexOverheadHigh-warning": "the index costs 25 %",
    "IngestCanaryTargetDown-critical": "the targets answer",
    "IngestCanaryRunStale-warning": "runs are made",
    "IngestCanaryRunFailures-warning": "runs succeed",
    "IngestCanaryPausedTooLong-warning": "nothing is paused",
    "IngestCanaryAbsent-critical": "the daemon is there",
    "IngestCanaryHostContended-warning": "the host is calm",
    "IngestCanarySensitivityLow-warning": "measurements are steady",
    "IngestCanaryStoreUnavailable-warning": "the store takes all",
}

#: Recorded series and texts that are empty here for a reason.
EMPTY = {
    "case:ingest_canary_rows_per_second_fast:min_drop_ratio1h": "needs an hour of recorded series",
    "case:ingest_canary_rows_per_second:min_spread_ratio1h": "needs an hour of recorded series",
    "case:ingest_canary_rounds:failed3h": "each case has good rounds",
    "target:ingest_canary_up:down_timestamp": "the targets answer",
    "case:ingest_canary_rows_per_call:max7d": "needs a full hour among recorded series",
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    now = time.time()
    # Not beyond now: Prometheus takes no sample of its rules that is older than what it has.
    text = open_metrics(Story(now).series(), now - HOURS * 3600, now, STEP)
    with running(tmp_path_factory.mktemp("prometheus"), text) as started:
        firing = 'ALERTS{alertname="IngestCanaryThroughputRegression",alertstate="firing"}'
        wait_until(lambda: bool(started.query(firing)), "the rules are evaluated", 20)
        yield started


def test_the_made_up_data_has_every_metric_with_its_labels() -> None:
    found: dict[str, set[str]] = {}
    for name, labels in Story(0).series():
        found.setdefault(name, set()).update(key for key, _ in labels)
    own = {name: labels - {"job", "instance"} for name, labels in found.items()}
    assert {name: own.get(name) for name in EXPORTED} == {
        name: set(labels) for name, labels in EXPORTED.items()
    }


@pytest.mark.parametrize("rule", RULES, ids=identity)
def test_rule(prometheus: Prometheus, rule: dict[str, str]) -> None:
    empty = {**SILENT, **EMPTY}
    assert bool(prometheus.query(rule["expr"])) is (identity(rule) not in empty)
    for question in asked_in_text(rule):
        prometheus.query(question)


def test_what_is_said_to_be_empty_or_silent_is_a_rule() -> None:
    assert {*SILENT, *EMPTY} <= {identity(rule) for rule in RULES}


def chosen(expression: str, dashboard: str) -> str:
    """With the variables' values that a user would have chosen, and Grafana's durations."""
    expression = re.sub(r"\$__(rate_interval|interval|range)\b", "1h", expression)
    for name in variables(DASHBOARDS[dashboard]):
        expression = expression.replace(f"${name}", "main" if name == "target" else ".+")
    assert "$" not in expression
    return expression


@pytest.mark.parametrize(("name", "panel", "target"), TARGETS, ids=TARGET_IDS)
def test_query_of_a_panel(
    prometheus: Prometheus, name: str, panel: dict[str, str], target: dict[str, str]
) -> None:
    assert prometheus.query(chosen(target["expr"], name))


MERGED = [(name, panel) for name, panel in PANELS if len(panel["targets"]) > 1
          and panel["type"] == "table"]  # fmt: skip


@pytest.mark.parametrize(("name", "panel"), MERGED, ids=[panel["title"] for _, panel in MERGED])
def test_rows_of_a_table_have_the_same_labels_in_every_query(
    prometheus: Prometheus, name: str, panel: dict[str, Any]
) -> None:
    """Else Grafana puts them under one another instead of side by side."""
    labels = {
        frozenset().union(*(s["metric"] for s in prometheus.query(chosen(target["expr"], name))))
        for target in panel["targets"]
    }
    assert len(labels) == 1


@pytest.mark.parametrize("name", DASHBOARDS)
def test_annotations_and_variables(prometheus: Prometheus, name: str) -> None:
    for annotation in annotations(DASHBOARDS[name]):
        series = prometheus.query(chosen(annotation["expr"], name))
        assert series
        for each in series:
            milliseconds = float(each["value"][1])
            assert abs(milliseconds / 1000 - time.time()) < 300 * 86_400
    for variable in list(variables(DASHBOARDS[name]).values())[1:]:
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert match
        values = {each["metric"][match[2]] for each in prometheus.query(chosen(match[1], name))}
        assert values - {""}


def test_the_story_is_told_once(prometheus: Prometheus) -> None:
    """An index on one of two targets, seen by two replicas, on seven cases and three signals."""
    alerts = prometheus.query('ALERTS{alertstate="firing"}')
    told = {
        (a["metric"]["alertname"], a["metric"]["target"], a["metric"]["severity"]) for a in alerts
    }
    assert len(alerts) == len(told)
    assert told == {
        ("IngestCanaryThroughputRegression", "main", "warning"),
        ("IngestCanaryServerSlower", "main", "info"),
    }
