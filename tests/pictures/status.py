"""``python -m tests.pictures.status DIRECTORY``: pictures of the status page, light and dark."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.acceptance.browser import chromium, visit
from tests.sites import served, snapshot, tally

SIZE = {"width": 1280, "height": 1640}


def main(directory: Path) -> None:
    """Write ``DIRECTORY/status-page.png`` and ``status-page-dark.png``."""
    with served(snapshot(tally(runs=700, index_at=560))) as url, chromium() as browser:
        for name, scheme in (("status-page", "light"), ("status-page-dark", "dark")):
            with visit(browser, url, color_scheme=scheme, viewport=SIZE) as found:
                found.page.select_option("[name=case]", "asyncpg_copy.orders.20000")
                found.page.wait_for_selector(".charts[data-drawn^='asyncpg_copy.orders.20000']")
                found.page.screenshot(path=directory / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
