"""A real Prometheus: data put into it as of the last hours, our rules, and its answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import missing
from tests.contract.rule_files import ALERTS
from tests.servers import free_port, wait_until

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], Callable[[float], float | None]]


def program(name: str, package: str) -> str:
    """The path of an installed program; without it the test is skipped, or fails in CI."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed (apt-get install {package})")
    return found


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, text: str, at: float | None = None) -> list[dict[str, Any]]:
        """The series of an instant query. Raises AssertionError with Prometheus' own words."""
        return self._ask("query", query=text, time=str(at or time.time()))

    def query_range(self, text: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The series of a range query, times in seconds."""
        return self._ask("query_range", query=text, start=str(start), end=str(end), step=str(step))

    def _ask(self, kind: str, **parameters: str) -> list[dict[str, Any]]:
        body = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{kind}", body, timeout=30) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
                return found
        except urllib.error.HTTPError as error:
            with error:
                words = json.load(error)["error"]
            raise AssertionError(f"{words}: {parameters['query']}") from error

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def open_metrics(series: Series, start: float, end: float, step: float) -> str:
    """Series as functions of time, in the format that promtool puts into a data base; a function
    gives None where there is no sample."""
    lines = []
    times = [start + step * number for number in range(int((end - start) / step) + 1)]
    for (name, labels), value in sorted(series.items(), key=lambda each: each[0][0]):
        plain = ",".join(f'{key}="{text}"' for key, text in sorted(labels))
        for at in times:
            found = value(at)
            if found is not None:
                lines.append(f"{name}{{{plain}}} {found!r} {at:.3f}")
    return "\n".join([*lines, "# EOF", ""])


@contextmanager
def running(directory: Path, text: str) -> Iterator[Prometheus]:
    """Prometheus on a data base with these samples, evaluating our rules every second."""
    metrics = directory / "metrics.txt"
    metrics.write_text(text)
    promtool = program("promtool", "prometheus")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", metrics, directory / "data"],
        check=True, capture_output=True,
    )  # fmt: skip
    rules = f"{ALERTS}/*.rules.yaml"
    with started(
        directory, f"global: {{evaluation_interval: 1s}}\nrule_files: [{rules}]\n"
    ) as prometheus:
        yield prometheus


@contextmanager
def started(directory: Path, configuration: str) -> Iterator[Prometheus]:
    """Prometheus with a configuration, on what lies in ``data`` of a directory."""
    config = directory / "prometheus.yaml"
    config.write_text(configuration)
    address = f"127.0.0.1:{free_port()}"
    with (directory / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [program("prometheus", "prometheus"), f"--config.file={config}",
             f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address={address}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        prometheus = Prometheus(f"http://{address}")
        wait_until(prometheus.ready, "Prometheus answers", 30)
        yield prometheus
    finally:
        process.terminate()
        process.wait(20)
