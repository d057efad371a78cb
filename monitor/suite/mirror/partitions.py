"""Whether a partitioned table can be measured as one, and with which partitions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.source import SourcePartition, SourceTable
from monitor.sql_text import quote
from monitor.suite.mirror.columns import Column, Findings
from monitor.suite.mirror.hints import in_partitions
from monitor.suite.mirror.values import Maker

#: Partitions that are made, the last ones of more; of hash partitions all are needed.
MOST_PARTITIONS = 32
_MOST_HASHED = 128
_WORDS = {"r": "RANGE", "l": "LIST", "h": "HASH"}


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How a likeness is partitioned; ``maker`` replaces that of its one partition column."""

    clause: str
    partitions: tuple[SourcePartition, ...]
    column: str | None = None
    maker: Maker | None = None
    default: bool = False


def partitioning(
    source: SourceTable, columns: Mapping[int, Column], findings: Findings
) -> Partitioning | None:
    """The partitioning of a likeness; None where the source has none or it cannot be had."""
    if source.strategy is None:
        return None
    reason = _obstacle(source, columns)
    kept = _kept(source.strategy, source.partitions)
    made = None if reason else _made(source, kept, columns)
    if made is None:
        why = reason or "its bounds are of a kind that no rows are made for"
        findings.remarks.append(f"it is partitioned, and measured as a plain table: {why}")
        return None
    rest = len(source.partitions) - len(kept)
    findings.remarks.append(
        f"rows go round its {len(kept)} partitions"
        + (f" ({rest} more are left out)" if rest else "")
    )
    return made


def _obstacle(source: SourceTable, columns: Mapping[int, Column]) -> str:
    if not source.partitions:
        return "it has no partitions"
    if any(partition.partitioned for partition in source.partitions):
        return "its partitions are partitioned themselves, or foreign tables"
    if 0 in source.partition_columns:
        return "its key is an expression"
    if any(number not in columns for number in source.partition_columns):
        return "a column of its key is left out"
    if source.strategy == "h":
        return "" if len(source.partitions) <= _MOST_HASHED else "it has too many hash partitions"
    return "" if len(source.partition_columns) == 1 else "its key has several columns"


def _kept(strategy: str, partitions: Sequence[SourcePartition]) -> tuple[SourcePartition, ...]:
    if strategy == "h" or len(partitions) <= MOST_PARTITIONS:
        return tuple(partitions)
    default = [partition for partition in partitions if partition.bound == "DEFAULT"]
    bounded = [partition for partition in partitions if partition.bound != "DEFAULT"]
    bounded.sort(key=lambda partition: _natural(partition.bound))
    return (*bounded[len(default) - MOST_PARTITIONS :], *default)


def _natural(text: str) -> list[tuple[int, str]]:
    """Numbers in it by their size, so that the order is that of the bounds."""
    words = re.findall(r"\d+|\D+", text)
    return [(int(word), "") if word.isdigit() else (0, word) for word in words]


def _made(
    source: SourceTable, kept: tuple[SourcePartition, ...], columns: Mapping[int, Column]
) -> Partitioning | None:
    strategy = source.strategy or ""
    names = ", ".join(quote(columns[number].name) for number in source.partition_columns)
    clause = f"PARTITION BY {_WORDS[strategy]} ({names})"
    default = any(partition.bound == "DEFAULT" for partition in kept)
    if strategy == "h":
        return Partitioning(clause, kept)
    column = columns[source.partition_columns[0]]
    maker = in_partitions(strategy, column.type.kind, kept)
    if column.filler != "rows":
        maker = None if not default else column.maker
    if maker is None and not default:
        return None
    return Partitioning(clause, kept, column.name, maker or column.maker, default)
