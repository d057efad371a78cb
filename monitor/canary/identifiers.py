"""Quoted names, and the mark by which we know what we made."""

from __future__ import annotations

import json
import re

from monitor import __version__
from monitor.sql_text import literal, qualified, quote

__all__ = [
    "PRODUCT",
    "definition_in",
    "is_marked",
    "is_passing",
    "left_out_in",
    "likeness_in",
    "literal",
    "part_mark",
    "qualified",
    "quote",
    "schema_mark",
    "staging_name",
    "table_mark",
]

PRODUCT = "ingest-canary"
_MARK = re.compile(rf"{PRODUCT} \d+\.\d+\.\d+\S* (?:schema|table|type|sequence)\b")
_PASSING = re.compile(rf"{PRODUCT} \S+ table of one command\b")
_PART_OF = re.compile(r', definition [0-9a-f]{12}: part of ("(?:[^"\\]|\\.)*")')
_DEFINITION = re.compile(r"definition ([0-9a-f]{12})")


def staging_name(table: str) -> str:
    """What a table's staging table is called."""
    return f"{table[:54]}:staging"


def schema_mark() -> str:
    """The comment that marks a schema as ours."""
    return f"{PRODUCT} {__version__} schema: made and emptied by {PRODUCT}; keep nothing here"


def table_mark(definition: str, *, passing: bool = False) -> str:
    """The comment that marks a table as ours and tells which definition it was made from.

    A ``passing`` table goes when the command ends that made it.
    """
    kind = "table of one command" if passing else "table"
    return (
        f"{PRODUCT} {__version__} {kind}, definition {definition}: emptied before every round;"
        " keep nothing here"
    )


def part_mark(kind: str, definition: str, of: str, left_out: tuple[str, ...] = ()) -> str:
    """The comment that marks a part of the likeness ``of``: a table, type or sequence.

    That of its table also keeps what had to be left out, so that a later run can tell.
    """
    owner = json.dumps(of, ensure_ascii=False)
    text = f"{PRODUCT} {__version__} {kind}, definition {definition}: part of {owner}"
    return f"{text}; left out: {json.dumps(left_out, ensure_ascii=False)}" if left_out else text


def likeness_in(mark: str) -> str | None:
    """The likeness that a mark says its object is part of."""
    match = _PART_OF.search(mark)
    return str(json.loads(match[1])) if match else None


def left_out_in(mark: str) -> tuple[str, ...]:
    """What a likeness's mark says was left out of it."""
    text = mark.partition("; left out: ")[2]
    return tuple(json.loads(text)) if text else ()


def is_marked(comment: str | None) -> bool:
    """Whether a comment is a mark of ours, of whatever version."""
    return comment is not None and _MARK.match(comment) is not None


def is_passing(comment: str | None) -> bool:
    """Whether a mark of ours says that the table goes when the command ends that made it."""
    return comment is not None and _PASSING.match(comment) is not None


def definition_in(mark: str) -> str | None:
    """The definition hash in a table's mark."""
    match = _DEFINITION.search(mark)
    return match[1] if match else None
