"""Rows as lines of CSV and back, exactly: PostgreSQL's dialect, in which NULL is not empty text.

The standard library's ``csv`` tells the two apart from Python 3.12 on only, and when writing only.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from monitor.store.transfer.layout import Column, Table, Type

#: A field as it stands there, and what ends it.
_FIELD = re.compile(r'("[^"]*(?:""[^"]*)*"|[^",\n]*)[,\n]')


def line_of(values: Iterable[str]) -> str:
    """A line of fields that are encoded already."""
    return ",".join(values) + "\n"


def encoded(table: Table, row: Iterable[Any]) -> list[str]:
    """A row's values, in the order of the table's columns, as fields."""
    return [
        "" if value is None else _ENCODE[column.type](value)
        for column, value in zip(table.columns, row, strict=True)
    ]


def header_line(table: Table) -> str:
    """The first line: the columns' names."""
    return line_of(table.header)


def rows_of(table: Table, lines: Iterable[str]) -> Iterator[list[Any]]:
    """The rows that lines hold, the header row left out. Raises ValueError, naming the row."""
    decoders = [_decoder(column) for column in table.columns]
    records = _records(lines)
    if next(records, None) != header_line(table):
        raise ValueError("the header row is not as it should be")
    for number, record in enumerate(records, 1):
        try:
            fields = _fields(record, len(decoders))
            yield [decode(field) for decode, field in zip(decoders, fields, strict=True)]
        except (ValueError, OverflowError) as error:
            raise ValueError(f"row {number}: {error}") from None


def _records(lines: Iterable[str]) -> Iterator[str]:
    """Whole records: texts may hold line feeds."""
    pending = ""
    for line in lines:
        pending += line
        if pending.count('"') % 2 == 0:
            yield pending
            pending = ""
    if pending:
        raise ValueError("the last row has no end")


def _fields(record: str, count: int) -> Sequence[str]:
    fields = _FIELD.findall(record)
    # What the pattern did not take would be missing here: each field is followed by one character.
    if len(fields) != count or sum(map(len, fields)) + count != len(record):
        raise ValueError(f"{count} well-formed fields were expected")
    return fields


# --- values --------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A text as a field."""
    return '"' + text.replace('"', '""') + '"'


def time_field(at: datetime) -> str:
    """A moment as a field: UTC with microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _json_field(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return quoted(text)


def _base64_field(value: bytes) -> str:
    return base64.b64encode(value).decode()


_ENCODE: dict[Type, Callable[[Any], str]] = {
    "text": quoted,
    "integer": str,
    "time": time_field,
    "json": _json_field,
    "base64": _base64_field,
}


def _text(field: str) -> str:
    if not field.startswith('"'):
        raise ValueError("a text must stand in quotes")
    return field[1:-1].replace('""', '"')


def _time(field: str) -> datetime:
    at = datetime.fromisoformat(field)
    if at.tzinfo is None:
        raise ValueError("a time must be in UTC")
    return at.astimezone(UTC)


def _json(field: str) -> Any:
    return json.loads(_text(field))


def _base64(field: str) -> bytes:
    return base64.b64decode(field, validate=True)


_DECODE: dict[Type, Callable[[str], Any]] = {
    "text": _text,
    "integer": int,
    "time": _time,
    "json": _json,
    "base64": _base64,
}


def _decoder(column: Column) -> Callable[[str], Any]:
    decode = _DECODE[column.type]
    return (lambda field: decode(field) if field else None) if column.optional else decode
