"""``python -m tests.pictures.status DIRECTORY``: pictures of the status page on a live regression.

A daemon measures a private server every few seconds; its table is given an index; once that is
told, the page is photographed, light and dark. It takes some eight minutes, in which the machine
should have nothing else to do. INGEST_CANARY_TEST_PICTURES names a directory for whole pages, on a
phone too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
from playwright.sync_api import Browser

from monitor.canary.embedded import PrivateServer
from tests.acceptance.browser import chromium, visit
from tests.acceptance.process import Daemon, call
from tests.servers import wait_until

#: A suite that takes some three seconds, with the cases and the method of the default one.
SUITE = {"INGEST_CANARY_SUITE__ROWS": "8000", "INGEST_CANARY_SUITE__ROUNDS": "5"}
INTERVAL = "6s"
#: Runs before there is an index, and after.
RUNS_BEFORE, RUNS_AFTER = 40, 16
INDEX = "CREATE INDEX orders_customer_id_idx ON ingest_canary.orders (customer_id)"
SWEEP = ("sweep", "--values", "100,500,1k,2k,5k,10k", "--rows", "20000")
SECONDS = 600

WIDE, PHONE = {"width": 1280, "height": 1640}, {"width": 390, "height": 844}
COPY = "asyncpg_copy.orders.8000"


def main(directory: Path) -> None:
    """Write ``DIRECTORY/status-page.png`` and ``status-page-dark.png``."""
    with tempfile.TemporaryDirectory(prefix="canary-picture-", dir="/tmp") as temporary:
        place = Path(temporary)
        place.chmod(0o755)  # the private server may be another user's
        with PrivateServer(place) as server:
            own = {"INGEST_CANARY_TARGETS__MAIN__DSN": server.dsn, **SUITE}
            for _ in range(2):
                print(call(place, *SWEEP, extra=own).stdout)
            with Daemon(place, "--interval", INTERVAL, extra=own) as daemon:
                daemon.wait_for_metric("runs_total", RUNS_BEFORE, SECONDS, outcome="ok")
                asyncio.run(_do(server.dsn, INDEX))
                so_far = daemon.metric("runs_total", outcome="ok") or 0
                daemon.wait_for_metric("runs_total", so_far + RUNS_AFTER, SECONDS, outcome="ok")
                wait_until(lambda: bool(_standing(daemon)), "the regression to be told", SECONDS)
                for each in _standing(daemon):
                    print(each["sentence"])
                _photograph(daemon, directory)
                daemon.stop()


async def _do(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(sql)
    await connection.close()


def _standing(daemon: Daemon) -> list[dict[str, Any]]:
    _, body = daemon.get("/api/v1/targets/main")
    found: list[dict[str, Any]] = json.loads(body)["open_changes"]
    return [each for each in found if each["alarming"]]


def _photograph(daemon: Daemon, directory: Path) -> None:
    url = daemon.wait_for_log(r"serving (http://[\d.:]+)/")[1]
    with chromium() as browser:
        for scheme, name in (("light", "status-page"), ("dark", "status-page-dark")):
            _one(browser, url, scheme, directory / f"{name}.png")
            for size in (WIDE, PHONE):
                with visit(browser, f"{url}/targets/main", color_scheme=scheme,
                           viewport=size) as found:  # fmt: skip
                    found.page.wait_for_selector(".charts[data-drawn]")
                    found.picture(f"live-{scheme}-{size['width']}")
                    print(found.problems)


def _one(browser: Browser, url: str, scheme: Any, path: Path) -> None:
    with visit(browser, url, color_scheme=scheme, viewport=WIDE) as found:
        found.page.select_option("[name=case]", COPY)
        found.page.wait_for_selector(f".charts[data-drawn^='{COPY}']")
        found.page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
