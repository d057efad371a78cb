"""What simple check constraints and partition bounds tell about values that will pass.

Only what is certain is taken; a constraint that is not understood here is tried on the server with
the rows as they are, and left out if they do not satisfy it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from monitor.source import SourcePartition
from monitor.sql_text import quote
from monitor.suite.mirror.values import PLENTY, Form, Maker, choose

_NUMBER = r"\(?'?(-?\d+(?:\.\d+)?)'?\)?"
_LITERAL = re.compile(r"'((?:[^']|'')*)'|(?<![\w.'])(-?\d+)(?![\w.'])")
_INTEGRAL = ("int2", "int4", "int8", "oid")
_NUMBERS = (*_INTEGRAL, "numeric", "float4", "float8")


def with_checks(form: Form, name: str, kind: str, checks: Iterable[str]) -> Form:
    """The form of a column (``name``, or VALUE in a domain) narrowed by its checks' definitions."""
    subject = (
        rf"\(?(?:{re.escape(quote(name))}|(?<![\w\"]){re.escape(name)}(?![\w\"]))\)?(?:::[a-z ]+)?"
    )
    for check in checks:
        if " OR " not in check and " CASE " not in check:
            form = _narrowed(form, subject, kind, check)
    return form


def _narrowed(form: Form, subject: str, kind: str, check: str) -> Form:
    one_of = re.search(rf"{subject} = ANY \(\(?ARRAY\[(.*?)\]", check)
    if one_of:
        values = tuple(_value(text, kind) for text in _LITERAL.findall(one_of[1]))
        return replace(form, choices=values) if values and None not in values else form
    pattern = re.search(rf"{subject} ~ '\^\[([A-Za-z0-9-]+)\](?:\{{(\d+)\}}|\+)\$'", check)
    if pattern and (alphabet := _characters(pattern[1])):
        length = int(pattern[2]) if pattern[2] else form.length
        form = replace(form, alphabet=alphabet, length=length)
    for operator, number in re.findall(rf"length\({subject}\) (=|<=|>=|<|>) {_NUMBER}", check):
        form = _with_length(form, operator, int(Decimal(number)))
    if kind in _NUMBERS:
        for operator, number in re.findall(rf"{subject} (>=|>|<=|<) {_NUMBER}", check):
            form = _with_bound(form, operator, Decimal(number), kind)
    return form


def _characters(of: str) -> str:
    """The characters of a bracket expression of letters, digits and ranges of them."""
    found = [
        "".join(map(chr, range(ord(first), ord(last) + 1))) if last else first
        for first, last in re.findall(r"([A-Za-z0-9])(?:-([A-Za-z0-9]))?", of)
    ]
    return "".join(sorted(set("".join(found))))


def _value(found: tuple[str, str], kind: str) -> Any:
    text, number = found
    if kind in _INTEGRAL:
        return int(number or text) if re.fullmatch(r"-?\d+", number or text) else None
    return text.replace("''", "'") if kind in ("text", "varchar", "bpchar", "enum") else None


def _with_length(form: Form, operator: str, number: int) -> Form:
    wanted = form.length or max(1, (form.width or 17) - 1)
    low = {"=": number, ">=": number, ">": number + 1}.get(operator)
    high = {"=": number, "<=": number, "<": number - 1}.get(operator)
    if low is not None:
        wanted = max(wanted, low)
    if high is not None:
        wanted = min(wanted, high)
    return replace(form, length=max(1, wanted))


def _with_bound(form: Form, operator: str, number: Decimal, kind: str) -> Form:
    step = Decimal(1) if kind in _INTEGRAL else Decimal("0.01")
    if operator in (">", ">="):
        low = number + step if operator == ">" else number
        return replace(form, low=max(low, form.low) if form.low is not None else low)
    high = number - step if operator == "<" else number
    return replace(form, high=min(high, form.high) if form.high is not None else high)


def in_partitions(strategy: str, kind: str, partitions: Sequence[SourcePartition]) -> Maker | None:
    """Values of the partition column that go round the partitions; None where that cannot be said.

    ``strategy`` is ``l`` for list, ``r`` for range.
    """
    bounds = [p.bound for p in partitions if p.bound != "DEFAULT"]
    if strategy == "l":
        return _listed(bounds, kind)
    spans = [_span(bound, kind) for bound in bounds]
    known = [span for span in spans if span is not None]
    return _spread(known, kind) if known and len(known) == len(spans) else None


def _listed(bounds: Sequence[str], kind: str) -> Maker | None:
    values = [
        _value(found, kind)
        for bound in bounds
        for found in _LITERAL.findall(bound.partition(" IN ")[2])
    ]
    if kind == "bool":
        values = [word == "true" for bound in bounds for word in re.findall(r"true|false", bound)]
    return None if not values or None in values else choose(tuple(values))


def _span(bound: str, kind: str) -> tuple[Any, Any] | None:
    """First value and the one after the last; open ends are taken a little way out."""
    match = re.fullmatch(r"FOR VALUES FROM \((.+)\) TO \((.+)\)", bound)
    if match is None:
        return None
    low, high = (_bound(text.strip("'"), kind) for text in match.groups())
    reach: Any = timedelta(days=30) if kind in ("date", "timestamp", "timestamptz") else 1_000_000
    if low is None and high is None:
        return None
    return (high - reach if low is None else low, low + reach if high is None else high)


def _bound(text: str, kind: str) -> Any:
    if text in ("MINVALUE", "MAXVALUE"):
        return None
    try:
        if kind == "date":
            return date.fromisoformat(text)
        if kind in ("timestamp", "timestamptz"):
            moment = datetime.fromisoformat(text)
            return moment.astimezone(UTC) if kind == "timestamptz" else moment
        if kind == "numeric":
            return Decimal(text)
        return int(text) if kind in _INTEGRAL else None
    except (ValueError, InvalidOperation):
        return None


def _spread(spans: Sequence[tuple[Any, Any]], kind: str) -> Maker | None:
    if any(low is None or high is None for low, high in spans):
        return None
    count, capacity = len(spans), min(_steps(span, kind) for span in spans)
    if capacity < 1:
        return None

    def value(i: int) -> Any:
        low = spans[i % count][0]
        return low + _step(i // count % capacity, kind)

    return Maker(min(PLENTY, capacity * count), value)


def _steps(span: tuple[Any, Any], kind: str) -> int:
    length = span[1] - span[0]
    if kind == "date":
        return int(length.days)
    if kind in ("timestamp", "timestamptz"):
        return int(length / timedelta(milliseconds=1))
    return int(length)


def _step(number: int, kind: str) -> Any:
    if kind == "date":
        return timedelta(days=number)
    if kind in ("timestamp", "timestamptz"):
        return timedelta(milliseconds=number)
    return number
