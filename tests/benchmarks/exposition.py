"""What it costs to publish and to scrape /metrics of fifty targets with forty cases each."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from statistics import median, quantiles
from time import perf_counter, thread_time
from typing import Any
from urllib.parse import urlsplit

from monitor.export.exposition import Exposition
from monitor.export.site import Site
from tests.crowds import CASES, TARGETS, crowd
from tests.sites import served, snapshot

GOAL_MILLISECONDS = 50


def compare_exposition(scrapes: int) -> None:
    """Print CPU time of publishing, and time and bytes of scrapes by another process."""
    tallies = crowd()
    exposition, site = Exposition(), Site()
    site.contents(snapshot(*tallies))
    print(f"\n/metrics of {TARGETS} targets with {CASES} cases each")
    _, milliseconds = _timed(lambda: exposition.render(snapshot(*tallies)))
    print(f"  all rendered, once at the start{milliseconds:31,.0f} ms of CPU")
    costs: dict[str, list[float]] = {"after one target's run": [], "after one ping": []}
    for number, changed in enumerate(tallies[:20]):
        changed.round_trip_seconds = 1e-4 + number / 1e6
        costs["after one ping"].append(_timed(lambda: exposition.render(snapshot(*tallies)))[1])
        assert changed.last_run and changed.judgement
        run = replace(changed.last_run, id=f"{number:032x}")
        changed.make_last(run, replace(changed.judgement))
        changed.count(run)
        cost = _timed(lambda: exposition.render(snapshot(*tallies)))[1]
        costs["after one target's run"].append(cost)
    for what, milliseconds_of in costs.items():
        print(f"  {what:40}{median(milliseconds_of):22,.0f} ms of CPU, median")
    with served(snapshot(*tallies)) as url:
        for encoding in ("gzip", "identity"):
            with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
                size, seconds = elsewhere.submit(_scrapes, url, encoding, scrapes).result()
            _print_scrapes(encoding, size, seconds)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    since = thread_time()
    found = work()
    return found, 1000 * (thread_time() - since)


def _scrapes(url: str, encoding: str, count: int) -> tuple[int, list[float]]:
    """Bytes of a scrape, and seconds of each, on one connection as a scraper keeps it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    seconds, size = [], 0
    for _ in range(count):
        since = perf_counter()
        connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
        size = len(connection.getresponse().read())
        seconds.append(perf_counter() - since)
    connection.close()
    return size, seconds


def _print_scrapes(encoding: str, size: int, seconds: Sequence[float]) -> None:
    middle, last = 1000 * median(seconds), 1000 * quantiles(seconds, n=100)[-1]
    verdict = "ok" if last <= GOAL_MILLISECONDS else "MISSED"
    print(
        f"  scrape, {encoding:8} {size / 1e6:5.2f} MB{middle:12.1f} ms median,"
        f" {last:.1f} ms 99 %  goal ≤ {GOAL_MILLISECONDS} ms  {verdict}"
    )
