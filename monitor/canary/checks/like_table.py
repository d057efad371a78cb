"""In what a table of ours differs from the one that it stands for: a finding for each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from monitor.canary.checks.finding import Finding, listed, ok, warning, worst_first
from monitor.canary.checks.profile import Definition

_OF_LIKENESS = "its run says what cannot be copied; for what was changed since, start anew"
_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_NAMES = rf"{_NAME}(?:\.{_NAME})?"
_SIZE = r"(?:\(\d[\d,]*\))?"
#: What a literal is cast to: types of a user's own are called otherwise in our schema.
_CAST = re.compile(
    rf"::{_NAMES}{_SIZE}(?: varying| precision| with(?:out)? time zone)?{_SIZE}(?:\[\])*"
)
#: The parent of a foreign key: ours is a stand-in.
_PARENT = re.compile(rf"REFERENCES {_NAMES}")
#: What a foreign key does when a parent goes, which no insert feels.
_ACTION = re.compile(r" ON (?:DELETE|UPDATE) (?:SET (?:NULL|DEFAULT)(?: \([^)]*\))?|[A-Z]+)")


def table_differences(
    canary: Definition | None, other: Definition, *, likeness: bool = False
) -> tuple[Finding, ...]:
    """In what our table differs from the one that it stands for; ok where in nothing.

    ``likeness``: it was made like the other, so only what cannot be copied should differ.
    """
    if canary is None:
        return (
            warning(
                "like_table",
                f"{other.name} has no counterpart on the canary yet",
                "measure its shape once, or name it: --table NAME=SHAPE",
            ),
        )
    pair = f"{canary.name} / {other.name}"
    differing = (
        ("like_columns", "columns by type", canary.columns, other.columns),
        ("like_index", "indexes", _indexes(canary), _indexes(other)),
        ("like_constraint", "constraints", _constraints(canary), _constraints(other)),
        ("like_trigger", "triggers", canary.triggers, other.triggers),
        ("like_storage", "storage options", _storage(canary), _storage(other)),
    )
    found = [
        replace(finding, remedy=_OF_LIKENESS) if likeness else finding
        for check, what, here, there in differing
        for finding in _lists(check, f"{pair}: {what}", here, there)
    ]
    if not found:
        text = f"{pair}: the same columns, indexes, constraints, triggers and options"
        found.append(ok("like_table", text))
    return worst_first(found)


def _indexes(definition: Definition) -> list[str]:
    """Without their own and their table's names."""
    return [
        ("UNIQUE " if " UNIQUE " in text.partition(" ON ")[0] + " " else "")
        + _CAST.sub("", text.partition(" USING ")[2])
        for text in definition.indexes
    ]


def _constraints(definition: Definition) -> list[str]:
    bare = (_ACTION.sub("", _CAST.sub("", text)) for text in definition.constraints)
    return [_PARENT.sub("REFERENCES …", text) for text in bare]


def _storage(definition: Definition) -> list[str]:
    """Options that shape inserts; autovacuum is off on ours by design."""
    return [option for option in definition.options if "autovacuum" not in option]


def _lists(check: str, what: str, here: Iterable[str], there: Iterable[str]) -> Iterator[Finding]:
    ours, theirs = Counter(here), Counter(there)
    missing, extra = [*(theirs - ours).elements()], [*(ours - theirs).elements()]
    if missing:
        yield warning(
            check,
            f"{what} only in production: {listed(missing)}",
            "give the shape the same",
            missing=len(missing),
        )
    if extra:
        yield warning(
            check,
            f"{what} only on the canary: {listed(extra)}",
            "take them off the shape",
            extra=len(extra),
        )
