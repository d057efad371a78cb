"""The source's columns as they are here: which are copied, what fills them, what was left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from monitor.source import Need, SourceColumn, SourceTable, SourceType
from monitor.sql_text import identifiers
from monitor.suite.mirror import statistics
from monitor.suite.mirror.hints import with_checks
from monitor.suite.mirror.types import Resolved, resolve
from monitor.suite.mirror.values import Form, Maker, array_of, choose, maker_for

#: By what a column gets its values: the rows, or the server.
Filler = Literal["rows", "sequence", "identity", "generation", "default"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column here; ``default`` says whether its default is copied."""

    source: SourceColumn
    type: Resolved
    filler: Filler
    default: bool
    maker: Maker
    null_share: float
    distinct: int | None

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def not_null(self) -> bool:
        return self.source.not_null or self.type.not_null


@dataclass(slots=True)
class Findings:
    """What people are told of a likeness: what was left out and why, and what is otherwise."""

    not_copied: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def obstacle(needs: Iterable[Need], types: Mapping[int, SourceType]) -> str:
    """The first thing that is not to be had in our schema; empty where all is."""
    for need in needs:
        of = types.get(need.oid) if need.catalog == "pg_type" else None
        if of is not None and (of.kind in "ed" or of.element is not None) and not of.extension:
            continue
        if need.volatility == "v":
            return f"volatile {need.description}"
        if need.schema != "pg_catalog":
            return need.description
    return ""


def copied_columns(
    table: SourceTable,
    ours: Mapping[int, str],
    in_keys: Collection[int],
    findings: Findings,
) -> list[Column]:
    """The columns that can be copied, in order.

    ``in_keys`` are numbers of those that keys or partitions are made of: their values must be
    known, so rows bring them even where the source has a default such as now().
    """
    columns = []
    for source in table.columns:
        type_ = resolve(source, table.types, ours)
        if type_.problem:
            findings.not_copied.append(f"column {source.name} ({type_.problem})")
            continue
        if type_.remark:
            findings.remarks.append(f"column {source.name}: {type_.remark}")
        if source.collation and not source.collation_built_in:
            findings.remarks.append(
                f"column {source.name}: collation {source.collation} is not used"
            )
        column = _column(table, source, type_, source.number in in_keys, findings)
        if column is not None:
            columns.append(column)
    return _without_dangling(table, columns, findings)


def _column(
    table: SourceTable,
    source: SourceColumn,
    type_: Resolved,
    in_key: bool,
    findings: Findings,
) -> Column | None:
    filler, default = _filler(table, source, in_key, findings)
    if filler == "generation" and not default:
        return None
    null_share = statistics.null_share(source.statistics)
    return Column(
        source=source,
        type=type_,
        filler=filler,
        default=default,
        maker=_maker(table, source, type_),
        null_share=0.0 if source.not_null or type_.not_null else null_share,
        distinct=statistics.distinct_values(source.statistics, table.row_count),
    )


def _filler(
    table: SourceTable, source: SourceColumn, in_key: bool, findings: Findings
) -> tuple[Filler, bool]:
    """What fills a column here, and whether its expression is copied."""
    if source.identity:
        return "identity", False
    if source.expression is None:
        return "rows", False
    if source.sequence and source.expression.startswith("nextval("):
        return "sequence", True
    reason = obstacle(source.needs, table.types)
    if source.generated:
        if reason:
            findings.not_copied.append(f"generated column {source.name} (it needs {reason})")
        return "generation", not reason
    if reason:
        findings.not_copied.append(f"default of {source.name} ({reason})")
        return "rows", False
    at_run_time = any(need.volatility == "s" for need in source.needs)
    return ("default" if at_run_time and not in_key else "rows"), True


def _without_dangling(
    table: SourceTable, columns: list[Column], findings: Findings
) -> list[Column]:
    """Without generated columns whose own sources were left out: the server would not know them."""
    lost = {column.name for column in table.columns} - {column.name for column in columns}
    kept = []
    for column in columns:
        if column.filler == "generation" and lost & identifiers(column.source.expression or ""):
            findings.not_copied.append(f"generated column {column.name} (it needs one left out)")
        else:
            kept.append(column)
    return kept


def _maker(table: SourceTable, source: SourceColumn, type_: Resolved) -> Maker:
    form = Form(
        typmod=type_.typmod,
        width=None if type_.array else statistics.width(source.statistics),
        mail="mail" in source.name.lower(),
    )
    if not type_.array:
        form = _checked(form, table, source, type_)
    if type_.labels:
        maker: Maker | None = choose(form.choices or type_.labels)
    else:
        maker = maker_for(type_.kind, form)
    assert maker is not None  # noqa: S101 - for mypy; types without one were refused
    if type_.array:
        return array_of(maker, replace(form, width=statistics.width(source.statistics)))
    return maker


def _checked(form: Form, table: SourceTable, source: SourceColumn, type_: Resolved) -> Form:
    checks = [c for c in table.constraints if c.kind == "c"]
    of_column = [c.definition for c in checks if c.columns == (source.number,) and not c.domain]
    of_domains = [c.definition for c in checks if c.domain in type_.domains]
    form = with_checks(form, source.name, type_.kind, of_column)
    return with_checks(form, "VALUE", type_.kind, of_domains)
