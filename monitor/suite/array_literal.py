"""Arrays as PostgreSQL writes them in text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncpg


def array_literal(values: Iterable[Any] | None) -> str | None:
    """The values as an array literal, lists within as further dimensions; None for null."""
    if values is None:
        return None
    return "{" + ",".join(_element(value) for value in values) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return array_literal(value) or ""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        value = "\\x" + value.hex()
    text = _text(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _text(value: Any) -> str:
    if isinstance(value, asyncpg.Range):
        left, right = "(["[value.lower_inc], ")]"[value.upper_inc]
        return f"{left}{value.lower},{value.upper}{right}"
    if isinstance(value, asyncpg.BitString):
        return value.as_string().replace(" ", "")
    return str(value)
