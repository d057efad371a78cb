"""The source's types as they are here: enums and domains made anew, others kept or substituted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, REAL
from sqlalchemy.types import TypeEngine

from monitor.source import SourceColumn, SourceType
from monitor.suite.mirror.values import Form, maker_for
from monitor.suite.server_type import ServerType

#: Types without a binary form in asyncpg, so that COPY cannot carry them, paths and polygons, which
#: it takes for arrays in arrays, xml, which not every server can, and citext, which is an
#: extension's; and what they are measured as: the name in DDL and in the catalogue.
_AS_TEXT = (
    "citext", "jsonpath", "macaddr", "macaddr8", "path", "polygon", "tsquery", "tsvector", "xml",
)  # fmt: skip
_SUBSTITUTES: Mapping[str, tuple[str, str]] = {
    "money": ("bigint", "int8"),
    **dict.fromkeys(_AS_TEXT, ("text", "text")),
}

#: Types whose arrays have no text that is known here.
_NO_ARRAYS = ("point", "circle", "box", "lseg", "line", "bit", "char")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A type as a column here has it.

    ``text`` is its name in DDL, ``kind`` the built-in type below all domains and arrays, ``typmod``
    that type's modifier, ``labels`` an enum's. ``domains`` are the oids of the domains it passes
    through, ``made`` those of all types that must be made first. ``problem`` says why no column can
    have it, ``remark`` what is otherwise than in the source.
    """

    text: str
    kind: str
    typmod: int = -1
    array: bool = False
    labels: tuple[str, ...] = ()
    not_null: bool = False
    domains: tuple[int, ...] = ()
    made: tuple[int, ...] = ()
    problem: str = ""
    remark: str = ""


def resolve(column: SourceColumn, types: Mapping[int, SourceType], ours: Mapping[int, str]
            ) -> Resolved:  # fmt: skip
    """The type of a column; ``ours`` are the qualified names of enums and domains made here."""
    return _resolve(column.type, column.typmod, column.text, types, ours)


def _resolve(
    oid: int, typmod: int, text: str, types: Mapping[int, SourceType], ours: Mapping[int, str]
) -> Resolved:
    of = types[oid]
    if of.name in _SUBSTITUTES and (of.extension or of.schema == "pg_catalog"):
        name, kind = _SUBSTITUTES[of.name]
        return Resolved(name, kind, remark=f"{of.name} is measured as {name}")
    if of.extension:
        return Resolved(text, of.name, problem=f"type {of.name} of extension {of.extension}")
    if of.kind == "e":
        return Resolved(ours[oid], "enum", labels=of.labels, made=(oid,))
    if of.kind == "d" and of.base is not None:
        return _domain(oid, of, types, ours)
    if of.element is not None:
        element = _resolve(of.element, typmod, text.removesuffix("[]"), types, ours)
        return _array(element)
    if of.schema != "pg_catalog" or maker_for(of.name, Form(typmod)) is None:
        return Resolved(text, of.name, problem=f"type {text}")
    return Resolved(text, of.name, typmod)


def _domain(
    oid: int, of: SourceType, types: Mapping[int, SourceType], ours: Mapping[int, str]
) -> Resolved:
    assert of.base is not None  # noqa: S101 - for mypy; asked before
    base = _resolve(of.base, of.base_typmod, of.base_text or "", types, ours)
    if base.problem:
        return base
    remark = base.remark
    if base.array:  # arrays of arrays are what the driver would take its rows for
        return Resolved(**{**_fields(base), "remark": f"domain {of.name} is measured as its array"})
    return Resolved(
        text=ours[oid],
        kind=base.kind,
        typmod=base.typmod,
        labels=base.labels,
        not_null=of.not_null or base.not_null,
        domains=(*base.domains, oid),
        made=(*base.made, oid),
        remark=remark,
    )


def _array(element: Resolved) -> Resolved:
    if element.problem:
        return element
    if element.kind in _NO_ARRAYS:
        return Resolved(element.text, element.kind, problem=f"type {element.text}[]")
    fields = _fields(element) | {"text": f"{element.text}[]", "array": True, "not_null": False}
    return Resolved(**fields)


def _fields(of: Resolved) -> dict[str, Any]:
    return {name: getattr(of, name) for name in Resolved.__slots__}


def base_text(of: SourceType, types: Mapping[int, SourceType], ours: Mapping[int, str]) -> str:
    """What a domain is made over, in DDL."""
    assert of.base is not None  # noqa: S101 - for mypy; only domains are asked
    return _resolve(of.base, of.base_typmod, of.base_text or "", types, ours).text


_PLAIN: Mapping[str, Callable[[], TypeEngine[Any]]] = {
    "int2": SmallInteger,
    "int4": Integer,
    "int8": BigInteger,
    "bool": Boolean,
    "text": Text,
    "date": Date,
    "timestamp": DateTime,
    "timestamptz": lambda: DateTime(timezone=True),
    "float4": REAL,
    "float8": DOUBLE_PRECISION,
    "bytea": LargeBinary,
    "uuid": Uuid,
}


def sqlalchemy_type(of: Resolved) -> TypeEngine[Any]:
    """The type as a model would declare it; by its name on the server where none is common."""
    if of.array or of.domains or of.labels:
        return ServerType(of.text)
    if of.kind in _PLAIN:
        return _PLAIN[of.kind]()
    if of.kind == "varchar":
        return String(of.typmod - 4 if of.typmod >= 4 else None)
    if of.kind == "numeric" and of.typmod >= 4 and (of.typmod - 4) & 0x400 == 0:
        return Numeric((of.typmod - 4) >> 16 & 0xFFFF, (of.typmod - 4) & 0x3FF)
    if of.kind == "numeric" and of.typmod < 4:
        return Numeric()
    return ServerType(of.text)
