"""Statements that are stored: those of an earlier environment beside those of now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from monitor.cli.explain_text import shortened
from monitor.cli.exploring import say
from monitor.measure.explain import Explained
from monitor.measure.explained import case_as_json, subject_of
from monitor.store.explorations import Exploration

#: Rows per call that differ by less are the same: the last batch is a rest.
_SAME_ROWS = 0.01


def print_changes(explained: Explained, stored: Sequence[Exploration], to: Console) -> None:
    """What each case sends otherwise than in the last environment before this one."""
    say(_changes(explained, stored), to)


def _changes(explained: Explained, stored: Sequence[Exploration]) -> Iterator[str]:
    present = explained.environment
    for each in explained.explanations:
        before = _before(subject_of(each), present.fingerprint, stored)
        if before is None or before.environment is None or not each.sent:
            continue
        when = f"{before.started_at:%Y-%m-%d %H:%M} UTC (environment" \
            f" {before.environment.fingerprint})"  # fmt: skip
        found = list(_differences(before.result, case_as_json(each)))
        yield f"{each.case.key}: {'as' if not found else 'not as'} on {when}"
        yield from (f"  {line}" for line in found)
        if found:
            for difference in before.environment.differences(present)[:5]:
                yield f"  changed since: {difference}"


def _before(subject: str, fingerprint: str, stored: Sequence[Exploration]) -> Exploration | None:
    others = (
        each
        for each in stored
        if each.subject == subject
        and each.environment is not None
        and each.environment.fingerprint != fingerprint
    )
    return next(others, None)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Texts as the server recorded them, or where it does not, as they were sent."""
    part = "recorded" if before["recorded"] and now["recorded"] else "sent"
    old, new = ({_plain(each["sql"]): each for each in case[part]} for case in (before, now))
    yield from (f"no longer {part}: {shortened(text)}" for text in old if text not in new)
    yield from (f"newly {part}: {shortened(text)}" for text in new if text not in old)
    for text in old.keys() & new.keys():
        rows = [each.get("rows_per_call") for each in (old[text], new[text])]
        if None not in rows and abs(rows[1] - rows[0]) > _SAME_ROWS * rows[0]:
            yield f"rows per call {rows[0]:,.0f} → {rows[1]:,.0f}: {shortened(text)}"
    batched = [case["batching"] and case["batching"]["active"] for case in (before, now)]
    if batched[0] != batched[1]:
        yield "batched no longer" if batched[0] else "batched now"


def _plain(text: str) -> str:
    return " ".join(text.split())
