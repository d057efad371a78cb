"""A real Alertmanager with the shipped example: one regression calls once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.alertmanager import Alertmanager, Receiver, alerting, receiving
from tests.contract.test_alertmanager import EXAMPLE
from tests.servers import wait_until

#: What the detector, probes and counters say of one regression, as Prometheus' rules tell it.
STORY = {
    "IngestCanaryThroughputRegression": "warning",
    "IngestCanaryServerSlower": "info",
    "IngestCanaryCommitSlower": "info",
    "IngestCanaryStalls": "warning",
    "IngestCanaryWorkChanged": "warning",
    "IngestCanaryHostContended": "warning",
}


def hurried(example: str) -> str:
    """The example as it is, but for the waits."""
    for of_example, here in (
        ("group_wait: 2m", "group_wait: 1s"),
        ("group_interval: 15m", "group_interval: 1s"),
    ):
        assert of_example in example
        example = example.replace(of_example, here)
    return example


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def alertmanager(tmp_path: Path, receiver: Receiver) -> Iterator[Alertmanager]:
    with alerting(tmp_path, hurried(EXAMPLE.read_text()), receiver) as started:
        yield started


def test_one_regression_calls_once_and_a_worse_one_pages_once(
    alertmanager: Alertmanager, receiver: Receiver
) -> None:
    alertmanager.tell(STORY)
    wait_until(lambda: bool(receiver.calls), "a call", 20)
    assert receiver.told == [("chat", "firing", ["IngestCanaryThroughputRegression"])]
    alertmanager.tell({"IngestCanaryThroughputRegression": "critical"})
    wait_until(lambda: len(receiver.calls) > 1, "a page", 20)
    assert receiver.told[1:] == [("pager", "firing", ["IngestCanaryThroughputRegression"])]
    states = alertmanager.states()
    assert {key for key, state in states.items() if state == "active"} == {
        ("IngestCanaryThroughputRegression", "critical")
    }
    # Another target is another story: its call is the next one there is.
    alertmanager.tell({"IngestCanaryTargetDown": "critical", "IngestCanaryRunFailures": "warning"},
                      target="other")  # fmt: skip
    wait_until(lambda: len(receiver.calls) > 2, "a page of the other target", 20)
    assert receiver.told[2:] == [("pager", "firing", ["IngestCanaryTargetDown"])]
