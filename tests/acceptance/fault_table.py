"""Faults that were tried, what told of them, and what was left: a table at the end of the session.

A test's fault is a dict among its ``user_properties``, which travel with its reports, so that the
table is whole with several workers too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

PROPERTY = "fault"
_HEADS = ("fault", "told meanwhile", "next run", "of what was reported is kept", "")


class Fault:
    """One line of the table: ``what`` befell, and what a test found out about it."""

    def __init__(self, what: str) -> None:
        self.row = {"what": what, "told": "", "back": "", "kept": ""}

    def told(self, text: str) -> None:
        """What said so while it lasted."""
        self.row["told"] = text

    def back(self, seconds: float) -> None:
        """How long after its end the next run was done, or after its beginning another did it."""
        self.row["back"] = f"{seconds:.1f} s"

    def kept(self, text: str) -> None:
        """What of that which had been reported was found afterwards."""
        self.row["kept"] = text


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Fault:
    """The fault that a test is about, named as the test is."""
    module = Path(request.node.path).stem.removeprefix("test_").replace("_", " ")
    name = request.node.name.removeprefix("test_").replace("_", " ")
    made = Fault(f"{module}: {name}")
    request.node.user_properties.append((PROPERTY, made.row))
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of faults, if there were any."""
    rows = list(_rows(terminalreporter))
    survived = sum(row[4] == "survived" for row in rows)
    if not rows:
        return
    terminalreporter.section("faults")
    tried = len(rows)
    rows.insert(0, _HEADS)
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        terminalreporter.line("  ".join([*cells, row[4]]).rstrip())
    terminalreporter.line(f"{tried} faults tried, {survived} survived")


def _rows(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, str, str, str, str]]:
    failed = {report.nodeid for name in ("failed", "error") for report in reporter.getreports(name)}
    seen: set[str] = set()
    for report in (*reporter.getreports("passed"), *reporter.getreports("failed")):
        for name, row in getattr(report, "user_properties", ()):
            if name == PROPERTY and report.nodeid not in seen:
                seen.add(report.nodeid)
                end = "NOT SURVIVED" if report.nodeid in failed else "survived"
                yield row["what"], row["told"], row["back"], row["kept"], end
