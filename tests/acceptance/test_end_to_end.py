"""From a deed to a notification: PostgreSQL, the daemon, Prometheus with our rules, Alertmanager.

Each test begins and ends with nothing firing, and asserts every notification there was meanwhile:
the right one, once, and no other. They share one world and come in this order.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.alertmanager import Call
from tests.acceptance.live import EXAMPLE, Live, live
from tests.acceptance.shortened import INTERVAL, left_out, shortened
from tests.acceptance.test_expressions import EMPTY, chosen
from tests.contract.rule_files import RULE_FILES, RULES, identity
from tests.contract.test_dashboards import DASHBOARDS, TARGET_IDS, TARGETS, annotations
from tests.judging import TABLE
from tests.servers import wait_until

pytestmark = pytest.mark.slow

#: Runs that the detector learns from by default, and one more that is judged.
LEARNING = 25

#: What a quiet canary has no series of, by a part of the metric's name.
NOTHING_YET = {
    "change_point_timestamp": "nothing has changed",
    "environment_changed": "the environment has not changed",
    "regression_info": "nothing has regressed",
    "_regressed": "nothing has regressed",
    "ALERTS": "nothing fires",
    "canary_sweep_": "no sweep was made",
    "round_failures_total": "no round has failed",
    "runs_skipped_total": "no run was skipped",
    "expected_false_alarms": "is known some runs after the learning ones",
}

#: Seconds in which an alert must come or go: some thirty runs.
SOON = 30 * INTERVAL


@pytest.fixture(scope="module")
def world(pg_bin: Path) -> Iterator[Live]:
    root = Path(tempfile.mkdtemp(prefix="canary-live-", dir="/tmp"))
    root.chmod(0o755)
    try:
        with live(pg_bin, root) as started:
            yield started
    finally:
        shutil.rmtree(root)


def firing(world: Live) -> set[tuple[str, str]]:
    """Alerts that fire, by name and severity, as Prometheus says."""
    found = world.prometheus.query('ALERTS{alertstate="firing"}')
    return {(each["metric"]["alertname"], each["metric"]["severity"]) for each in found}


def told(world: Live, deed: Callable[[], object], undo: Callable[[], object]) -> list[Call]:
    """All notifications of something done and undone, once nothing fires any more."""
    assert firing(world) == set()
    before = len(world.receiver.calls)
    began = time.monotonic()
    deed()

    def calls() -> list[Call]:
        return world.receiver.calls[before:]

    try:
        wait_until(lambda: bool(calls()), f"a call; firing {firing(world)}", SOON)
        after = time.monotonic() - began
        # A second one, of another alert or signal, would come within some runs.
        deadline = time.monotonic() + 4 * INTERVAL
        wait_until(lambda: time.monotonic() > deadline, "some runs more", 5 * INTERVAL)
    finally:
        undo()
    undone = time.monotonic()
    wait_until(lambda: calls()[-1].status == "resolved", "all resolved", SOON)
    gone = time.monotonic() - undone
    wait_until(lambda: firing(world) == set(), "nothing fires", SOON)
    deadline = time.monotonic() + 4 * INTERVAL
    wait_until(lambda: time.monotonic() > deadline, "some runs more", 5 * INTERVAL)
    print(f"\ntold after {after / INTERVAL:.1f} intervals, resolved after {gone / INTERVAL:.1f}")
    for call in calls():
        print(call.receiver, call.status, [text(each) for each in call.alerts])
    return calls()


def text(alert: dict[str, Any]) -> str:
    texts = alert["annotations"]
    return f"{alert['labels']} {texts['summary']} {texts['description']}"


def assert_once(calls: list[Call], receiver: str, name: str, severity: str) -> dict[str, Any]:
    """One notification that it fires, one that it is over, nothing else; returns the alert."""
    alert = calls[0].alerts[0]
    # Prometheus says for a quarter of an hour of what is over that it is, and Alertmanager tells it
    # with the rest of the target: nobody is called for it.
    told = [
        (call.receiver, call.status, [each["labels"]["alertname"] for each in call.alerts
                                      if each["status"] == "firing"
                                      or each["endsAt"] > alert["startsAt"]])
        for call in calls
    ]  # fmt: skip
    assert told == [(receiver, "firing", [name]), (receiver, "resolved", [name])], told
    assert alert["labels"]["severity"] == severity
    assert alert["labels"]["job"] == "ingest-canary"
    assert alert["annotations"]["runbook_url"].endswith(f"/{name}.md")
    return alert


def test_only_durations_are_others() -> None:
    for path in (*RULE_FILES, EXAMPLE):
        original = path.read_text()
        assert shortened(original) != original
        assert left_out(shortened(original)) == left_out(original)


def test_nothing_is_told_while_nothing_happens(world: Live) -> None:
    world.daemon.wait_for_metric("runs_total", LEARNING, seconds=60 * INTERVAL, outcome="ok")
    wait_until(lambda: world.daemon.metric("verdict", state="learning") == 0, "learned", SOON)
    assert world.receiver.told == []
    assert firing(world) == set()


def test_every_expression_finds_series_where_nothing_happens(world: Live) -> None:
    """But for what would be wrong to be there, each with the reason."""
    expressions = {identity(rule): rule["expr"] for rule in RULES}
    for (name, _, target), title in zip(TARGETS, TARGET_IDS, strict=True):
        expressions[title] = chosen(target["expr"], name)
    for name, dashboard in DASHBOARDS.items():
        for each in annotations(dashboard):
            expressions[f"{name}: {each['name']}"] = chosen(each["expr"], name)
    empty = {name for name, text in expressions.items() if not world.prometheus.query(text)}
    reasons = {name: reason(name, expressions[name]) for name in empty}
    print(f"\n{len(expressions)} expressions, {len(empty)} of them without series:")
    for name, why in sorted(reasons.items()):
        print(f"  {name}: {why}")
    assert [name for name, why in reasons.items() if why is None] == []


def reason(name: str, expression: str) -> str | None:
    """Why an expression finds nothing as long as nothing happens."""
    if name.startswith("IngestCanary"):
        return "an alert, and nothing is wrong"
    known = (text for part, text in NOTHING_YET.items() if part in expression)
    return EMPTY.get(name) or next(known, None)


def test_an_index_is_one_notification_and_its_removal_another(world: Live) -> None:
    calls = told(
        world,
        lambda: world.canary.sql(f"CREATE INDEX added ON {TABLE} (customer_id)"),
        lambda: world.canary.sql("DROP INDEX ingest_canary.added"),
    )
    alert = assert_once(calls, "chat", "IngestCanaryThroughputRegression", "warning")
    assert alert["labels"]["target"] == "main"
    assert "strategy" not in alert["labels"]
    said = alert["annotations"]["description"]
    for part in ("target main", "fewer rows per second", "since 20", "server, cause index"):
        assert part in said, said


def test_a_canary_that_is_down_is_told_as_that_and_nothing_else(world: Live) -> None:
    calls = told(world, world.canary.stop, world.canary.start)
    alert = assert_once(calls, "pager", "IngestCanaryTargetDown", "critical")
    assert alert["labels"]["target"] == "main"


def test_runs_that_are_refused_are_told_with_the_reason(world: Live) -> None:
    calls = told(
        world,
        lambda: world.canary.sql("CREATE TABLE ingest_canary.somebodys (id integer)"),
        lambda: world.canary.sql("DROP TABLE ingest_canary.somebodys"),
    )
    alert = assert_once(calls, "chat", "IngestCanaryRunFailures", "warning")
    assert "(refused)" in alert["annotations"]["description"]


def test_a_daemon_that_is_gone_is_told_as_absent(world: Live) -> None:
    calls = told(world, world.stop_daemon, world.start_daemon)
    alert = assert_once(calls, "pager", "IngestCanaryAbsent", "critical")
    assert "job ingest-canary" in alert["annotations"]["description"]


def test_a_store_that_is_down_is_told_and_what_waited_comes_in(world: Live) -> None:
    calls = told(world, world.store.stop, world.store.start)
    alert = assert_once(calls, "chat", "IngestCanaryStoreUnavailable", "warning")
    assert "samples wait" in alert["annotations"]["description"]
    assert world.daemon.metric("store_dropped_samples_total") == 0
    assert world.daemon.metric("store_spooled_samples") == 0
