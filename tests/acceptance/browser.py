"""A headless Chromium, and what a page told it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.conftest import missing

#: Nothing of this is asked from anywhere but the pages.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Where pictures are kept for people to look at, if they say where.
PICTURES = os.environ.get("INGEST_CANARY_TEST_PICTURES")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; without it the test is skipped, or fails in CI."""
    path = shutil.which("chromium")
    if path is None:
        missing("chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """An open page and all that went wrong or was asked for on it."""

    page: Page
    problems: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def picture(self, name: str) -> None:
        """Keep what the whole page looks like."""
        if PICTURES:
            self.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


@contextmanager
def visit(browser: Browser, url: str, **options: Any) -> Iterator[Visit]:
    """Open a page in a context of its own, with options of Playwright's ``new_context``."""
    context = browser.new_context(**options)
    try:
        found = Visit(context.new_page())
        found.page.on("console", lambda said: _note(found, said.type, said.text))
        found.page.on("pageerror", lambda error: found.problems.append(str(error)))
        found.page.on("request", lambda request: _asked(found, request))
        found.page.on("response", lambda answer: _answered(found, answer.status, answer.url))
        found.page.goto(url)
        yield found
    finally:
        context.close()


def _note(visit: Visit, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        visit.problems.append(f"{kind}: {text}")


def _asked(visit: Visit, request: Request) -> None:
    visit.asked.append(request.url)


def _answered(visit: Visit, status: int, url: str) -> None:
    if status >= 400:
        visit.problems.append(f"{status} {url}")
