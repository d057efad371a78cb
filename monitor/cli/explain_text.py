"""Statements, verdicts and plans, for people and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from monitor.canary.counters import Statement
from monitor.measure.explain import EXPLAIN, Explained, Explanation
from monitor.measure.explained import case_as_json
from monitor.measure.listening import Sent

#: A statement's text that is shown before it is cut, after rows have been left out.
_MOST = 600

_ROW = r"\((?:[^()]|\([^()]*\))*\)"
_ROWS = re.compile(rf"({_ROW})((?:, {_ROW}){{2,}})")


def shortened(text: str) -> str:
    """A statement in one line, of many rows in VALUES only the first, and not too long."""
    line = " ".join(text.split())
    line = _ROWS.sub(_first_row, line)
    return line if len(line) <= _MOST else f"{line[:_MOST]} … ({len(line):,} characters)"


def _first_row(found: re.Match[str]) -> str:
    more = len(re.findall(_ROW, found[2]))
    return f"{found[1]}, … {more:,} more"


def print_explained(explained: Explained, to: Console, *, full: bool) -> None:
    """A paragraph for each case, then what should be known."""
    environment = explained.environment
    to.print(
        f"{explained.target}: PostgreSQL {environment.server_version}, environment"
        f" {environment.fingerprint}",
        markup=False,
    )
    for explanation in explained.explanations:
        to.print()
        to.print(Text(_title(explanation), style="bold"), soft_wrap=True)
        for line in _lines(explanation, full):
            to.print(f"  {line}", soft_wrap=True, markup=False)
    for notice in explained.notices:
        to.print(str(notice), soft_wrap=True, markup=False)


def _title(explanation: Explanation) -> str:
    case = explanation.case
    return f"{case.key}: {case.strategy.label}"


def _lines(explanation: Explanation, full: bool) -> Iterator[str]:
    show = (lambda text: " ".join(text.split())) if full else shortened
    if explanation.batching:
        word = "batched" if explanation.batching.active else "NOT BATCHED"
        yield f"{word}: {explanation.batching.why}"
    for sent in explanation.sent:
        yield f"sent {_how(sent)}"
        yield f"    {show(sent.text)}"
    for statement in explanation.recorded:
        yield f"recorded {_counts(statement)}"
        yield f"    {show(statement.text)}"
    if explanation.plan:
        yield f"{EXPLAIN} of the first, rolled back"
        yield from (f"    {line}" for line in explanation.plan)
    elif explanation.sent and not explanation.failure:
        yield "no plan: EXPLAIN cannot take COPY; the figures above are all there is"
    if explanation.failure:
        yield explanation.failure


def _how(sent: Sent) -> str:
    times = f"{sent.executions:,} ×" if sent.executions != 1 else "once"
    together = ", handed over together" if sent.many and sent.executions > 1 else ""
    tag = f", answered {sent.tag}" if sent.tag else ""
    return f"{times} through {sent.through}{together}{tag}"


def _counts(statement: Statement) -> str:
    work = statement.work
    rows = work.rows / work.calls if work.calls else 0.0
    blocks = work.shared_blks_hit + work.shared_blks_read
    return (
        f"{work.calls:,} calls, {rows:,.0f} rows per call, mean"
        f" {work.seconds / max(work.calls, 1) * 1e3:.3f} ms, WAL {work.wal_bytes:,} bytes,"
        f" {blocks:,} blocks ({work.shared_blks_dirtied:,} dirtied)"
    )


def explained_as_json(explained: Explained) -> dict[str, Any]:
    """The stable form: statements in full."""
    return {
        "target": explained.target,
        "server_version": explained.environment.server_version,
        "fingerprint": explained.environment.fingerprint,
        "wal_bytes": explained.wal_bytes,
        "notices": [asdict(notice) for notice in explained.notices],
        "cases": [case_as_json(explanation) for explanation in explained.explanations],
    }
