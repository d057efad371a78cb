"""/metrics of fifty targets with forty cases each: right, clean, and scraped by a real client.

Slow: run by ``make acceptance``; its times are printed, ``make bench`` has them too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from monitor.export.exposition import Exposition
from monitor.export.metrics import TABLE
from tests.acceptance.prometheus import Prometheus, program
from tests.benchmarks.exposition import compare_exposition
from tests.conftest import missing
from tests.crowds import CASES, TARGETS, crowd
from tests.servers import free_port, wait_until
from tests.sites import served, snapshot

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def text() -> str:
    return Exposition().render(snapshot(*crowd())).plain().decode()


def test_promtool_finds_nothing_to_complain_about(text: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool is not installed (apt-get install prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_case_of_every_target_is_there(text: str) -> None:
    rates = re.findall(r"^ingest_canary_rows_per_second\{.*\} ", text, re.MULTILINE)
    assert len(rates) == len(set(rates)) == TARGETS * CASES
    kinds = re.findall(r"^# TYPE ingest_canary_(\w+)", text, re.MULTILINE)
    assert len(kinds) == len(set(kinds)) == len(TABLE) + 1


@pytest.fixture
def scraper(tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the full size every second."""
    with served(snapshot(*crowd())) as url:
        config = tmp_path / "prometheus.yaml"
        config.write_text(
            "scrape_configs: [{job_name: canary, scrape_interval: 1s, static_configs:"
            f" [{{targets: ['{urlsplit(url).netloc}']}}]}}]\n"
        )
        address = f"127.0.0.1:{free_port()}"
        command = [program("prometheus", "prometheus"), f"--config.file={config}",
                   f"--storage.tsdb.path={tmp_path / 'data'}",
                   f"--web.listen-address={address}"]  # fmt: skip
        with (tmp_path / "prometheus.log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Prometheus(f"http://{address}")
        finally:
            process.terminate()
            process.wait(20)


def test_prometheus_takes_all_of_it(scraper: Prometheus, text: str) -> None:
    wait_until(scraper.ready, "Prometheus answers", 30)
    wait_until(lambda: len(durations(scraper)) >= 5, "some scrapes", 60)
    (samples,) = scraper.query('scrape_samples_scraped{job="canary"}')
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert int(samples["value"][1]) == len(lines)
    assert scraper.query("min_over_time(up[1m])")[0]["value"][1] == "1"
    taken = ", ".join(f"{1000 * seconds:.0f}" for seconds in durations(scraper))
    print(f"\n{len(lines):,} series; scrapes by Prometheus, parsing included: {taken} ms")


def durations(scraper: Prometheus) -> list[float]:
    """Seconds of each scrape so far."""
    found = scraper.query('scrape_duration_seconds{job="canary"}[1m]')
    return [float(value) for _, value in found[0]["values"]] if found else []


def test_its_figures() -> None:
    compare_exposition(scrapes=100)
