"""A Prometheus that scrapes daemons of tests every second and knows our alert rules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.prometheus import Prometheus, program
from tests.contract.rule_files import ALERTS
from tests.servers import free_port, wait_until

_CONFIGURATION = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}/*.rules.yaml]
scrape_configs: [{{job_name: none, file_sd_configs: [{{files: [{targets}/*.json]}}]}}]
"""


class Alarms:
    """What our rules say of the daemons that it scrapes; each daemon is a job of its own."""

    def __init__(self, prometheus: Prometheus, targets: Path) -> None:
        self._prometheus = prometheus
        self._targets = targets

    def watch(self, job: str, address: str) -> None:
        """Scrape a daemon from now on, and no other."""
        for earlier in self._targets.glob("*.json"):
            earlier.unlink()
        text = json.dumps([{"targets": [address], "labels": {"job": job}}])
        unfinished = self._targets / "unfinished"
        unfinished.write_text(text)
        unfinished.rename(self._targets / f"{job}.json")

    def of(self, job: str) -> set[str]:
        """Alerts whose condition holds, in their time of waiting (``for``) or past it."""
        found = self._prometheus.query(f'ALERTS{{job="{job}"}}')
        return {each["metric"]["alertname"] for each in found}


@contextmanager
def alarms(directory: Path) -> Iterator[Alarms | None]:
    """A running Prometheus; None where it is not installed, but in CI."""
    if shutil.which("prometheus") is None and os.environ.get("CI") != "true":
        yield None
        return
    targets = directory / "targets"
    targets.mkdir()
    config = directory / "prometheus.yaml"
    config.write_text(_CONFIGURATION.format(rules=ALERTS, targets=targets))
    address = f"127.0.0.1:{free_port()}"
    command = [
        program("prometheus", "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (directory / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        prometheus = Prometheus(f"http://{address}")
        wait_until(prometheus.ready, "Prometheus answers", 30)
        yield Alarms(prometheus, targets)
    finally:
        process.terminate()
        process.wait(20)
