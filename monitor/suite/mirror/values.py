"""The i-th value of a server type: deterministic, and different for every i below a capacity.

Values are in the form that asyncpg takes, which is that of SQLAlchemy's own types too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import shake_128
from ipaddress import IPv4Address, IPv4Network
from typing import Any
from uuid import UUID

import asyncpg

#: More different values than any run has rows.
PLENTY = 1 << 40

_START = datetime(2024, 1, 1)  # noqa: DTZ001 - for timestamp without time zone
_ODD = 0x9E3779B97F4A7C15
_INTEGERS = {"int2": 15, "int4": 31, "int8": 63, "oid": 32, "xid": 32, "xid8": 63, "pg_lsn": 63}
_MAIL = "@example.org"
_HEX = "0123456789abcdef"
#: Digits of a text that tell one value from another, and the widest that is made.
_DIGITS = 12
_MAX_WIDTH = 10_000


@dataclass(frozen=True, slots=True)
class Form:
    """What is known of a column's values: type modifier, width in bytes, bounds, a closed list.

    ``low`` and ``high`` bound numbers, both included; ``length`` is that of a text, exactly, and
    ``alphabet`` what it is made of.
    """

    typmod: int = -1
    width: int | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    length: int | None = None
    choices: tuple[Any, ...] = ()
    alphabet: str = _HEX
    mail: bool = False


@dataclass(frozen=True, slots=True)
class Maker:
    """``value(i)``, injective for 0 ≤ i < ``capacity``."""

    capacity: int
    value: Callable[[int], Any]


def maker_for(kind: str, form: Form) -> Maker | None:
    """How values of a built-in type are made; None for a type that nothing is known of."""
    if form.choices:
        return choose(form.choices)
    if kind in _INTEGERS:
        return _integers(_INTEGERS[kind], form)
    make = _MAKERS.get(kind)
    return make(form) if make else None


def choose(values: tuple[Any, ...]) -> Maker:
    """One of a closed list."""
    count = len(values)
    return Maker(count, lambda i: values[i % count])


def array_of(element: Maker, form: Form) -> Maker:
    """Arrays of so many elements as the width allows, three where it is unknown."""
    room = 3 if form.width is None else max(1, min(100, (form.width - 20) // 8))
    count = min(room, element.capacity)
    value = element.value
    return Maker(element.capacity, lambda i: [value(i + step) for step in range(count)])


def _integers(bits: int, form: Form) -> Maker:
    low = max(int(form.low) if form.low is not None else 1, -(1 << bits))
    high = min(int(form.high) if form.high is not None else (1 << bits) - 1, (1 << bits) - 1)
    low = min(low, high)
    count = high - low + 1
    return Maker(count, lambda i: low + i % count)


def _numeric(form: Form) -> Maker:
    precision, scale = 15, 2
    if form.typmod >= 4:
        precision, scale = (form.typmod - 4) >> 16 & 0xFFFF, (form.typmod - 4) & 0x7FF
        scale = (scale ^ 1024) - 1024
    unit = Decimal(1).scaleb(-scale)
    top = Decimal(10) ** (precision - scale) - unit
    low = max(form.low if form.low is not None else unit, -top)
    high = min(form.high if form.high is not None else top, top)
    first = (min(low, high) / unit).to_integral_value()
    count = max(1, int(high / unit) - int(first) + 1)
    start = int(first)
    return Maker(count, lambda i: Decimal(start + i % count).scaleb(-scale))


def _floats(form: Form) -> Maker:
    if form.low is not None and form.high is not None:
        low, span = float(form.low), float(form.high - form.low)
        return Maker(PLENTY, lambda i: low + span * ((i * 0.6180339887498949) % 1.0))
    start = float(form.low) if form.low is not None else 0.5
    if form.high is not None:
        end = float(form.high)
        return Maker(1 << 24, lambda i: end - i)
    return Maker(1 << 24, lambda i: start + i)


def _text(form: Form) -> Maker:
    limit = form.typmod - 4 if form.typmod >= 4 else _MAX_WIDTH
    tail = _MAIL if form.mail and limit >= len(_MAIL) + _DIGITS else ""
    wanted = form.length or max(1, (form.width or 17) - 1, len(tail) + _DIGITS // 2 if tail else 1)
    length = max(1, min(wanted, limit, _MAX_WIDTH))
    if form.alphabet != _HEX:
        return _letters(form.alphabet, length)
    digits = min(length - len(tail), _DIGITS)
    mask = (1 << 4 * digits) - 1
    filler = length - digits - len(tail)

    def value(i: int) -> str:
        # Multiplying by an odd number leaves no two alike and puts neighbours far apart.
        head = f"{(i * _ODD) & mask:0{digits}x}"
        return head + _noise(i, filler) + tail if filler or tail else head

    return Maker(mask + 1, value)


def _letters(alphabet: str, length: int) -> Maker:
    """Texts of a few characters only, told apart by the last ones."""
    base = len(alphabet)
    digits = min(length, _DIGITS)

    def value(i: int) -> str:
        found = []
        for _ in range(digits):
            i, digit = divmod(i, base)
            found.append(alphabet[digit])
        return alphabet[0] * (length - digits) + "".join(reversed(found))

    return Maker(base**digits, value)


def _noise(i: int, length: int) -> str:
    """Text that does not compress to nothing."""
    if length <= 0:
        return ""
    return shake_128(i.to_bytes(16, "big")).hexdigest(length // 2 + 1)[:length]


def _bytes(form: Form) -> Maker:
    length = max(1, min((form.width or 17) - 1, _MAX_WIDTH))
    head = min(length, 8)
    mask = (1 << 8 * head) - 1

    def value(i: int) -> bytes:
        first = ((i * _ODD) & mask).to_bytes(head, "big")
        rest = length - head
        return first + shake_128(first).digest(rest) if rest else first

    return Maker(mask + 1, value)


def _json(form: Form) -> Maker:
    length = min((form.width or 60) - 1, _MAX_WIDTH)

    def value(i: int) -> str:
        text: dict[str, Any] = {"id": i, "kind": f"k{i % 7}", "active": i % 2 == 0, "note": ""}
        text["note"] = _noise(i, max(0, length - 50))
        return json.dumps(text)

    return Maker(PLENTY, value)


def _uuid(_form: Form) -> Maker:
    return Maker(PLENTY, lambda i: UUID(bytes=shake_128(i.to_bytes(16, "big")).digest(16)))


def _bits(form: Form, *, fixed: bool) -> Maker:
    length = form.typmod if form.typmod > 0 else (1 if fixed else 16)
    count = 1 << min(length, 40)
    return Maker(count, lambda i: asyncpg.BitString.from_int(i % count, length))


def _moments(form: Form, *, aware: bool) -> Maker:
    start = _START.replace(tzinfo=UTC) if aware else _START
    return Maker(1 << 37, lambda i: start + timedelta(seconds=i % (1 << 37)))


def _dates(_form: Form) -> Maker:
    count, first = 2_900_000, _START.date().toordinal()
    return Maker(count, lambda i: date.fromordinal(first + i % count))


def _times(_form: Form) -> Maker:
    count = 86_400 * 1000
    return Maker(count, lambda i: (_START + timedelta(milliseconds=i % count)).time())


def _zoned_times(_form: Form) -> Maker:
    plain = _times(_form)
    return Maker(plain.capacity, lambda i: _at_utc(plain.value(i)))


def _at_utc(moment: time) -> time:
    return moment.replace(tzinfo=UTC)


def _ranges(of: str) -> Callable[[Form], Maker]:
    def make(form: Form) -> Maker:
        element = maker_for(of, replace(form, low=None, high=None, typmod=-1, width=None))
        assert element is not None  # noqa: S101 - for mypy; each range below is of a known type
        value = element.value
        return Maker(element.capacity - 10, lambda i: asyncpg.Range(value(i), value(i + 10)))

    return make


def _points(form: Form, figure: Callable[[float, float], Any]) -> Maker:
    del form
    return Maker(1 << 24, lambda i: figure(float(i), float(i % 1000)))


_RANGES = {"int4": "int4", "int8": "int8", "num": "numeric", "date": "date", "ts": "timestamp",
           "tstz": "timestamptz"}  # fmt: skip

_MAKERS: Mapping[str, Callable[[Form], Maker]] = {
    "bool": lambda _: Maker(2, lambda i: i % 2 == 0),
    "numeric": _numeric,
    "float4": _floats,
    "float8": _floats,
    "text": _text,
    "varchar": _text,
    "bpchar": _text,
    "name": lambda form: _text(replace(form, width=min(form.width or 17, 60))),
    "char": lambda _: Maker(90, lambda i: bytes([33 + i % 90])),
    "bytea": _bytes,
    "json": _json,
    "jsonb": _json,
    "uuid": _uuid,
    "date": _dates,
    "time": _times,
    "timetz": _zoned_times,
    "timestamp": lambda form: _moments(form, aware=False),
    "timestamptz": lambda form: _moments(form, aware=True),
    "interval": lambda _: Maker(1 << 31, lambda i: timedelta(seconds=i % (1 << 31))),
    "inet": lambda _: Maker(1 << 24, lambda i: IPv4Address(0x0A000000 + i % (1 << 24))),
    "cidr": lambda _: Maker(1 << 24, lambda i: IPv4Network(0x0A000000 + i % (1 << 24))),
    "bit": lambda form: _bits(form, fixed=True),
    "varbit": lambda form: _bits(form, fixed=False),
    "point": lambda form: _points(form, asyncpg.Point),
    "circle": lambda form: _points(form, lambda x, y: asyncpg.Circle(asyncpg.Point(x, y), 1.0)),
    "box": lambda form: _points(form, lambda x, y: asyncpg.Box((x + 1, y + 1), (x, y))),
    "lseg": lambda form: _points(form, lambda x, y: asyncpg.LineSegment((x, y), (x + 1, y))),
    "line": lambda form: _points(form, lambda x, y: asyncpg.Line(1.0, x, y)),
    **{f"{name}range": _ranges(of) for name, of in _RANGES.items()},
}
