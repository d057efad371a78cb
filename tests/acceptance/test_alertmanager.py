"""A real Alertmanager with the shipped example: one regression calls once."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.contract.test_alertmanager import EXAMPLE
from tests.servers import free_port, wait_until

Alert = dict[str, dict[str, str] | str]

#: What the detector, probes and counters say of one regression, as Prometheus' rules tell it.
STORY = {
    "IngestCanaryThroughputRegression": "warning",
    "IngestCanaryServerSlower": "info",
    "IngestCanaryCommitSlower": "info",
    "IngestCanaryStalls": "warning",
    "IngestCanaryWorkChanged": "warning",
    "IngestCanaryHostContended": "warning",
}


class Receiver:
    """Webhooks that remember what they got: receiver and names of the alerts, call by call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, list[str]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                names = sorted(each["labels"]["alertname"] for each in body["alerts"])
                receiver.calls.append((body["receiver"], body["status"], names))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Not to the tests' output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Alertmanager:
    """The process, told of alerts by its own interface."""

    def __init__(self, binary: str, directory: Path, receiver: Receiver) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        config = directory / "alertmanager.yaml"
        config.write_text(hurried(EXAMPLE.read_text(), receiver.url))
        self.log = (directory / "log").open("w")
        self.process = subprocess.Popen(
            [binary, f"--config.file={config}", f"--storage.path={directory}",
             f"--web.listen-address={self.url.removeprefix('http://')}",
             "--cluster.listen-address="],
            stdout=self.log, stderr=self.log,
        )  # fmt: skip
        wait_until(self._ready, "Alertmanager answers", 20)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.log.close()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def tell(self, alerts: dict[str, str], **labels: str) -> None:
        """These alerts, by name and severity, fire."""
        now = datetime.now(UTC)
        plain = {"job": "canary", "target": "main", **labels}
        body = [
            {
                "labels": {**plain, "alertname": name, "severity": severity},
                "annotations": {"summary": name},
                "startsAt": now.isoformat(),
                "endsAt": (now + timedelta(hours=1)).isoformat(),
            }
            for name, severity in alerts.items()
        ]
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5):
            pass

    def states(self) -> dict[tuple[str, str], str]:
        """Of every alert, by name and severity: active or suppressed."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:
            found = json.load(answer)
        return {
            (each["labels"]["alertname"], each["labels"]["severity"]): each["status"]["state"]
            for each in found
        }


def hurried(example: str, url: str) -> str:
    """The example as it is, but for the waits and the webhooks."""
    for of_example, here in (
        ("group_wait: 2m", "group_wait: 1s"),
        ("group_interval: 15m", "group_interval: 1s"),
        ("http://pager.example.org/alerts", url),
        ("http://chat.example.org/alerts", url),
    ):
        assert of_example in example
        example = example.replace(of_example, here)
    return example


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def alertmanager(tmp_path: Path, receiver: Receiver) -> Iterator[Alertmanager]:
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if binary is None:
        missing("Alertmanager is not installed (apt-get install prometheus-alertmanager)")
    started = Alertmanager(binary, tmp_path, receiver)
    yield started
    started.close()


def test_one_regression_calls_once_and_a_worse_one_pages_once(
    alertmanager: Alertmanager, receiver: Receiver
) -> None:
    alertmanager.tell(STORY)
    wait_until(lambda: bool(receiver.calls), "a call", 20)
    assert receiver.calls == [("chat", "firing", ["IngestCanaryThroughputRegression"])]
    alertmanager.tell({"IngestCanaryThroughputRegression": "critical"})
    wait_until(lambda: len(receiver.calls) > 1, "a page", 20)
    assert receiver.calls[1:] == [("pager", "firing", ["IngestCanaryThroughputRegression"])]
    states = alertmanager.states()
    assert {key for key, state in states.items() if state == "active"} == {
        ("IngestCanaryThroughputRegression", "critical")
    }
    # Another target is another story: its call is the next one there is.
    alertmanager.tell({"IngestCanaryTargetDown": "critical", "IngestCanaryRunFailures": "warning"},
                      target="other")  # fmt: skip
    wait_until(lambda: len(receiver.calls) > 2, "a page of the other target", 20)
    assert receiver.calls[2:] == [("pager", "firing", ["IngestCanaryTargetDown"])]
