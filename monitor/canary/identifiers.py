"""Quoted names, and the mark by which we know what we made."""

from __future__ import annotations

import re

from monitor import __version__

PRODUCT = "ingest-canary"
_MARK = re.compile(rf"{PRODUCT} \d+\.\d+\.\d+\S* (?:schema|table)\b")
_PASSING = re.compile(rf"{PRODUCT} \S+ table of one command\b")
_DEFINITION = re.compile(r"definition ([0-9a-f]{12})")


def quote(name: str) -> str:
    """The name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Schema and name, both quoted."""
    return f"{quote(schema)}.{quote(name)}"


def literal(text: str) -> str:
    """The text as an SQL string literal, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


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
