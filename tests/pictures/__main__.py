"""``python -m tests.pictures DIRECTORY``: a picture of each dashboard's data."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from grafana.generator.__main__ import BUILDERS
from tests.acceptance.prometheus import open_metrics, program, running
from tests.acceptance.synthetic import Story
from tests.pictures.page import COLUMN, Page
from tests.servers import wait_until

HOURS = 24

#: Height of a picture at the most; what is below is cut off.
MOST_PIXELS = 2100


def main(directory: Path) -> None:
    """Write ``DIRECTORY/dashboard-NAME.png`` for every dashboard."""
    chromium = program("chromium", "chromium")
    now = time.time()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        text = open_metrics(Story(now).series(), now - HOURS * 3600, now, 240)
        with running(place, text) as prometheus:
            wait_until(lambda: bool(prometheus.query("ALERTS")), "the rules are evaluated", 60)
            for name, build in BUILDERS.items():
                end = time.time()
                target = ".+" if name in ("overview", "health") else "main"
                chosen = {"job": ".+", "target": target, "strategy": ".+", "shape": ".+"}
                html, height = Page(prometheus, chosen, (end - HOURS * 3600, end)).html(build())
                page = place / f"{name}.html"
                page.write_text(f'<!doctype html><meta charset="utf-8">{html}')
                picture = directory / f"dashboard-{name}.png"
                size = f"{24 * COLUMN + 40},{min(height, MOST_PIXELS)}"
                subprocess.run(
                    [chromium, "--headless", "--no-sandbox", "--hide-scrollbars",
                     f"--window-size={size}", f"--screenshot={picture}", page],
                    check=True, capture_output=True,
                )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
