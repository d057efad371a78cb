"""The status page as people see it: in a real browser, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from monitor.export.curve import Point
from tests.acceptance.browser import Visit, chromium, visit
from tests.builders import AT
from tests.sites import cases, served, snapshot, tally
from tests.sweeps import LEVELS, several

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
DRAWN = ".charts[data-drawn]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def one_target() -> Iterator[str]:
    """A site with one target that stands in a regression, and was swept."""
    own = tally()
    own.past.set_sweeps(several())
    with served(snapshot(own)) as url:
        yield url


@pytest.fixture(scope="module")
def two_targets() -> Iterator[str]:
    with served(snapshot(tally("billing"), tally("orders", 20, None))) as url:
        yield url


def violations(found: Visit) -> list[tuple[str, str, list[str]]]:
    """What axe finds wrong, of whatever weight: rule, weight, where."""
    results = Axe().run(found.page).response["violations"]
    return [
        (each["id"], each["impact"], [node["html"][:200] for node in each["nodes"]])
        for each in results
    ]


def overflows(found: Visit) -> bool:
    """Whether the page is wider than the screen, and so must be moved sideways."""
    width = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(found.page.evaluate(width))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_is_drawn_without_errors_and_axe_finds_nothing(
    browser: Browser, one_target: str, scheme: Any, size: Any
) -> None:
    with visit(browser, one_target, color_scheme=scheme, viewport=size) as found:
        found.page.wait_for_selector(DRAWN)
        for summary in found.page.query_selector_all("summary"):
            summary.click()
        found.picture(f"target-{scheme}-{size['width']}")
        assert violations(found) == []
        assert not overflows(found)
        assert found.page.locator(".chart canvas").count() == 2
        assert found.problems == []
        assert all(url.startswith(one_target) for url in found.asked), found.asked


def test_it_tells_regression_cause_and_command_in_words(browser: Browser, one_target: str) -> None:
    with visit(browser, one_target) as found:
        told = found.page.inner_text("[data-live=standing]")
        assert "server +31 %" in told
        assert "Cause: index added on ingest_canary.orders(customer_id)" in told
        found.page.click("[data-live=standing] summary")
        assert "ingest-canary accept c0ffee000001" in found.page.inner_text("[data-live=standing]")
        assert "recovered" in found.page.inner_text("[data-live=ended]")
        assert "no end within 30 s <of the round>" in found.page.inner_text("[data-live=runs]")


def test_without_javascript_all_but_the_charts_is_there(browser: Browser, one_target: str) -> None:
    with visit(browser, one_target, java_script_enabled=False) as found:
        assert found.page.locator("[data-live=strategies] tbody tr").count() == len(cases())
        assert found.page.locator("svg.spark polyline").count() == len(cases())
        assert found.page.locator("noscript").is_visible()
        newest = found.page.locator(".sweep").first
        assert newest.locator("tbody tr").count() == len(LEVELS)
        assert newest.locator("svg.curves polyline:not(.leader)").count() == len(LEVELS)
        assert found.page.locator(".controls").is_hidden()
        found.picture("without-javascript")


def test_another_case_and_another_span_are_drawn(browser: Browser, one_target: str) -> None:
    with visit(browser, one_target) as found:
        found.page.wait_for_selector(DRAWN)
        found.page.select_option("[name=case]", "orm_bulk.orders.20000")
        found.page.wait_for_selector(".charts[data-drawn^='orm_bulk.orders.20000 160']")
        found.page.check("[name=span][value='86400']")
        shown = "document.querySelectorAll('.chart canvas').length"
        assert found.page.evaluate(shown) == 2
        assert found.problems == []


def test_the_cursor_tells_the_values_under_it(browser: Browser, one_target: str) -> None:
    with visit(browser, one_target) as found:
        found.page.wait_for_selector(DRAWN)
        found.page.hover("[data-chart=rates] .u-over")
        legend = found.page.inner_text("[data-chart=rates] .u-legend")
        assert "rows/s" in legend
        assert " k" in legend


def test_targets_are_listed_with_links_to_their_pages(browser: Browser, two_targets: str) -> None:
    with visit(browser, two_targets) as found:
        assert violations(found) == []
        found.page.click("text=billing >> nth=-1")
        found.page.wait_for_selector(DRAWN)
        assert found.page.url == f"{two_targets}/targets/billing"
        assert found.page.inner_text("h1").startswith("billing")
        assert found.problems == []


@pytest.mark.parametrize("name", ["none", "a%2Fb", "%3Cscript%3Ealert(1)", "%F0%9F%90%A4%20%26"])
def test_what_is_not_there_is_a_page_that_leads_back(
    browser: Browser, two_targets: str, name: str
) -> None:
    with visit(browser, f"{two_targets}/targets/{name}") as found:
        assert found.page.inner_text("h1") == "There is no such page"
        assert "alert" not in found.page.inner_html("main")
        assert violations(found) == []
        missing, *others = found.problems
        assert missing.startswith("404")
        assert all("404" in each for each in others), "style and scripts are there"
        found.page.click("main a")
        assert found.page.url == f"{two_targets}/"


@pytest.mark.slow
def test_fifty_targets_stay_readable(browser: Browser) -> None:
    tallies = [tally(f"database-{n:02}", 8, 1 if n % 9 == 0 else None, n) for n in range(50)]
    with served(snapshot(*tallies)) as url:
        for scheme, size in (("light", WIDE), ("dark", PHONE)):
            with visit(browser, url, color_scheme=scheme, viewport=size) as found:
                found.picture(f"fifty-{scheme}-{size['width']}")
                assert found.page.locator("#main table.wide tbody tr").count() == 50
                assert violations(found) == []
                assert not overflows(found)
                assert found.problems == []


@pytest.mark.slow
def test_ten_thousand_points_are_drawn_in_less_than_a_second(browser: Browser) -> None:
    own = tally(runs=1, index_at=None, suite=cases()[-1:])
    rate, first = 546_000.0, AT.timestamp() - 10_020 * 60
    points = [
        Point(first + 60 * n, 1, rate + n % 97 * 100, rate - 5000, rate + 15_000, rate + 14_000,
              rate, 0.6e-6 + n % 89 * 1e-9, 1.3e-6, 2e-7, 1e-7, 0.6e-6, 1.3e-6, 2e-7)
        for n in range(9_999)
    ]  # fmt: skip
    own.past.add_older(cases()[-1].key, points)
    with served(snapshot(own)) as url, visit(browser, url, viewport=WIDE) as found:
        found.page.check("[name=span][value='0']")
        found.page.wait_for_selector(".charts[data-drawn$=' 10000']")
        milliseconds = found.page.evaluate(
            """async () => {
                const section = document.querySelector('.charts'), began = performance.now();
                delete section.dataset.drawn;
                section.querySelector('[name=case]').dispatchEvent(new Event('change'));
                while (!section.dataset.drawn) await new Promise(requestAnimationFrame);
                await new Promise(requestAnimationFrame);
                return performance.now() - began;
            }"""
        )
        print(f"\n10,000 points in two charts, fetched and drawn: {milliseconds:.0f} ms")
        found.picture("ten-thousand-points")
        assert found.problems == []
