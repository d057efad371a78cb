"""A real Alertmanager, told of alerts by Prometheus or by its own interface, and who it calls."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.conftest import missing
from tests.servers import free_port, wait_until

#: The webhooks of the shipped example.
PLACEHOLDERS = ("http://pager.example.org/alerts", "http://chat.example.org/alerts")


@dataclass(frozen=True)
class Call:
    """One notification: who was called, whether anything still fires, and the alerts in it, each
    with status, labels and annotations."""

    receiver: str
    status: str
    alerts: tuple[dict[str, Any], ...] = field(repr=False)

    @property
    def names(self) -> list[str]:
        return sorted(each["labels"]["alertname"] for each in self.alerts)

    @property
    def told(self) -> tuple[str, str, list[str]]:
        return self.receiver, self.status, self.names


class Receiver:
    """Webhooks that remember what they got."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                call = Call(body["receiver"], body["status"], tuple(body["alerts"]))
                receiver.calls.append(call)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Not to the tests' output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def told(self) -> list[tuple[str, str, list[str]]]:
        """Receiver, status and names of the alerts, call by call."""
        return [call.told for call in self.calls]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Alertmanager:
    """The process with a configuration, whose webhooks are those of a receiver."""

    def __init__(self, directory: Path, configuration: str, receiver: Receiver) -> None:
        binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if binary is None:
            missing("Alertmanager is not installed (apt-get install prometheus-alertmanager)")
        for placeholder in PLACEHOLDERS:
            assert placeholder in configuration
            configuration = configuration.replace(placeholder, receiver.url)
        directory.mkdir(exist_ok=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        config = directory / "alertmanager.yaml"
        config.write_text(configuration)
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


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def alerting(directory: Path, configuration: str, receiver: Receiver) -> Iterator[Alertmanager]:
    started = Alertmanager(directory, configuration, receiver)
    try:
        yield started
    finally:
        started.close()
